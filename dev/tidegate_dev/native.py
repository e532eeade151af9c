"""A cluster without Docker: one node made of plain daemons, in a network namespace of this machine."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

from tidegate_dev import (
    cgroups,
    commands,
    containerd,
    credentials,
    debian,
    files,
    launch,
    leftovers,
    manifests,
    network,
    owner,
    removal,
    shared_places,
)
from tidegate_dev.daemons import Daemon, Daemons
from tidegate_dev.errors import ClusterError
from tidegate_dev.gobuild import Builder
from tidegate_dev.kube import Kube, wait_until
from tidegate_dev.processes import Processes
from tidegate_dev.program_images import Archive, ProgramImages
from tidegate_dev.progress import progress
from tidegate_dev.settings import Settings
from tidegate_dev.tools import Tools

DAEMONS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "containerd", "kubelet", "kube-proxy")
PROGRAMS = (*DAEMONS, "containerd-shim-runc-v2", "ctr", "coredns", "pause")
STOP_GRACE_SECONDS = 5.0
_REAL_NODE = (Path("/etc/kubernetes/kubelet.conf"), Path("/var/lib/kubelet/config.yaml"))


def check_machine(settings: Settings, *, asked_for: bool) -> None:
    """Raises ClusterError where a native cluster can't work on this Linux, with what to do instead. `asked_for`: by name, not for want
    of Docker."""
    if os.geteuid() != 0:
        raise ClusterError(
            "a native cluster needs root: run this again with sudo"
            if asked_for
            else "no Docker engine answers, and without one the cluster needs root: start Docker, or run this again with sudo"
        )
    if sign := _sign_of_a_node(settings):
        raise ClusterError(
            f"this machine is a Kubernetes node already ({sign}), and two kubelets would disturb each other: "
            "use --backend kind, which needs Docker"
        )


def _sign_of_a_node(settings: Settings) -> str | None:
    shared = shared_places.MACHINE
    if found := [path for path in _REAL_NODE if path.exists()]:
        return str(found[0])
    if shared.kubelet_listens():
        return f"a kubelet listens on {shared.kubelet_socket}"
    if shared.kubelet_socket.exists() and not settings.backend.exists() and not owner.any_cluster(settings):
        return f"{shared.kubelet_socket} is there; if that node is gone, delete the file"
    return None


class NativeCluster:
    """Makes the cluster and keeps it whole; every step may be repeated, and one that is done costs next to nothing."""

    name = "native"
    programs: tuple[str, ...] = PROGRAMS

    def __init__(self, settings: Settings, tools: Tools, builder: Builder, images: ProgramImages, lock: int) -> None:
        self._settings = settings
        self._builder = builder
        self._images = images
        self._lock = lock
        self._processes = Processes(settings.state / "processes")
        self._kube = Kube(tools.kubectl, settings.kubeconfig)

    def prepare(self) -> None:
        debian.ensure(self._settings, debian.NODE if network.filters_bridges() else (*debian.NODE, *debian.KERNEL_MODULES))

    def make(self) -> None:
        """Brings up what is not there or out of date: the first time everything, after a crash what is missing."""
        self._forget_before_restart()
        self._network = network.Network(self._settings)
        self._network.ensure()
        cgroups.ensure(self._settings.full_name)
        made = credentials.ensure(self._settings.state / "credentials", self._settings.ranges)
        files.write(self._settings.kubeconfig, made.kubeconfig("admin").read_bytes(), mode=0o600)
        daemons = Daemons(self._settings, made, self._builder.program)
        with ThreadPoolExecutor(1) as pool:
            dns = pool.submit(self._start_runtime, daemons)
            self._start_control_plane(daemons)
            dns_image = dns.result()
        self._start_node(daemons)
        values = {"image": dns_image.reference, "address": self._settings.ranges.dns_address}
        manifests.ensure(self._kube, self._settings, "coredns", values, [("kube-system", "coredns")])

    def load_image(self, archive: Archive) -> None:
        """Makes the image known to the node; nothing happens when it is."""
        if archive.reference not in self._runtime.references():
            with progress.step(f"loading {archive.reference}"):
                self._runtime.load(archive.path)

    def remove(self) -> None:
        removal.remove(self._settings, self._processes, self._kube)

    def faults(self) -> list[str]:
        """Daemons that should run and don't."""
        records = {name: self._processes.read(name) for name in DAEMONS}
        return [f"{name} is not running" for name, record in records.items() if not (record and record.alive())]

    def leftovers(self) -> list[str]:
        owner.check(self._settings)
        return leftovers.find(self._settings)

    @cached_property
    def _runtime(self) -> containerd.Images:
        return containerd.Images(self._builder.program("ctr"), self._settings)

    def _forget_before_restart(self) -> None:
        """After a restart of the machine nothing runs any more, and what the node remembers is no longer true."""
        marker = self._settings.state / "boot"
        if marker.exists() and marker.read_text() != launch.boot_id():
            progress.say("the machine was restarted since this cluster was made: making a new one")
            self.remove()
            owner.note(self._settings)
            files.write(self._settings.backend, self.name)
        files.write(marker, launch.boot_id())

    def _start_control_plane(self, daemons: Daemons) -> None:
        with progress.step("starting the control plane"):
            self._run(daemons.etcd())
            self._run(daemons.api_server())
            self._wait("kube-apiserver", "the API server is ready", self._kube.answers, 90)
            self._run(daemons.controller_manager())
            self._run(daemons.scheduler())

    def _start_runtime(self, daemons: Daemons) -> Archive:
        """Starts containerd and gives it the images that the node itself needs; returns the DNS server's."""
        pause, dns = self._images.archive("pause"), self._images.archive("coredns")
        self._run(daemons.containerd(pause.reference), path=self._builder.program("containerd").parent)
        self._wait("containerd", "containerd answers", self._runtime.answers, 30)
        self.load_image(pause)
        self.load_image(dns)
        return dns

    def _start_node(self, daemons: Daemons) -> None:
        self._run(daemons.kubelet())
        self._run(daemons.proxy())
        with progress.step("waiting for the node"):
            self._wait("kubelet", "the node is ready", self._kube.node_ready, 90)

    def _run(self, daemon: Daemon, path: Path | None = None) -> None:
        """Starts a daemon unless it runs with exactly these settings."""
        record = self._processes.read(daemon.name)
        if record and record.alive():
            if record.fingerprint == daemon.fingerprint:
                return
            self._processes.stop(record, STOP_GRACE_SECONDS)
        for place, content in daemon.configs.items():
            files.write(place, content)
        search = f"{path}:{commands.search_path()}" if path else commands.search_path()
        argv, log, env = self._network.inside(*daemon.argv), self._log(daemon.name), {"PATH": search, "HOME": str(self._settings.state)}
        self._processes.start(daemon.name, argv, log=log, fingerprint=daemon.fingerprint, lock=self._lock, env=env)

    def _wait(self, daemon: str, what: str, condition: Callable[[], bool], seconds: float) -> None:
        """Waits, and gives up at once when the daemon that it depends on has ended."""

        def met() -> bool:
            record = self._processes.read(daemon)
            if record is None or not record.alive():
                raise ClusterError(f"{daemon} ended while it was waited for", self._log(daemon))
            return condition()

        wait_until(what, met, seconds)

    def _log(self, daemon: str) -> Path:
        return self._settings.logs / f"{daemon}.log"
