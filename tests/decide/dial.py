"""A second lever, for the tests alone: a dial that shows a percent, settles late, has no lease, and may refuse. The core can't tell it from
any other."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from tidegate.domain.exposure import Change, Mark, Reading, Wish, Write
from tidegate.domain.problems import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn(Write):
    """Set the dial."""


def _print(percent: int, mark: Mark | None) -> str:
    return hashlib.sha256(f"{percent} {None if mark is None else mark.claim}".encode()).hexdigest()


class DialLever:
    """The dial as the core sees it."""

    identity = "dial/hall"
    label = "dial hall"

    def adoptable(self, reading: Reading, rollout: str) -> Problem | None:
        return None

    def lowers(self, reading: Reading) -> bool:
        return reading.percent is not None

    def writes(self, wish: Wish, reading: Reading) -> tuple[Turn, ...]:
        if reading.percent == wish.percent and wish.mark.says_as(reading.mark) and not wish.anew:
            return ()
        return (self._turn(wish.percent, wish.mark, reading, wish.anew),)

    def last(self, reading: Reading, mark: Mark, *, keep: bool, anew: bool, owned: bool) -> tuple[Turn, ...]:
        if (keep or reading.percent == 0) and not anew:
            return ()
        return (self._turn((reading.percent or 0) if keep else 0, mark, reading, anew),)

    def fingerprint(self, wish: Wish) -> str:
        return _print(wish.percent, wish.mark)

    def differences(self, wish: Wish, reading: Reading, meant: int | None) -> tuple[Change, ...]:
        return (Change("percent", str(meant), str(reading.percent)),) if reading.percent != meant else (Change("mark"),)

    def own_status(self) -> Mapping[str, Any]:
        return {}

    def _turn(self, percent: int, mark: Mark, seen: Reading, anew: bool) -> Turn:
        return Turn(percent=percent, mark=mark, seen=seen, raises=percent > (seen.percent or 0), anew=anew)


@dataclass
class Dial:
    """Where the dial stands. After a raise it settles only at the `lag`th reading; with `refuses` no write goes through."""

    percent: int | None = None
    mark: Mark | None = None
    epoch: int = 0
    lag: int = 2
    refuses: bool = False
    unsettled: int = field(default=0)

    def read(self) -> Reading:
        self.unsettled = max(0, self.unsettled - 1)
        known = None if self.percent is None else _print(self.percent, self.mark)
        return Reading(self.percent, self.mark, known, settling=self.unsettled > 0)

    def set(self, turn: Turn, now: datetime) -> str | None:
        """Why it is refused; None where it is done."""
        is_stale = (self.percent, self.mark) != (turn.seen.percent, turn.seen.mark)
        if self.refuses or (is_stale and turn.percent > (self.percent or 0)):
            return "the dial was set since, or is stuck"
        self.epoch += 1
        self.unsettled = self.lag if turn.raises else 0
        self.percent, self.mark = turn.percent, replace(turn.mark, epoch=self.epoch, written_at=now)
        return None
