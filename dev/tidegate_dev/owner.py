"""Whose the addresses of a native cluster are.

Its runtime folder notes its state folder: another one that uses the same name, or the same addresses, would end its pods.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from tidegate_dev import files, locks
from tidegate_dev.errors import ClusterError
from tidegate_dev.settings import Settings, ranges_of


def note(settings: Settings) -> None:
    """Before anything is made or removed. Raises ClusterError where the addresses are another cluster's."""
    with turn(settings):
        check(settings)
        files.write(settings.runtime / "owner", str(settings.state.resolve()))


def check(settings: Settings) -> None:
    """Raises ClusterError that names the other cluster and the remedy where the addresses are another one's."""
    for record in _records(settings):
        name, state = record.parent.name, Path(record.read_text())
        if ranges_of(name) == settings.ranges and state != settings.state.resolve():
            raise ClusterError(
                f"the addresses of cluster {settings.name!r} are in use by cluster {name!r} of the state folder {state}, and a machine "
                "has room for 'default' and one other: use that one, or take it down, by "
                f"TIDEGATE_STATE={state.parent} dev/cluster --name {name} …"
            )


def any_cluster(settings: Settings) -> bool:
    """Whether the machine has a native cluster of any name."""
    return any(_records(settings))


def alone(settings: Settings) -> bool:
    """Whether it has none but this."""
    return all(record.parent == settings.runtime for record in _records(settings))


def turn(settings: Settings) -> AbstractContextManager[int]:
    """No other cluster comes or goes meanwhile."""
    return locks.exclusive(settings.runtime.parent / "owners.lock", "noting whose a cluster is")


def _records(settings: Settings) -> Iterator[Path]:
    return settings.runtime.parent.glob("*/owner")
