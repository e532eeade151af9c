"""From what was seen to figures. Pure: all times are Unix seconds of the one machine that everything runs on."""

import json
import statistics
from collections.abc import Iterable, Sequence
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
ALLOWED_SECONDS = 2.5
"""How old the news may be that a rise doesn't know yet: a scrape, an interval, and half a second for its writes. All of these are given
to good news as well."""
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


def lateness(points: Points, dwell: float, blind: Sequence[Span]) -> list[float]:
    """By how much each step after the first came later than it was due; what was due in a blind span is due at its end."""
    times = [at for at, _ in rises(points)]
    out = []
    for before, after in pairwise(times):
        due = before + dwell
        for begin, end in blind:
            if begin <= due < end:
                due = end
        out.append(after - due)
    return out


@dataclass(frozen=True, slots=True)
class Reading:
    """What one lane lived through. `bad`: when the application turned bad; `queryable`: when the first bad sample could be queried;
    `stored` and `pushed`: the exposure in the flag set, and as each flag server pushed it; `blind`: when nothing may rise."""

    moment: str
    began: float
    ended: float
    stored: Points
    pushed: tuple[Points, ...]
    bad: float | None
    queryable: float | None
    blind: tuple[Span, ...]
    dwell: float
    chain: tuple[str, ...]

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

    def after_push(self) -> float | None:
        """From the later of sample and fault's end to the last client."""
        return None if self.zero_pushed is None or self.known is None else self.zero_pushed - max(self.known, self.ended)


def median_and_max(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{statistics.median(known):.1f}, {max(known):.1f}" if known else "–"


HEAD = """\
| fault | readings | rises on bad, stale or missing data | dwells cut short | broken records | 0 % after the bad sample: median, max s | \
after the fault's end | pushed to all clients, from both | a due step late by at most |
|---|---|---|---|---|---|---|---|---|"""


def row(name: str, readings: Sequence[Reading]) -> str:
    """One line of the table."""
    turned = [one for one in readings if one.bad is not None]
    missing = sum(one.zero is None for one in turned)
    late = [value for one in readings if one.bad is None for value in lateness(one.stored, one.dwell, one.blind)]
    cells = [
        name,
        str(len(turned)) + (f", {missing} never at 0 %" if missing else ""),
        str(sum(len(wrong_rises(one.stored, one.blind)) for one in readings)),
        str(sum(len(short_dwells(one.stored, one.dwell)) for one in readings)),
        str(sum(len(one.chain) for one in readings)),
        median_and_max(one.after_sample() for one in turned),
        median_and_max(one.after_end() for one in turned),
        median_and_max(one.after_push() for one in turned),
        f"{max(late):.1f}" if late else "–",
    ]
    return "| " + " | ".join(cells) + " |"
