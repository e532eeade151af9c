"""How old what a query rests on is, and whether what would export an empty selector lives (docs/adr/0024)."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from tidegate.clients.prometheus import Endpoint, InstantVector, RangeVector
from tidegate.domain.answers import Failure, Newest
from tidegate.domain.liveness import (
    LOOKBACK,
    Kind,
    ages,
    kinds_lately,
    samples_beyond,
    samples_of_several,
    series_beside,
    signs_of_life,
)
from tidegate.domain.queries import Need, Selector
from tidegate.observe.sending import NOBODY, Asker


@dataclass(frozen=True, slots=True)
class Source:
    """A policy's Prometheus, for how many seconds a sample is fresh, how long before the present it is asked about, and in whose name.
    Answers are shared among policies with the same endpoint, credentials included."""

    policy: str
    endpoint: Endpoint
    staleness: float = math.inf
    delay: timedelta = timedelta(0)
    asker: Asker = NOBODY


@dataclass(frozen=True, slots=True)
class Age:
    """The oldest of the newest samples of what a query rests on; None where nothing shows that the selector `lacking` lives. `newest`: that
    of all that it reads, also after the moment of the question."""

    oldest: float | None
    lacking: str = ""
    newest: Newest | None = None


class Asking(Protocol):
    """Who asks: observe.questions."""

    async def vector(self, source: Source, query: str, at: float) -> InstantVector | Failure:
        """The query's own series."""

    async def every_series(self, source: Source, query: str, at: float) -> InstantVector | Failure:
        """The query's own series, also where they are more than can be judged."""

    async def raw(self, source: Source, query: str, at: float) -> RangeVector | Failure:
        """The raw samples of a range selector."""


@dataclass(frozen=True, slots=True)
class Ages:
    """The ages of the selectors of one query at one moment. `kept` is the label that they are confined by, "" for none."""

    asking: Asking
    source: Source
    selectors: Sequence[Selector]
    at: float
    kept: str

    async def oldest(self) -> Age | Failure:
        """Signs of life are asked for only where a selector is empty that may be, or has nothing but old samples: a series that nobody told
        the source the end of is there for minutes more."""
        times = await self._times()
        if isinstance(times, Failure):
            return times
        found, newest = times
        empty = {number for number, one in enumerate(self.selectors) if one.need and number not in found}
        may_be = {number for number, one in enumerate(self.selectors) if one.need is Need.LIFE}
        if empty <= may_be:
            old = {number for number in found.keys() & may_be if self.at - found[number] > self.source.staleness}
            asked = sorted(empty | old)
            for number, sign in zip(asked, await asyncio.gather(*map(self._sign, asked)), strict=True):
                if isinstance(sign, Failure):
                    return sign
                if sign is not None:
                    found[number] = max(sign, found.get(number, sign))
            empty -= found.keys()
        if empty:
            return Age(None, max((self.selectors[number] for number in empty), key=lambda one: one.need).text, newest)
        return Age(min(found.values(), default=self.at), newest=newest)

    async def _times(self) -> tuple[dict[int, float], Newest | None] | Failure:
        """When the newest sample of each selector was taken, by its number; and the newest of all."""
        query = ages(self.selectors, self.source.delay)
        asked = await self.asking.vector(self.source, query, self.at) if query else InstantVector("vector", (), 0)
        if isinstance(asked, Failure):
            return asked
        until, beyond = await asyncio.gather(
            self._of_several(samples_of_several(self.selectors)),
            self._of_several(samples_beyond(self.selectors, self.source.delay)),
        )
        if isinstance(until, Failure):
            return until
        if isinstance(beyond, Failure):
            return beyond
        moved = {number: time + self.selectors[number].offset.total_seconds() for number, time in until.items()}
        newest = max((_numbered(asked, "newest") | beyond).items(), key=lambda one: one[1], default=None)
        return _numbered(asked, "selector") | moved, newest and Newest(newest[1], self.selectors[newest[0]].text)

    async def _of_several(self, questions: Mapping[int, str]) -> dict[int, float] | Failure:
        """When the newest of raw samples were taken, by the number of their selector."""
        raw = await asyncio.gather(*(self.asking.raw(self.source, samples, self.at) for samples in questions.values()))
        found: dict[int, float] = {}
        for number, samples in zip(questions, raw, strict=True):
            if isinstance(samples, Failure):
                return samples
            if samples.series:
                found[number] = max((one.values[-1][0] for one in samples.series if one.values), default=-math.inf)
        return found

    async def _sign(self, number: int) -> float | Failure | None:
        """When the newest sign was given that what would export a selector lives."""
        selector = self.selectors[number]
        lately = await self.asking.every_series(self.source, kinds_lately(selector), self.at)
        if isinstance(lately, Failure):
            return lately
        kinds = tuple(sorted(_kind(one.labels) for one in lately.series))
        asked = await self._value(signs_of_life(tuple(self.selectors), number, kinds, self.kept))
        if asked is not None:
            return asked
        fresh = timedelta(seconds=min(self.source.staleness, LOOKBACK.total_seconds()))
        beside = await self._value(series_beside(selector, kinds, self.kept, fresh))
        return beside if beside is None or isinstance(beside, Failure) else self.at

    async def _value(self, query: str) -> float | Failure | None:
        """The one value that a query gives, if any."""
        asked = await self.asking.vector(self.source, query, self.at) if query else None
        if asked is None or isinstance(asked, Failure):
            return asked
        return max((one.value for one in asked.series), default=None)


def _numbered(found: InstantVector, label: str) -> dict[int, float]:
    """Values by the number of the selector that they are labelled with."""
    values = ((dict(one.labels).get(label, ""), one.value) for one in found.series)
    return {int(number): value for number, value in values if number.isdecimal()}


def _kind(labels: Sequence[tuple[str, str]]) -> Kind:
    return tuple((label, value) for label, value in labels if value)
