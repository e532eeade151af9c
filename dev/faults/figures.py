"""From what was seen to figures. Pure: all times are Unix seconds of the one machine that everything runs on."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from tests.e2e.support.exposure import nearest_percent, share_on

from faults.witness import Versions

Points = tuple[tuple[float, int | None], ...]
"""(time, percent that clients have from then on), None where there is no such flag."""
Span = tuple[float, float]
"""From when until when."""
PERCENTS = (0, 10, 25, 50, 75, 100)
ALLOWED_SECONDS = 3.0
"""How old the news may be that a rise doesn't know yet: a scrape, an interval, and a second for its writes."""
CLOCK_SECONDS = 0.5
"""What a busy machine may blur in the distance of two arrivals."""


def exposure(versions: Versions, flag: str) -> Points:
    """What clients had, by flagd's own evaluator; without repetitions."""
    points: list[tuple[float, int | None]] = []
    for at, text in versions:
        percent = None if text is None else _percent(json.dumps((json.loads(text).get("flags") or {}).get(flag)), flag)
        if not points or points[-1][1] != percent:
            points.append((at, percent))
    return tuple(points)


@lru_cache(maxsize=4096)
def _percent(definition: str, flag: str) -> int | None:
    parsed = json.loads(definition)
    if parsed is None:
        return None
    return nearest_percent(share_on(json.dumps({"flags": {flag: parsed}}), flag), PERCENTS)


def rises(points: Points) -> list[tuple[float, int]]:
    """(time, percent) of each; a flag that comes back counts from what it had."""
    out, before = [], 0
    for at, percent in points:
        if percent is None:
            continue
        if percent > before:
            out.append((at, percent))
        before = percent
    return out


def wrong_rises(points: Points, blind: Sequence[Span]) -> list[tuple[float, int]]:
    """Those inside a span in which what is known is bad, stale or missing, once that could be known."""
    return [(at, percent) for at, percent in rises(points) if any(begin + ALLOWED_SECONDS < at < end for begin, end in blind)]


def short_dwells(points: Points, dwell: float) -> list[float]:
    """Steps that came sooner after the one before than its dwell."""
    times = [at for at, _ in rises(points)]
    return [after - before for before, after in pairwise(times) if after - before < dwell - CLOCK_SECONDS]


def zero_at(points: Points) -> float | None:
    """Since when nobody has the feature any more; None where somebody has it at the end, or there is no flag that says so."""
    return points[-1][0] if points and points[-1][1] == 0 else None


def lateness(points: Points, dwell: float, away: Sequence[Span]) -> list[float]:
    """By how much each step after the first came later than it was due; what was due while something was away is due at its end."""
    times = [at for at, _ in rises(points)]
    out = []
    for before, after in pairwise(times):
        due = before + dwell
        for begin, end in away:
            if begin <= due < end <= after:
                due = end
        out.append(after - due)
    return out


@dataclass(frozen=True, slots=True)
class Reading:
    """What one lane lived through. `bad`: when the application turned bad; `queryable`: when the first bad sample could be queried;
    `stored` and `pushed`: the exposure in the flag set, and as each flag server pushed it; `blind`: when nothing may rise; `away`: when a
    step that is due may wait; `muted`: when clients hear of nothing; `faults`: what is wrong with its records."""

    moment: str
    began: float
    ended: float
    stored: Points
    pushed: tuple[Points, ...]
    bad: float | None
    queryable: float | None
    blind: tuple[Span, ...]
    away: tuple[Span, ...]
    muted: tuple[Span, ...]
    dwell: float
    faults: tuple[str, ...]

    @property
    def known(self) -> float | None:
        """From when on the bad sample is known to who asks."""
        return self.queryable if self.queryable is not None else self.bad

    @property
    def zero(self) -> float | None:
        """When nobody had it any more, by what is stored."""
        return zero_at(self.stored)

    @property
    def zero_pushed(self) -> float | None:
        """The same by what the slowest flag server has pushed."""
        zeros = [zero_at(points) for points in self.pushed]
        return None if not zeros or None in zeros else max(zero for zero in zeros if zero is not None)

    def after_sample(self) -> float | None:
        return None if self.zero is None or self.known is None else self.zero - self.known

    def after_end(self) -> float | None:
        """None where it was at 0 % before the fault ended. What became bad only after the end counts from then."""
        if self.zero is None or self.known is None or self.zero <= self.ended:
            return None
        return self.zero - max(self.ended, self.known)

    def after_both(self) -> float | None:
        """From when both the fault was there and the sample."""
        return None if self.zero is None or self.known is None else self.zero - max(self.known, self.began)

    def to_clients(self) -> float | None:
        """From when it was written, or when clients could hear of it again, to when every flag server had pushed it."""
        if self.zero is None or self.zero_pushed is None:
            return None
        since = max([self.zero, *(end for begin, end in self.muted if begin <= self.zero < end)])
        return max(0.0, self.zero_pushed - since)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is promised, in seconds; None for what isn't. `after_end`: 0 % after the fault's end, and after the bad sample where that came
    later; `after_both`: 0 % after the fault's beginning and the bad sample; `step`: how late a due step may be."""

    after_end: float | None = 3.0
    after_both: float | None = None
    step: float | None = None


