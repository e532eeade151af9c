"""The cluster's own control groups: a root per cluster, so that two kubelets on a machine don't end each other's pods."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class _Hierarchy:
    """Where a hierarchy is mounted; `controllers` is empty for version 2, which may stand beside those of version 1."""

    point: Path
    controllers: frozenset[str]


def _hierarchies() -> list[_Hierarchy]:
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        point, kind = Path(left.split()[4]), right.split()[0]
        if kind == "cgroup":
            found.append(_Hierarchy(point, frozenset(right.split()[2].split(","))))
        elif kind == "cgroup2":
            found.append(_Hierarchy(point, frozenset()))
    return found


def ensure(name: str) -> None:
    """Makes the root group `name` where the kubelet looks for it: in all of version 1, or in the one of version 2."""
    found = _hierarchies()
    for hierarchy in [item for item in found if item.controllers] or found:
        group = hierarchy.point / name
        group.mkdir(exist_ok=True)
        if "cpuset" in hierarchy.controllers:
            for setting in ("cpuset.cpus", "cpuset.mems"):
                if not (group / setting).read_text().strip():
                    (group / setting).write_text((hierarchy.point / setting).read_text())
        if not hierarchy.controllers:
            _delegate(hierarchy.point)


def _delegate(point: Path) -> None:
    """Version 2: a child may limit what its parent passes on."""
    for controller in (point / "cgroup.controllers").read_text().split():
        with suppress(OSError):
            (point / "cgroup.subtree_control").write_text(f"+{controller}")


def groups(name: str) -> Iterator[Path]:
    """Every group of the cluster, children before parents."""
    for hierarchy in _hierarchies():
        root = hierarchy.point / name
        if root.is_dir():
            yield from sorted((path for path in root.rglob("*") if path.is_dir()), key=lambda path: len(path.parts), reverse=True)
            yield root


def members(name: str) -> set[int]:
    """The pids of all processes in the cluster's groups, as this process sees them."""
    found: set[int] = set()
    for group in groups(name):
        with suppress(FileNotFoundError, OSError):
            found.update(int(pid) for pid in (group / "cgroup.procs").read_text().split() if pid != "0")
    return found


def remove(name: str) -> None:
    """Removes the groups that are empty."""
    for group in groups(name):
        with suppress(OSError):
            group.rmdir()
