"""What `decide` returns: the status to be written and the actions to be taken, in this order of trust."""

from dataclasses import dataclass

from tidegate.api.rollout_status import FeatureRolloutStatus
from tidegate.domain.exposure import Write

FINALIZER = "tidegate.io/rollout"
RETRY = 30.0
"""Seconds until something is read again that only an external writer can mend, should the event that announces it be missed."""


@dataclass(frozen=True, slots=True)
class AddFinalizer:
    """Make sure that deletion waits for us."""


@dataclass(frozen=True, slots=True)
class RemoveFinalizer:
    """Nothing is left to undo."""


Action = Write | AddFinalizer | RemoveFinalizer


@dataclass(frozen=True, slots=True)
class Decision:
    """`requeue_after` is in seconds; 0 means at once, None that only an event or the resync wakes it."""

    status: FeatureRolloutStatus
    actions: tuple[Action, ...]
    requeue_after: float | None
