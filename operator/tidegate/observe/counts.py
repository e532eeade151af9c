"""Counting events for count gates, from raw samples since the last reconcile, or since status. All that is kept here can be asked again."""

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tidegate.api.rollout_status import Counted
from tidegate.clients.prometheus import Samples
from tidegate.domain.answers import CountAnswer, Failure
from tidegate.domain.counting import KEPT_FOR, Tally, Track, begun, counted_on, from_status
from tidegate.observe.age import Source
from tidegate.observe.origins import Origins, series_name
from tidegate.observe.questions import Questions

PIECE = 300.0
"""Seconds of raw samples that one question asks for, at most."""
LATE = 60.0
"""Seconds by which a sample may be there to be read later than its own time says: a scrape takes a while, and its samples have the time at
which it began; VictoriaMetrics and remote writes take longer. Without it, scrapes that begin just before each tick would never be seen."""
PIECES_PER_LOOK = 12
_MOST = 20_000


@dataclass(frozen=True, slots=True)
class Counter:
    """What is counted, for whom (any key that stands for one gate of one attempt), and from when on (Unix seconds).

    `older`: its fingerprint in a status whose series had other names. `kept`: the label that the selector is confined by, "" for none.
    """

    owner: tuple[object, ...]
    selector: str
    fingerprint: str
    older: str
    since: float
    kept: str = ""


class Counts:
    """Tallies, by gate. A tally that was lost with the process is rebuilt from the one in status, or from the beginning."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        self._origins = Origins(questions)
        self._tallies: OrderedDict[tuple[object, ...], Tally] = OrderedDict()

    async def answer(self, source: Source, counter: Counter, stored: Counted | None, at: float) -> CountAnswer | Failure:
        """The count up to `at`. After a long absence it takes several reconciles to catch up."""
        tally = self._known(counter, stored) or await self._begun(source, counter, stored)
        if isinstance(tally, Failure):
            return tally
        for _ in range(PIECES_PER_LOOK):
            if tally.is_lost or tally.until >= at:
                break
            begins, until = tally.until - LATE, min(at, tally.until + PIECE)
            raw = await self._questions.raw(source, f"{counter.selector}[{math.ceil((until - begins) * 1000)}ms]", until)
            if isinstance(raw, Failure):
                return raw
            tracks = await self._tracks(source, counter, tally, raw.series, until)
            if isinstance(tracks, Failure):
                return tracks
            tally = counted_on(tally, until, tracks)
            self._keep(counter, tally)
        return await self._with_age(source, counter, tally, at)

    async def _with_age(self, source: Source, counter: Counter, tally: Tally, at: float) -> CountAnswer | Failure:
        age = await self._questions.life(source, counter.selector, at, counter.kept)
        if isinstance(age, Failure):
            return age
        series = sum(seen > tally.until - PIECE for _, seen in tally.last.values())
        return CountAnswer(at, counter.fingerprint, tally, series, tally.until >= at, age.oldest, age.newest)

    def _known(self, counter: Counter, stored: Counted | None) -> Tally | None:
        kept = self._tallies.get(counter.owner)
        written = from_status(stored) if stored is not None and stored.counter == counter.fingerprint else None
        known = [tally for tally in (kept, written) if tally is not None and tally.since == counter.since]
        return max(known, key=lambda tally: tally.until, default=None)

    async def _begun(self, source: Source, counter: Counter, stored: Counted | None) -> Tally | Failure:
        """A count that knows nothing of its series: at its beginning, or where an older version had come to."""
        before = from_status(stored) if stored is not None and stored.counter == counter.older else None
        if before is None or before.since != counter.since:
            return await self._begun_at(source, counter, counter.since)
        tally = await self._begun_at(source, counter, before.until)
        return tally if isinstance(tally, Failure) else replace(tally, since=before.since, total=before.total)

    async def _begun_at(self, source: Source, counter: Counter, at: float) -> Tally | Failure:
        """Series that have ended are known as well: after a rollout of the application they are as many as those that live."""
        values = await self._questions.every_series(source, f"last_over_time({counter.selector}[{int(KEPT_FOR)}s])", at)
        if isinstance(values, Failure):
            return values
        living = await self._questions.every_series(source, counter.selector, at)
        if isinstance(living, Failure):
            return living
        alive = {series_name(one.labels) for one in living.series}
        known = ((series_name(one.labels), one.value) for one in values.series)
        return begun(at, ((name, value, at if name in alive else at - PIECE) for name, value in known))

    async def _tracks(self, source: Source, counter: Counter, tally: Tally, series: Sequence[Samples], at: float) -> list[Track] | Failure:
        """The samples by series. Where some were not known before it is asked whether they are news."""
        tracks = [Track(series_name(one.labels), one.values) for one in series]
        if all(track.series in tally.last for track in tracks):
            return tracks
        origins = await self._origins.of(source, counter.selector, counter.kept, counter.since, at)
        if isinstance(origins, Failure):
            return origins
        return [
            track if track.series in tally.last else replace(track, base=origins.base(one, counter.since, series))
            for track, one in zip(tracks, series, strict=True)
        ]

    def _keep(self, counter: Counter, tally: Tally) -> None:
        self._tallies[counter.owner] = tally
        self._tallies.move_to_end(counter.owner)
        while len(self._tallies) > _MOST:
            self._tallies.popitem(last=False)
