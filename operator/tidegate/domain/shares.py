"""Fair shares: who is served next, so that nobody's many or slow requests keep another's waiting (docs/adr/0026).

    wait ──► the party's line, by rank ──► take: round the parties, where a slot is free ──► ended
                                                 └── lasts: its slot is free, the party's share is not

Pure: whoever uses it starts what is taken, and says what became of it.
"""

import heapq
import itertools
import math
from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
Rank = tuple[float, ...]
_TIDY_ABOVE = 64


@dataclass(frozen=True, slots=True)
class Bounds:
    """`slots`: how many quick ones are under way at once, of all parties. `share`: how many of one party, quick or not. `lasting`: how many
    that last are shared by the parties that have any, and how many more a party may begin whose own may turn out to last; each may always
    have one. `in_all`: how many quick and lasting ones there are together, but for a quarter of the slots, which are always there."""

    slots: int
    share: int
    lasting: int
    in_all: int


@dataclass(slots=True, eq=False)
class Turn(Generic[T]):
    """One request. `party` is who it goes at the cost of, None while it waits; a turn that several parties wait for goes at the cost of the
    first whose turn it is."""

    item: T
    party: str | None = None
    is_over: bool = False
    lasts: bool = False


@dataclass(slots=True)
class _Party(Generic[T]):
    """`line` is a heap of (rank, order of arrival, turn)."""

    line: list[tuple[Rank, int, Turn[T]]] = field(default_factory=list)
    under_way: int = 0
    lasting: int = 0
    tidy_above: int = _TIDY_ABOVE


class Shares(Generic[T]):
    """Slots for what ends soon. What lasts gives its slot back and goes on within its party's share, so that a slot is never far away."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._parties: dict[str, _Party[T]] = {}
        self._round = deque[str]()
        self._order = itertools.count()
        self._quick = 0
        self._lasting = 0
        self._with_lasting = 0

    def wait(self, turn: Turn[T], party: str, rank: Rank = ()) -> None:
        """`turn` waits in the line of a party, the smallest rank first. One that waits already, there or elsewhere, keeps its place too."""
        of = self._parties.setdefault(party, _Party())
        if not of.line:
            self._round.append(party)
        if len(of.line) >= of.tidy_above:
            _tidy(of)
        heapq.heappush(of.line, (rank, next(self._order), turn))

    def take(self) -> Turn[T] | None:
        """Whose turn it is, or None where nobody waits or may go on. Each that is taken must be `ended`."""
        for _ in range(len(self._round) if self._quick < self._slots() else 0):
            name = self._round.popleft()
            party = self._parties[name]
            turn = None if self._is_at_its_bound(party) else _first(party)
            if turn is not None:
                turn.party = name
                party.under_way += 1
                self._quick += 1
            _drop_what_is_over(party)
            if party.line:
                self._round.append(name)
            else:
                self._forget_if_idle(name)
            if turn is not None:
                return turn
        return None

    def lasts(self, turn: Turn[T]) -> None:
        """One that was taken takes long."""
        if turn.is_over or turn.lasts or turn.party is None:
            return
        turn.lasts = True
        party = self._parties[turn.party]
        self._with_lasting += party.lasting == 0
        party.lasting += 1
        self._lasting += 1
        self._quick -= 1

    def ended(self, turn: Turn[T]) -> None:
        """One that was taken has ended, or one that waits isn't wanted any more."""
        if turn.is_over:
            return
        turn.is_over = True
        if turn.party is None:
            return
        party = self._parties[turn.party]
        party.under_way -= 1
        if turn.lasts:
            party.lasting -= 1
            self._lasting -= 1
            self._with_lasting -= party.lasting == 0
        else:
            self._quick -= 1
        self._forget_if_idle(turn.party)

    def _slots(self) -> int:
        """For quick ones: those that last leave fewer of them."""
        bounds = self._bounds
        return max(math.ceil(bounds.slots / 4), min(bounds.slots, bounds.in_all - self._lasting))

    def _is_at_its_bound(self, party: _Party[T]) -> bool:
        lasting = self._bounds.lasting
        of_lasting = lasting // self._with_lasting if party.lasting else lasting - self._lasting
        return party.under_way >= min(self._bounds.share, max(1, of_lasting))

    def _forget_if_idle(self, name: str) -> None:
        party = self._parties[name]
        if not party.under_way and not party.line:
            del self._parties[name]


def _first(party: _Party[T]) -> Turn[T] | None:
    _drop_what_is_over(party)
    return heapq.heappop(party.line)[2] if party.line else None


def _drop_what_is_over(party: _Party[T]) -> None:
    while party.line and not _is_waiting(party.line[0][2]):
        heapq.heappop(party.line)


def _tidy(party: _Party[T]) -> None:
    """Those that were withdrawn behind others that wait must not pile up."""
    party.line = [entry for entry in party.line if _is_waiting(entry[2])]
    heapq.heapify(party.line)
    party.tidy_above = max(_TIDY_ABOVE, 2 * len(party.line))


def _is_waiting(turn: Turn[T]) -> bool:
    return turn.party is None and not turn.is_over
