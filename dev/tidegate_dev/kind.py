"""A cluster in a Docker container, made by kind."""

import shutil
from contextlib import suppress
from pathlib import Path

from tidegate_dev import commands, files
from tidegate_dev.errors import ClusterError
from tidegate_dev.gobuild import Builder
from tidegate_dev.kube import Kube, wait_until
from tidegate_dev.program_images import Archive
from tidegate_dev.progress import progress
from tidegate_dev.settings import Settings
from tidegate_dev.tools import Tools

CREATE_TIMEOUT_SECONDS = 900
# After a restart of Docker the control plane needs that long on a busy machine.
START_SECONDS = 90


class KindCluster:
    """kind does the work; the node image, and with it the release of Kubernetes, is the one that this kind was tested with."""

    name = "kind"
    programs: tuple[str, ...] = ("kind",)

    def __init__(self, settings: Settings, tools: Tools, builder: Builder) -> None:
        self._settings = settings
        self._builder = builder
        self._kube = Kube(tools.kubectl, settings.kubeconfig)

    def prepare(self) -> None:
        """Docker has all that it stands on."""

    def make(self) -> None:
        """Waits for a cluster that is on its way up. One that is broken is made anew, which is said: kind has no repair."""
        with progress.step(f"looking for the kind cluster {self._settings.full_name}"):
            there = self._exists()
        if there:
            self._check_owner()
            if fault := self._fault():
                progress.say(f"{fault}: deleting the kind cluster {self._settings.full_name} with all that is in it, and making a new one")
                self._delete()
                there = False
        if not there:
            self._create()
        with progress.step("waiting for the node"):
            wait_until("the node is ready", self._kube.node_ready, 120)

    def load_image(self, archive: Archive) -> None:
        if not commands.succeeds(["docker", "exec", self._node, "crictl", "inspecti", "--quiet", archive.reference]):
            with progress.step(f"loading {archive.reference}"):
                load = ["load", "image-archive", str(archive.path), f"--name={self._settings.full_name}"]
                commands.output([self._kind, *load], timeout=300)

    def remove(self) -> None:
        """Deletes the cluster if this state folder made it; what somebody else made stays."""
        with progress.step("deleting the kind cluster"):
            if self._made.exists():
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

    @property
    def _node(self) -> str:
        """The container."""
        return f"{self._settings.full_name}-control-plane"

    @property
    def _made(self) -> Path:
        """Says that the cluster was made from this state folder."""
        return self._settings.state / "made-by-kind"

    def _exists(self) -> bool:
        return self._settings.full_name in commands.output([self._kind, "get", "clusters"]).split()

    def _check_owner(self) -> None:
        if not self._made.exists():
            raise ClusterError(
                f"Docker has a kind cluster {self._settings.full_name} that was not made from the state folder {self._settings.state}: "
                f"set TIDEGATE_STATE to the folder that it was made from, make another cluster with --name, "
                f"or, if nobody needs it any more, docker rm --force {self._node}"
            )

    def _fault(self) -> str | None:
        """What is wrong with the cluster, once it had time to come up; None for a whole one."""
        running = ["docker", "container", "inspect", "--format={{.State.Running}}", self._node]
        if commands.output(running).strip() != "true":
            return f"the container {self._node} does not run"
        if not self._settings.kubeconfig.exists():
            commands.output([self._kind, "export", "kubeconfig", *self._names()])
        try:
            with progress.step("waiting for the API server"):
                wait_until("the API server answers", self._kube.answers, START_SECONDS)
        except ClusterError as problem:
            return str(problem)
        return None

    def _create(self) -> None:
        files.write(self._made, "")
        log = self._settings.logs / "kind.log"
        create = [self._kind, "create", "cluster", *self._names()]
        try:
            with progress.step("creating a kind cluster"):
                commands.logged(create, log, what="kind create cluster", timeout=CREATE_TIMEOUT_SECONDS)
        except ClusterError:
            # kind removes what it could not finish; what is there now was made by somebody else at the same time.
            self._made.unlink()
            raise

    def _delete(self) -> None:
        commands.output([self._kind, "delete", "cluster", *self._names()], timeout=120)

    def _names(self) -> tuple[str, str]:
        return f"--name={self._settings.full_name}", f"--kubeconfig={self._settings.kubeconfig}"
