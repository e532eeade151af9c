"""Counting events for count gates, from raw samples since the last reconcile, or since status. All that is kept here can be asked again."""

import hashlib
import math
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from tidegate.api.rollout_status import Counted
from tidegate.clients.prometheus import InstantVector, Samples, Series
from tidegate.domain.answers import CountAnswer, Failure
from tidegate.domain.counting import KEPT_FOR, Tally, Track, begun, counted_on, from_status
from tidegate.domain.queries import bare_selector, with_matcher
from tidegate.observe.questions import Questions, Source

PIECE = 300.0
"""Seconds of raw samples that one question asks for, at most."""
LATE = 60.0
"""Seconds by which a sample may be there to be read later than its own time says: a scrape takes a while, and its samples have the time at
which it began. Without it, scrapes that begin just before each tick of the interval would never be seen."""
PIECES_PER_LOOK = 12
_MOST = 20_000
_TARGET_LABELS = ("job", "namespace", "instance", "pod", "service")


@dataclass(frozen=True, slots=True)
class Counter:
    """What is counted, for whom (any key that stands for one gate of one attempt), and from when on (Unix seconds)."""

    owner: tuple[object, ...]
    selector: str
    fingerprint: str
    since: float


class Counts:
    """Tallies, by gate. A tally that was lost with the process is rebuilt from the one in status, or from the beginning."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        self._tallies: OrderedDict[tuple[object, ...], Tally] = OrderedDict()

    async def answer(self, source: Source, counter: Counter, stored: Counted | None, at: float) -> CountAnswer | Failure:
        """The count up to `at`. After a long absence it takes several reconciles to catch up."""
        tally = self._known(counter, stored) or await self._begun(source, counter)
        if isinstance(tally, Failure):
            return tally
        for _ in range(PIECES_PER_LOOK):
            if tally.until >= at:
                break
            begins, until = tally.until - LATE, min(at, tally.until + PIECE)
            raw = await self._questions.raw(source, f"{counter.selector}[{math.ceil((until - begins) * 1000)}ms]", until)
            if isinstance(raw, Failure):
                return raw
            tally = counted_on(tally, until, _tracks(raw.series))
            self._keep(counter, tally)
        return await self._with_age(source, counter, tally, at)

    async def _with_age(self, source: Source, counter: Counter, tally: Tally, at: float) -> CountAnswer | Failure:
        newest = await self._questions.newest(source, counter.selector, at)
        if isinstance(newest, Failure):
            return newest
        if newest is None and "job" in bare_selector(counter.selector):
            newest = await self._up(source, counter, at)
            if isinstance(newest, Failure):
                return newest
        series = sum(seen > tally.until - PIECE for _, seen in tally.last.values())
        return CountAnswer(at, counter.fingerprint, tally, series, tally.until >= at, newest)

    async def _up(self, source: Source, counter: Counter, at: float) -> float | Failure | None:
        """The time of the newest sample of a target of the counter's job that is up; None where there is none."""
        alive = await self._questions.vector(source, f"max(timestamp({with_matcher(counter.selector, 'up', _TARGET_LABELS)} == 1))", at)
        if isinstance(alive, Failure):
            return alive
        return alive.series[0].value if alive.series else None

    def _known(self, counter: Counter, stored: Counted | None) -> Tally | None:
        kept = self._tallies.get(counter.owner)
        written = from_status(stored) if stored is not None and stored.counter == counter.fingerprint else None
        known = [tally for tally in (kept, written) if tally is not None and tally.since == counter.since]
        return max(known, key=lambda tally: tally.until, default=None)

    async def _begun(self, source: Source, counter: Counter) -> Tally | Failure:
        query = f"last_over_time({counter.selector}[{int(KEPT_FOR)}s])"
        values: InstantVector | Failure = await self._questions.vector(source, query, counter.since)
        if isinstance(values, Failure):
            return values
        return begun(counter.since, ((_hash(one), one.value) for one in values.series))

    def _keep(self, counter: Counter, tally: Tally) -> None:
        self._tallies[counter.owner] = tally
        self._tallies.move_to_end(counter.owner)
        while len(self._tallies) > _MOST:
            self._tallies.popitem(last=False)


def _tracks(series: Iterable[Samples]) -> Iterable[Track]:
    return (Track(_hash(one), one.values) for one in series)


def _hash(series: Series | Samples) -> str:
    """Labels without the metric's name: functions drop it, raw samples have it."""
    labels = [pair for pair in series.labels if pair[0] != "__name__"]
    return hashlib.sha256(repr(labels).encode()).hexdigest()[:16]
