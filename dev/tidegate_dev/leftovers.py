"""What a native cluster has on the machine outside its own files: found by looking, not by remembering."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tidegate_dev import cgroups, containerd, launch, mounts, network, shared_places
from tidegate_dev.processes import Processes
from tidegate_dev.settings import Settings


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
    shared = shared_places.MACHINE
    results = [path for path in shared.network_results.glob("*") if _is_result(settings, path)]
    links = [link for link in shared.log_links.glob("*") if link.is_symlink() and settings.state in link.readlink().parents]
    return results + links


def _is_result(settings: Settings, path: Path) -> bool:
    """Whether a file tells how a pod of this cluster was connected. Every one names the pod's network namespace."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return settings.runtime in Path(json.loads(path.read_bytes())["netns"]).parents
    return False


def find(settings: Settings) -> list[str]:
    """One line for each process, mount, link, route, control group and file that exists because of the cluster."""
    return list(_found(settings))


def _found(settings: Settings) -> Iterator[str]:
    recorded = {record.pid: record.name for record in Processes(settings.state / "processes").all() if record.alive()}
    yield from (f"process {pid} {name}" for pid, name in recorded.items())
    yield from (f"process {pid} container shim" for pid in shims(settings))
    yield from (f"process {pid} in a pod" for pid in sorted(cgroups.members(settings.full_name)))
    for folder in (settings.state, settings.runtime):
        yield from (f"mount {point}" for point in mounts.under(folder))
    link = settings.ranges.link
    if network.link_exists(link):
        yield f"network link {link}"
        yield from (f"route to {target}" for target in network.routes_over(link))
    yield from (f"control group {group}" for group in cgroups.groups(settings.full_name))
    yield from (f"file {path}" for path in files(settings))
