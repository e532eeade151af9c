"""Takes a native cluster down: pods first, then daemons, then what they left; and looks whether anything is still there."""

import shutil
import time
from contextlib import suppress
from pathlib import Path

from tidegate_dev import cgroups, launch, leftovers, mounts, owner, processes, shared_places
from tidegate_dev.errors import ClusterError
from tidegate_dev.kube import Kube
from tidegate_dev.network import Network
from tidegate_dev.processes import Processes
from tidegate_dev.progress import progress
from tidegate_dev.settings import Settings

DRAIN_SECONDS = 15
STOP_GRACE_SECONDS = 5.0


def remove(settings: Settings, running: Processes, kube: Kube) -> None:
    """Leaves no process, mount, link, namespace, control group or file. Raises ClusterError that lists what it could not remove."""
    owner.note(settings)
    with progress.step("ending pods"):
        _drain(running, kube)
    with progress.step("stopping the daemons"):
        # The node's before the control plane's, containerd last: it still ends containers until then.
        for name in ("kubelet", "kube-proxy", "kube-apiserver", "etcd", "containerd"):
            _stop(running, name)
        for record in running.all():
            running.stop(record, STOP_GRACE_SECONDS)
        _end_remaining(settings)
    with progress.step("removing mounts, network and control groups"):
        _clean(settings)
    if found := leftovers.find(settings):
        raise ClusterError("could not remove:\n" + "\n".join(f"  {line}" for line in found))


def _stop(running: Processes, name: str) -> None:
    if record := running.read(name):
        running.stop(record, STOP_GRACE_SECONDS)


def _drain(running: Processes, kube: Kube) -> None:
    """Deletes all pods while the kubelet can still end them in order. What would make new ones is stopped before."""
    for name in ("kube-controller-manager", "kube-scheduler"):
        _stop(running, name)
    parts = [running.read(name) for name in ("kubelet", "containerd", "kube-apiserver", "etcd")]
    if all(part and part.alive() for part in parts) and kube.answers():
        with suppress(ClusterError):
            kube.run("delete", "pods", "-A", "--all", "--grace-period=2", f"--timeout={DRAIN_SECONDS}s", timeout=DRAIN_SECONDS + 5)


def _end_remaining(settings: Settings) -> None:
    """Ends shims and containers that outlived containerd. Both are known to be ours: by socket and by control group."""
    for pid, started in leftovers.shims(settings).items():
        processes.end(pid, started, STOP_GRACE_SECONDS)
    deadline = time.monotonic() + STOP_GRACE_SECONDS
    while (members := cgroups.members(settings.full_name)) and time.monotonic() < deadline:
        for pid in members:
            if (began := launch.start_time(pid)) is not None:
                processes.end(pid, began, 0)


def _clean(settings: Settings) -> None:
    mounts.unmount_all(settings.state)
    Network(settings).remove()
    mounts.unmount_all(settings.runtime)
    cgroups.remove(settings.full_name)
    for path in leftovers.files(settings):
        path.unlink()
    _remove_folder(settings.state)
    # Last, with the record of the owner in it: what is left of a removal cut short can be finished by the same state folder only.
    with owner.turn(settings):
        if owner.alone(settings):
            shared_places.MACHINE.remove()
        _remove_folder(settings.runtime)


def _remove_folder(folder: Path) -> None:
    """Deletes a folder, but never through a mount: what is mounted there belongs to somebody else."""
    if still := mounts.under(folder):
        raise ClusterError(f"{still[0]} is still mounted: not deleting {folder}")
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)
