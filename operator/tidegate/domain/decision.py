"""What `decide` returns: the status to be written and the actions to be taken, in this order of trust."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.api.rollout_status import FeatureRolloutStatus
from tidegate.domain.drift import DriftNote
from tidegate.domain.snapshot import Marker

FINALIZER = "tidegate.io/flag"
RETRY = 30.0
"""Seconds until a look at something that only somebody else can mend, should the event that tells of it be missed."""


@dataclass(frozen=True, slots=True)
class WriteFlag:
    """Write one flag of a flag set.

    `expected` is the marker that the decision saw. The write is refused if the flag's marker has changed since; switching off is refused
    only if the flag belongs to somebody else by now. `seen_percent` is the exposure that it saw: nothing is raised from any other.
    `renews`: nothing changes but the end of the lease, so that it may wait for others. `reclaims`: the flag is ours, though somebody else
    took the marker away.
    """

    config_map: str
    key: str
    percent: int
    definition: Mapping[str, Any]
    marker: Marker
    expected: Marker | None
    raises: bool
    renews: bool = False
    reclaims: bool = False
    note: DriftNote | None = None
    seen_percent: int | None = None


@dataclass(frozen=True, slots=True)
class AddFinalizer:
    """Make sure that deletion waits for us."""


@dataclass(frozen=True, slots=True)
class RemoveFinalizer:
    """Nothing is left to undo."""


Action = WriteFlag | AddFinalizer | RemoveFinalizer


@dataclass(frozen=True, slots=True)
class Decision:
    """`requeue_after` is in seconds; 0 means at once, None that only an event or the resync looks again."""

    status: FeatureRolloutStatus
    actions: tuple[Action, ...]
    requeue_after: float | None
