"""Where the small world stands: everything that is stored, what a process remembers, and what an observer who forgets nothing knows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum

from tests.builders import T0

from search.flags import Flags
from search.scopes import INTERVAL
from search.spec import Choice
from tidegate.api.rollout_status import FeatureRolloutStatus, GateStatus
from tidegate.domain.snapshot import RunView

TICK = timedelta(seconds=INTERVAL)
AFTER_TICK = timedelta(milliseconds=20)
"""All reconciles begin this long after a tick: no two things of different causes happen at the same instant."""
FIRST = T0 + AFTER_TICK


class Life(Enum):
    ALIVE = "alive"
    DELETING = "deleting"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Breach:
    """Bad samples of one gate in a row, as the observer counted them."""

    since: datetime
    last: datetime
    samples: int


@dataclass(frozen=True, slots=True)
class Memory:
    """What the observer knows. `fallen`: the revisions that were rolled back, and not tried again since because a person asked for it.
    `begun`: when the newest attempts began, whatever became of their objects.
    `lowered`: the percent of a manual override. `stood`: the percent that status last rose to, when it was read back. `breaches`: by
    gate."""

    fallen: frozenset[str] = frozenset()
    begun: tuple[datetime, ...] = ()
    lowered: int | None = None
    stood: tuple[int, datetime] | None = None
    breaches: Mapping[str, Breach] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """All of it. `runs`: the last RolloutRun of each revision, the newest one last; `made`: when the newest of all were. `evidence` is the
    process's own: lost when it is killed. `appends`: whether records can be appended. `behind`: by how many ticks the clock was set back.
    `hands`: how often somebody changed the flag."""

    now: datetime
    choice: Choice
    status: FeatureRolloutStatus
    generation: int = 1
    uid: int = 1
    version: int = 1
    finalizer: bool = False
    life: Life = Life.ALIVE
    flags: Flags | None = None
    runs: tuple[RunView, ...] = ()
    made: tuple[datetime, ...] = ()
    evidence: tuple[int, tuple[GateStatus, ...]] | None = None
    policy: bool = True
    appends: bool = True
    behind: int = 0
    hands: int = 0
    memory: Memory = field(default_factory=Memory)
    sleeper: "Sleeper | None" = None

    @property
    def recorded(self) -> int:
        """Number of the newest record in a run."""
        return max((run.seq for run in self.runs), default=0)


@dataclass(frozen=True, slots=True)
class Sleeper:
    """A leader that was stopped after it had read: where it stood then, and what the gates read (a place in the scope's readings)."""

    seen: Place
    said: int


def last_tick_of(now: datetime) -> datetime:
    """The evaluation time of a reconcile."""
    return datetime.fromtimestamp(now.timestamp() // INTERVAL * INTERVAL, UTC)
