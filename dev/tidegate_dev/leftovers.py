"""What a native cluster has on the machine outside its own files: found by looking, not by remembering."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tidegate_dev import cgroups, containerd, launch, mounts
from tidegate_dev.network import Network, recorded_ranges
from tidegate_dev.processes import Processes
from tidegate_dev.settings import Settings

# Places that the container network library and the kubelet use on every machine, wherever their own folders are.
_NETWORK_RESULTS = Path("/var/lib/cni/results")
_LOG_LINKS = Path("/var/log/containers")
_DEVICE_PLUGINS = Path("/var/lib/kubelet/device-plugins")


def shims(settings: Settings) -> dict[int, int]:
    """The container shims of this cluster's containerd: pid → start time."""
    found = {}
    address = str(containerd.socket(settings)).encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                argv = (entry / "cmdline").read_bytes().split(b"\0")
                started = launch.start_time(int(entry.name))
                if argv[0].endswith(b"containerd-shim-runc-v2") and address in argv and started is not None:
                    found[int(entry.name)] = started
    return found


def files(settings: Settings) -> list[Path]:
    """Entries for this cluster in places shared by the whole machine."""
    results = list(_NETWORK_RESULTS.glob(f"{settings.full_name}-*"))
    links = [link for link in _LOG_LINKS.glob("*") if link.is_symlink() and settings.state in link.readlink().parents]
    return results + links


def remove_files(settings: Settings) -> None:
    """Removes those entries, and with the last cluster on the machine the places themselves where they are empty."""
    for path in files(settings):
        path.unlink()
    if not any(settings.runtime.parent.glob("*/ranges.json")):
        for name in ("kubelet.sock", "DEPRECATION", "kubelet_internal_checkpoint"):
            (_DEVICE_PLUGINS / name).unlink(missing_ok=True)
        for folder in (_DEVICE_PLUGINS, _DEVICE_PLUGINS.parent, _NETWORK_RESULTS, _NETWORK_RESULTS.parent, _LOG_LINKS):
            with suppress(OSError):
                folder.rmdir()


def find(settings: Settings) -> list[str]:
    """One line for each process, mount, link, address range, control group and file that exists because of the cluster."""
    return [*_processes(settings), *_mounts(settings), *_links(settings), *_groups(settings), *(f"file {path}" for path in files(settings))]


def _processes(settings: Settings) -> Iterator[str]:
    recorded = {record.pid: record.name for record in Processes(settings.state / "processes").all() if record.alive()}
    yield from (f"process {pid} {name}" for pid, name in recorded.items())
    yield from (f"process {pid} container shim" for pid in shims(settings))
    yield from (f"process {pid} in a pod" for pid in sorted(cgroups.members(settings.full_name)))


def _mounts(settings: Settings) -> Iterator[str]:
    for folder in (settings.state, settings.runtime):
        yield from (f"mount {point}" for point in mounts.under(folder))


def _links(settings: Settings) -> Iterator[str]:
    if ranges := recorded_ranges(settings):
        link = Network(settings, ranges).host_link
        if Path("/sys/class/net", link).exists():
            yield f"network link {link}"
        yield f"address range {ranges.node_range}"


def _groups(settings: Settings) -> Iterator[str]:
    yield from (f"control group {group}" for group in cgroups.remaining(settings.full_name))
