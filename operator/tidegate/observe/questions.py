"""Questions to Prometheus: each rendered query once per tick, whoever needs it."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from tidegate.api.conditions import Reason
from tidegate.clients.errors import SourceError, SourceTimeout, SourceUnreachable
from tidegate.clients.prometheus import Endpoint, InstantVector, Prometheus, Series
from tidegate.domain.problems import QueryProblem
from tidegate.domain.queries import compile_query
from tidegate.domain.readings import Answer, Failure, SeriesValue
from tidegate.observe.silence import Silence

KEPT_FOR = 120.0
"""Seconds for which an answer is remembered: looks of the same tick come within one interval, and a late one asks anew."""
_LABELS_SHOWN = 512


@dataclass(frozen=True, slots=True)
class Source:
    """A policy's Prometheus. Answers are shared only within one policy: two policies may hold different credentials for one URL."""

    policy: str
    endpoint: Endpoint


class Questions:
    """Asks, and shares the answers of a tick among all who ask the same."""

    def __init__(self, prometheus: Prometheus, keep: int = 20_000) -> None:
        self._prometheus = prometheus
        self._keep = keep
        self._asked: OrderedDict[tuple[Source, str, float], tuple[float, asyncio.Task[InstantVector | Failure]]] = OrderedDict()
        self._silence = Silence()
        self.requests = 0

    async def answer(self, source: Source, query: str, at: float, *, with_freshness: bool = True) -> Answer | Failure:
        """A query's value at `at` (Unix seconds), with the age of what it read unless that doesn't matter."""
        try:
            compiled = compile_query(query)
        except QueryProblem as problem:
            return Failure(Reason.PROMETHEUS_ERROR, str(problem))
        if not with_freshness:
            value = await self._ask(source, query, at)
            return value if isinstance(value, Failure) else _answer(value, at, at, 0.0)
        value, freshness = await asyncio.gather(self._ask(source, query, at), self._ask(source, compiled.freshness, at))
        for part in (value, freshness):
            if isinstance(part, Failure):
                return part
        assert isinstance(value, InstantVector)
        assert isinstance(freshness, InstantVector)
        oldest = _oldest(freshness, len(compiled.selectors))
        return _answer(value, at, oldest, compiled.reach.total_seconds())

    async def _ask(self, source: Source, query: str, at: float) -> InstantVector | Failure:
        key, now = (source, query, at), asyncio.get_running_loop().time()
        if key not in self._asked:
            dead = self._silence.known(source.policy, source.endpoint, now)
            if dead is not None:
                return dead
            self._forget_before(now - KEPT_FOR)
            self._asked[key] = (now, asyncio.create_task(self._fetch(source, query, at)))
        return await asyncio.shield(self._asked[key][1])

    async def _fetch(self, source: Source, query: str, at: float) -> InstantVector | Failure:
        self.requests += 1
        try:
            value = await self._prometheus.instant(source.endpoint, query, at)
        except (SourceUnreachable, SourceTimeout) as error:
            reason = Reason.PROMETHEUS_TIMEOUT if isinstance(error, SourceTimeout) else Reason.PROMETHEUS_UNREACHABLE
            failure = Failure(reason, str(error))
            self._silence.failed(source.policy, source.endpoint, failure, asyncio.get_running_loop().time())
            return failure
        except SourceError as error:
            self._silence.answered(source.policy)
            return Failure(Reason.PROMETHEUS_ERROR, str(error))
        self._silence.answered(source.policy)
        if value.warnings:
            return Failure(Reason.PROMETHEUS_WARNING, value.warnings[0])
        return value

    def _forget_before(self, moment: float) -> None:
        while self._asked and (len(self._asked) >= self._keep or next(iter(self._asked.values()))[0] < moment):
            self._asked.popitem(last=False)


def _oldest(freshness: InstantVector, selectors: int) -> float | None:
    """The oldest of the selectors' newest samples; None where one of them matches nothing."""
    return min(one.value for one in freshness.series) if len(freshness.series) == selectors else None


def _answer(value: InstantVector, at: float, oldest: float | None, reach: float) -> Answer:
    series = tuple(SeriesValue(_labels(one), one.value) for one in value.series)
    return Answer(at, value.result_type, series, oldest, reach)


def _labels(series: Series) -> str:
    text = ", ".join(f'{name}="{value}"' for name, value in series.labels)
    return text[:_LABELS_SHOWN]
