"""Whose a native cluster's name is.

Its runtime folder, network and control groups follow from the name alone, its state folder and lock from the environment as well: two
state folders with a cluster of the same name would end each other's pods.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tidegate_dev import files, locks, shared_places
from tidegate_dev.errors import ClusterError
from tidegate_dev.settings import Settings


def claim(settings: Settings) -> None:
    """Records that the name is this state folder's. Raises ClusterError where it is another's."""
    with turn(settings):
        check(settings)
        shared_places.MACHINE.note(clusters_here=any_cluster(settings))
        files.write(_record(settings), str(settings.state.resolve()))


def check(settings: Settings) -> None:
    """Raises ClusterError that names the owner and the remedy where another state folder has a cluster of this name."""
    record = _record(settings)
    owner = Path(record.read_text()) if record.exists() else None
    if owner is not None and owner != settings.state.resolve():
        raise ClusterError(
            f"this machine has a cluster {settings.name!r} already, of the state folder {owner}: "
            f"set TIDEGATE_STATE={owner.parent} to work with that one, or make another beside it with --name"
        )


def any_cluster(settings: Settings) -> bool:
    """Whether the machine has a native cluster of any name."""
    return any(settings.runtime.parent.glob("*/ranges.json")) or any(settings.runtime.parent.glob("*/owner"))


@contextmanager
def turn(settings: Settings) -> Iterator[None]:
    """Nobody else's cluster comes or goes meanwhile."""
    with locks.exclusive(settings.runtime.parent / "owners.lock", "claiming or giving up the name of a cluster"):
        yield


def _record(settings: Settings) -> Path:
    return settings.runtime / "owner"