USUAL = Bounds()
_COLUMNS = (
    *("fault", "readings", "wrong rises", "short dwells", "broken records"),
    *("0 % after the bad sample", "after the fault's end", "to clients", "step late", "beside"),
)
HEAD = f"| {' | '.join(_COLUMNS)} |\n{'|---' * len(_COLUMNS)}|"
LEGEND = """\
wrong rises: on bad, stale or missing data. Times are seconds, as median and maximum. To clients: from when 0 % was written, or from the
fault's end, to when both flag servers had pushed it. Step late: by how much a due step of the rollout that stays good was made too late;
what was due during an outage counts from its end. "late" stands behind what is out of its bounds."""
LATE = "late"
"""Stands behind what is out of its bounds."""


@dataclass(frozen=True, slots=True)
class Measured:
    """All readings of one row, and what else is to be said."""

    name: str
    readings: tuple[Reading, ...]
    told: str
    bounds: Bounds

    @property
    def _turned(self) -> list[Reading]:
        """Those whose application turned bad."""
        return [one for one in self.readings if one.bad is not None]

    def line(self) -> str:
        """One line of the table."""
        steps = [value for one in self.readings if one.bad is None for value in lateness(one.stored, one.dwell, one.away)]
        both = [one.after_both() for one in self._turned]
        cells = [
            self.name,
            str(len(self._turned) or len(self.readings)),
            str(sum(len(wrong_rises(one.stored, one.blind)) for one in self.readings)),
            str(sum(len(short_dwells(one.stored, one.dwell)) for one in self.readings)),
            str(sum(len(one.faults) for one in self.readings)),
            told([one.after_sample() for one in self._turned]) + late(both, self.bounds.after_both),
            told([one.after_end() for one in self._turned], self.bounds.after_end),
            told([one.to_clients() for one in self._turned], digits=2),
            (f"{max(steps):.1f}" if steps else "–") + late(steps, self.bounds.step),
            self.told,
        ]
        return "| " + " | ".join(cells) + " |"

    def wrong(self) -> list[str]:
        """What must not be, in a sentence each; times count from the fault's beginning."""
        out = []
        for one in self.readings:
            wrongly = [f"{percent} % at {at - one.began:.1f} s" for at, percent in wrong_rises(one.stored, one.blind)]
            out += [f"a rise to {each}, on bad, stale or missing data; turns bad {one.moment}" for each in wrongly]
            out += [f"a step {took:.1f} s after the one before; turns bad {one.moment}" for took in short_dwells(one.stored, one.dwell)]
            out += [f"{fault}; turns bad {one.moment}" for fault in one.faults]
            if one.bad is not None and one.zero is None:
                out.append(f"not at 0 %; turns bad {one.moment}")
        return out


def told(values: Sequence[float | None], bound: float | None = None, digits: int = 1) -> str:
    """Median and maximum of what there is."""
    known = [value for value in values if value is not None]
    text = f"{statistics.median(known):.{digits}f}, {max(known):.{digits}f}" if known else "–"
    return text + late(values, bound)


def late(values: Sequence[float | None], bound: float | None) -> str:
    """Whether one is out of bounds."""
    return f" {LATE}" if bound is not None and any(value is not None and value > bound for value in values) else ""
