"""A cluster in a Docker container, made by kind."""

import shutil
from contextlib import suppress

from tidegate_dev import commands
from tidegate_dev.gobuild import Builder
from tidegate_dev.kube import Kube, wait_until
from tidegate_dev.program_images import Archive
from tidegate_dev.progress import progress
from tidegate_dev.settings import Settings
from tidegate_dev.tools import Tools

CREATE_TIMEOUT_SECONDS = 900


class KindCluster:
    """kind does the work; the node image, and with it the release of Kubernetes, is the one that this kind was tested with."""

    name = "kind"

    def __init__(self, settings: Settings, tools: Tools, builder: Builder) -> None:
        self._settings = settings
        self._builder = builder
        self._kube = Kube(tools.kubectl, settings.kubeconfig)

    def prepare(self) -> None:
        self._builder.program("kind")

    def make(self) -> None:
        """A cluster that does not answer is made anew: kind has no repair."""
        if self._exists() and not self._kube.answers():
            self._delete()
        if not self._exists():
            with progress.step("creating a kind cluster"):
                create = ["create", "cluster", f"--name={self._settings.full_name}", f"--kubeconfig={self._settings.kubeconfig}"]
                log = self._settings.logs / "kind.log"
                commands.logged([self._kind, *create], log, what="kind create cluster", timeout=CREATE_TIMEOUT_SECONDS)
        wait_until("the node is ready", self._kube.node_ready, 120)

    def load_image(self, archive: Archive) -> None:
        node = f"{self._settings.full_name}-control-plane"
        if not commands.succeeds(["docker", "exec", node, "crictl", "inspecti", "--quiet", archive.reference]):
            with progress.step(f"loading {archive.reference}"):
                load = ["load", "image-archive", str(archive.path), f"--name={self._settings.full_name}"]
                commands.output([self._kind, *load], timeout=300)

    def remove(self) -> None:
        with progress.step("deleting the kind cluster"):
            self._delete()
        with suppress(FileNotFoundError):
            shutil.rmtree(self._settings.state)

    def faults(self) -> list[str]:
        return [] if self._exists() else [f"kind has no cluster {self._settings.full_name}"]

    def leftovers(self) -> list[str]:
        return [f"kind cluster {self._settings.full_name}"] if self._exists() else []

    @property
    def _kind(self) -> str:
        return str(self._builder.program("kind"))

    def _exists(self) -> bool:
        return self._settings.full_name in commands.output([self._kind, "get", "clusters"]).split()

    def _delete(self) -> None:
        delete = ["delete", "cluster", f"--name={self._settings.full_name}", f"--kubeconfig={self._settings.kubeconfig}"]
        commands.output([self._kind, *delete], timeout=120)
