"""What may go wrong in an election: each scene is one way, and `scenes` gives them all."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import product

from search.election.wire import Fate

LONG, SHORT = 10.0, 2.0
"""Seconds that a Lease lasts: by default, and at least."""


class What(StrEnum):
    """What happens to a process."""

    STOPPED = "is stopped for"
    KILLED = "is killed, and begins again after"
    ASKED = "is asked to stop"
    DELETED = "has its Lease deleted"
    TWIN = "gets a twin of the same name"


@dataclass(frozen=True, slots=True)
class Cut:
    """After so many turns: of the leader ("a") from after a renewal, of the standby ("b") from when it first writes."""

    whom: str
    turn: int
    what: What
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Outage:
    """From a turn of the leader on the API server is away, for all or for one."""

    turn: int
    seconds: float
    how: Fate
    whom: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """`fates`: of the requests of `unlucky` from the same moment as its turns; if `is_gray`, of all its writes. `standby`: by how much its
    looks are shifted. `restart`: seconds until an ended process begins again, in the same pod or in another. `place` "": all by hand.
    `duration`: of the Lease."""

    cuts: tuple[Cut, ...] = ()
    fates: tuple[Fate, ...] = ()
    outage: Outage | None = None
    unlucky: str = "a"
    is_gray: bool = False
    standby: float = 0.0
    jitter: float = 0.5
    restart: float = 1.0
    same_pod: bool = True
    place: str = "a"
    duration: float = LONG

    def __str__(self) -> str:
        parts = [f"{cut.whom} {cut.what}{f' {cut.seconds:g} s' if cut.seconds else ''} after turn {cut.turn}" for cut in self.cuts]
        parts += [f"request {number} of {self.unlucky} {fate}" for number, fate in enumerate(self.fates) if fate is not Fate.FINE]
        if self.is_gray:
            parts.append("and so does each further write")
        if self.outage is not None:
            whom = self.outage.whom or "all"
            how = f"each request of {whom} {self.outage.how}"
            parts.append(f"from turn {self.outage.turn} on for {self.outage.seconds:g} s {how}")
        parts.append(f"the standby's looks are shifted by {self.standby:g} s, jitter {self.jitter:g}")
        if self.duration != LONG:
            parts.append(f"a Lease lasts {self.duration:g} s")
        if not self.same_pod:
            parts.append("processes begin again in another pod")
        return "; ".join(parts)


TURNS = range(26)
"""One period of the leader, from renewal to renewal, and the beginning of the next."""
LENGTHS = (0.3, 2.0, 4.0, 5.4, 5.9, 6.4, 6.98, 7.02, 8.5, 9.9, 9.99, 10.01, 10.2, 10.6, 11.5, 15.0)
"""Around the patience, the deadline and the duration, counted from the last renewal or from the stop."""
SHIFTS = (0.0, 0.17, 0.34)
FATES = tuple(Fate)
_FEW = (Fate.FINE, Fate.UNANSWERED)


def undisturbed() -> Iterator[Scene]:
    """Nothing, or one request that goes wrong."""
    for fate, shift, jitter in product(FATES, SHIFTS, (0.0, 0.5, 0.999)):
        yield Scene(fates=(fate,), standby=shift, jitter=jitter)


def leader_stopped() -> Iterator[Scene]:
    """At each turn, for each length, with each fate of its last renewal and of what it asks after that."""
    for turn, length, first, second, third, shift in product(TURNS, LENGTHS, FATES, FATES, _FEW, SHIFTS[:2]):
        yield Scene(cuts=(Cut("a", turn, What.STOPPED, length),), fates=(first, second, third), standby=shift)


def short_lease() -> Iterator[Scene]:
    """The leader is stopped; no answer is waited for longer than a second, and the deadline is 1.4 s."""
    for turn, length, first, second, shift in product(TURNS, LENGTHS, FATES, _FEW, SHIFTS[:2]):
        cut = Cut("a", turn, What.STOPPED, length * SHORT / LONG)
        yield Scene(cuts=(cut,), fates=(first, second), standby=shift, duration=SHORT)


def leader_stopped_twice() -> Iterator[Scene]:
    """A second time soon after it woke."""
    lengths = (2.0, 5.9, 7.2, 9.9, 10.2)
    for turn, after, first, second, shift in product(TURNS, range(1, 9), lengths, lengths, SHIFTS):
        yield Scene(cuts=(Cut("a", turn, What.STOPPED, first), Cut("a", turn + after, What.STOPPED, second)), standby=shift)


def leader_killed() -> Iterator[Scene]:
    """Its container is started again, or another pod is made."""
    for turn, restart, same_pod, fate, shift in product(TURNS, (0.2, 3.0, 9.8, 10.3, 15.0), (True, False), FATES, SHIFTS):
        yield Scene(cuts=(Cut("a", turn, What.KILLED, restart),), fates=(fate,), same_pod=same_pod, standby=shift)


def both_killed() -> Iterator[Scene]:
    """The leader, and the standby when it takes over."""
    for turn, restart, standby, fate, shift in product(TURNS, (0.2, 11.0), range(6), FATES, SHIFTS):
        cuts = (Cut("a", turn, What.KILLED, 30.0), Cut("b", standby, What.KILLED, restart))
        yield Scene(cuts=cuts, fates=(fate,), unlucky="b", standby=shift)


def asked_to_stop() -> Iterator[Scene]:
    """It drains, and may be stopped while it does."""
    for turn, fates, shift in product(TURNS, product(FATES, FATES), SHIFTS):
        yield Scene(cuts=(Cut("a", turn, What.ASKED),), fates=fates, standby=shift)
    for turn, after, length, fate in product(TURNS, range(12), (0.3, 2.0, 6.5, 7.2, 10.2, 12.5, 25.0), FATES):
        yield Scene(cuts=(Cut("a", turn, What.ASKED), Cut("a", turn + after, What.STOPPED, length)), fates=(fate,))


def away() -> Iterator[Scene]:
    """The API server, for everybody or for one of them: refuses, loses, or does it all when it is back."""
    lengths, how = (1.0, 5.0, 6.9, 7.5, 9.9, 10.4, 20.0), (Fate.REFUSED, Fate.LOST, Fate.LATE)
    for turn, seconds, one, whom, fate, shift in product(TURNS, lengths, how, ("", "a", "b"), FATES, SHIFTS[:2]):
        yield Scene(outage=Outage(turn, seconds, one, whom), fates=(fate,), standby=shift)


def away_and_stopped() -> Iterator[Scene]:
    """The leader is stopped while the API server is away."""
    for turn, seconds, one, after, length in product(
        TURNS, (5.0, 9.9, 20.0), (Fate.REFUSED, Fate.LOST, Fate.LATE), range(1, 12, 2), LENGTHS[::3]
    ):
        yield Scene(cuts=(Cut("a", turn + after, What.STOPPED, length),), outage=Outage(turn, seconds, one))


def standby_cut() -> Iterator[Scene]:
    """It is stopped, killed or asked to stop while it takes over from a leader that is dead, or stopped and wakes."""
    gone = (Cut("a", 1, What.KILLED, 60.0), Cut("a", 1, What.STOPPED, 10.6), Cut("a", 1, What.STOPPED, 14.0))
    cuts = [(What.STOPPED, length) for length in LENGTHS[::2]] + [(What.KILLED, 0.5), (What.ASKED, 0.0)]
    for first, turn, (what, length), fates, shift in product(gone, range(10), cuts, product(FATES, _FEW), SHIFTS[:2]):
        yield Scene(cuts=(first, Cut("b", turn, what, length)), fates=fates, unlucky="b", standby=shift)


def gray() -> Iterator[Scene]:
    """Reads are answered; no write of one process ever is."""
    for fate, shift, jitter in product((Fate.UNANSWERED, Fate.LATE, Fate.LOST, Fate.SLOW), SHIFTS, (0.0, 0.5, 0.999)):
        yield Scene(fates=(fate,), is_gray=True, standby=shift, jitter=jitter)


def deleted() -> Iterator[Scene]:
    """Somebody deletes the Lease of a leader, which may be stopped just then."""
    for turn, length, shift in product(TURNS, (0.3, 2.0, 6.9, 10.2), SHIFTS):
        yield Scene(cuts=(Cut("a", turn, What.DELETED), Cut("a", turn, What.STOPPED, length)), standby=shift)


def twins() -> Iterator[Scene]:
    """Two processes by hand on one host, with the same name."""
    for turn, length, shift in product(TURNS, LENGTHS[::2], SHIFTS):
        yield Scene(cuts=(Cut("a", turn, What.TWIN), Cut("a", turn + 1, What.STOPPED, length)), place="", standby=shift)


FAMILIES = {
    made.__name__: made
    for made in (
        undisturbed,
        leader_stopped,
        short_lease,
        leader_stopped_twice,
        leader_killed,
        both_killed,
        asked_to_stop,
        away,
        away_and_stopped,
        standby_cut,
        gray,
        deleted,
        twins,
    )
}
