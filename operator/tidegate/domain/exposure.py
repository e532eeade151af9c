"""What the core knows of the outside: what clients have (Reading), what Tidegate wrote beside it (Mark), what it wants (Wish); and the
protocol of whatever moves exposure (Lever)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from tidegate.api.rollout_status import State
from tidegate.domain.problems import Problem


@dataclass(frozen=True, slots=True)
class Mark:
    """What Tidegate wrote beside a lever. Others can write it too: it may lower, and it never raises, excuses or names an owner.

    `percent` is what was written with it, `epoch` grows with every write to the object that holds it. No text: it may be anybody's.
    """

    rollout: str
    uid: str
    attempt: int
    state: State
    percent: int
    revision: str | None = None
    rejected: str | None = None
    epoch: int = 0
    written_at: datetime | None = None

    def says_as(self, other: "Mark | None") -> bool:
        """Whether both say the same; epoch and time belong to a write, not to what it says."""
        return other is not None and self.claim == other.claim

    @property
    def claim(self) -> tuple[object, ...]:
        """What the mark says of the rollout, by field."""
        return self.rollout, self.uid, self.attempt, self.state, self.percent, self.revision, self.rejected


@dataclass(frozen=True, slots=True)
class ExternalWriter:
    """Who wrote a field last, by the field manager that its client gave itself. `at` is in whole seconds."""

    manager: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One field that an external writer changed. Values of others are kept only where they are a plain word."""

    field: str
    before: str | None = None
    after: str | None = None

    def __str__(self) -> str:
        return self.field if self.before is None or self.after is None else f"{self.field} {self.before} → {self.after}"


@dataclass(frozen=True, slots=True)
class Reading:
    """A lever as it was read.

    `percent`: what clients have now; None where there is no object. `unreadable` says why it can't be told: `percent` is 100 then.
    `fingerprint` stands for everything that a write sets, the end of a lease aside; None where there is no object. `around`: what an
    external writer changed beside it. `expires`: when clients turn it off by themselves (Unix seconds). `settling`: written, and not in
    force yet. `live` is for the lever alone.
    """

    percent: int | None
    mark: Mark | None = None
    fingerprint: str | None = None
    around: tuple[Change, ...] = ()
    writer: ExternalWriter | None = None
    unreadable: str | None = None
    expires: int | None = None
    settling: bool = False
    live: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_known(self) -> bool:
        """Whether there is an object whose exposure can be told."""
        return self.percent is not None and self.unreadable is None

    def owned(self, uid: str, attempt: int) -> bool:
        """Whether the mark is that of this attempt of this rollout."""
        return self.mark is not None and (self.mark.uid, self.mark.attempt) == (uid, attempt)

    def is_expired(self, now: datetime) -> bool:
        """Whether clients have turned the feature off by themselves."""
        return self.expires is not None and now.timestamp() >= self.expires


class Mode(StrEnum):
    """WAITING: nobody but those who are always let in. SHOWN: the share, and those. OFF: nobody at all."""

    WAITING = "WAITING"
    SHOWN = "SHOWN"
    OFF = "OFF"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a lever should show. `anew`: written also where nothing differs. `owned`: the lever is this rollout's by its status, whatever
    stands there now."""

    percent: int
    mode: Mode
    mark: Mark
    expires: int | None = None
    anew: bool = False
    owned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One write to a lever. `seen`: what the decision read. `raises`: more clients get the feature. `renews`: nothing changes but the end
    of a lease, so that it may wait for others. `anew`: it corrects, and holds whatever stands there by now, unless that would raise it.
    `owned` as in Wish."""

    percent: int
    mark: Mark
    seen: Reading
    raises: bool
    renews: bool = False
    anew: bool = False
    owned: bool = False


class Lever(Protocol):
    """Percent → objects, and objects → percent, for one target. Pure."""

    @property
    def identity(self) -> str:
        """What is moved, the same for every rollout that moves it: a rejection is about it."""
        ...

    @property
    def label(self) -> str:
        """The lever's object in a message, such as `flag new-search`."""
        ...

    def adoptable(self, reading: Reading, rollout: str) -> Problem | None:
        """Why what stands there can't be taken over by this rollout (namespace/name); None where it can."""
        ...

    def lowers(self, reading: Reading) -> bool:
        """Whether nobody sees what stands there who shouldn't: a smaller percent alone may be one of other people."""
        ...

    def writes(self, wish: Wish, reading: Reading) -> tuple[Write, ...]:
        """The next safe writes, in order; none where all is as wished."""
        ...

    def last(self, reading: Reading, mark: Mark, *, keep: bool, anew: bool, owned: bool) -> tuple[Write, ...]:
        """What is left behind when the object is deleted: kept as clients have it, or off."""
        ...

    def fingerprint(self, wish: Wish) -> str:
        """What a reading's fingerprint will be after the wish was written."""
        ...

    def differences(self, wish: Wish, reading: Reading, meant: int | None) -> tuple[Change, ...]:
        """What writing the wish corrects; `meant` is the percent that was in force by status."""
        ...

    def own_status(self) -> Mapping[str, Any]:
        """Fields of status that only this lever has, by name."""
        ...


class Expires:
    """Base of a lever whose clients turn it off by themselves unless it is renewed."""

    @property
    def lease_seconds(self) -> int | None:
        """None where this target has no lease."""
        return None
