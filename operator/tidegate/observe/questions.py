"""Questions to Prometheus: each rendered query once per tick, whoever needs it."""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from tidegate.api.conditions import Reason
from tidegate.clients.errors import SourceError, SourceRefused, SourceTimeout, SourceUnreachable
from tidegate.clients.prometheus import Endpoint, InstantVector, Prometheus, RangeVector, Series
from tidegate.domain.answers import Answer, Buckets, Failure, SeriesValue
from tidegate.domain.problems import QueryProblem
from tidegate.domain.queries import compile_query
from tidegate.observe.silence import Silence

KEPT_FOR = 120.0
"""Seconds for which an answer is remembered. Reconciles of one tick come within an interval; a late one asks anew."""
KEPT_SAMPLES = 200_000
"""Samples in all remembered answers together: some hundred bytes each, labels included."""
_LABELS_SHOWN = 512
_REFUSED = (400, 422)
"""Prometheus can't evaluate the query: not its own fault."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Source:
    """A policy's Prometheus. Answers are shared among policies with the same endpoint, credentials included."""

    policy: str
    endpoint: Endpoint


class Questions:
    """Asks, and shares the answers of a tick among all who ask the same."""

    def __init__(self, prometheus: Prometheus, keep: int = 20_000) -> None:
        self._prometheus = prometheus
        self._keep = keep
        self._asked: OrderedDict[tuple[Any, ...], tuple[float, asyncio.Task[Any]]] = OrderedDict()
        self._silence = Silence()
        self._samples = 0
        self.requests = 0

    async def answer(self, source: Source, query: str, at: float, *, with_freshness: bool = True, metrics: bool = True) -> Answer | Failure:
        """A query's value at `at` (Unix seconds), with the age of what it read unless that doesn't matter. Without `metrics` the query
        may be about nothing but the time."""
        asked = await self._asked_with_age(source, query, at, with_freshness=with_freshness, metrics=metrics)
        if isinstance(asked, Failure):
            return asked
        value, oldest, reach = asked
        return Answer(
            at, value.result_type, tuple(SeriesValue(_labels(one), one.value) for one in value.series), oldest, reach, value.total
        )

    async def buckets(self, source: Source, query: str, at: float) -> Buckets | Failure:
        """The rates of a histogram's buckets."""
        asked = await self._asked_with_age(source, query, at)
        if isinstance(asked, Failure):
            return asked
        value, oldest, reach = asked
        return Buckets(at, tuple(sorted(_bounds(value.series))), oldest, reach)

    async def newest(self, source: Source, query: str, at: float) -> float | Failure | None:
        """The newest sample of the query's oldest selector; None where one matches nothing."""
        compiled = compile_query(query)
        freshness = await self.vector(source, compiled.freshness, at)
        return freshness if isinstance(freshness, Failure) else _oldest(freshness, len(compiled.selectors))

    async def vector(self, source: Source, query: str, at: float) -> InstantVector | Failure:
        """The query's own series."""
        return await self._ask(source, ("vector", query, at), lambda: self._prometheus.instant(source.endpoint, query, at))

    async def raw(self, source: Source, query: str, at: float) -> RangeVector | Failure:
        """The raw samples of a range selector."""
        return await self._ask(source, ("raw", query, at), lambda: self._prometheus.raw(source.endpoint, query, at))

    async def exists(self, source: Source, selector: str, since: float, at: float) -> bool | Failure:
        """Whether a selector has matched any series between two times."""
        call = lambda: self._prometheus.has_series(source.endpoint, selector, since, at)  # noqa: E731
        return await self._ask(source, ("exists", selector, at), call)

    async def _asked_with_age(
        self, source: Source, query: str, at: float, *, with_freshness: bool = True, metrics: bool = True
    ) -> tuple[InstantVector, float | None, float] | Failure:
        """(value, newest sample of the oldest selector, seconds that the query looks back)."""
        try:
            compiled = compile_query(query, reads_metrics=metrics)
        except QueryProblem as problem:
            return Failure(Reason.QUERY_REFUSED, str(problem))
        if not with_freshness or not compiled.selectors:
            value = await self.vector(source, query, at)
            return value if isinstance(value, Failure) else (value, at, compiled.reach.total_seconds())
        value, oldest = await asyncio.gather(self.vector(source, query, at), self.newest(source, query, at))
        if isinstance(value, Failure):
            return value
        return oldest if isinstance(oldest, Failure) else (value, oldest, compiled.reach.total_seconds())

    async def _ask(self, source: Source, question: tuple[str, str, float], call: Callable[[], Awaitable[T]]) -> T | Failure:
        key, now = (source.endpoint, *question), asyncio.get_running_loop().time()
        if key not in self._asked:
            dead = await self._silence.known(source.endpoint, now)
            if dead is not None:
                return dead
        if key not in self._asked:  # another caller may have asked while this one waited
            self._forget_before(now - KEPT_FOR)
            task = self._asked[key] = (now, asyncio.create_task(self._fetch(source, call)))
            task[1].add_done_callback(self._weigh)
        answer: T | Failure = await asyncio.shield(self._asked[key][1])
        return answer

    async def _fetch(self, source: Source, call: Callable[[], Awaitable[T]]) -> T | Failure:
        clock = asyncio.get_running_loop().time
        self.requests += 1
        asked_at = clock()
        try:
            value = await call()
        except (SourceUnreachable, SourceTimeout) as error:
            reason = Reason.PROMETHEUS_TIMEOUT if isinstance(error, SourceTimeout) else Reason.PROMETHEUS_UNREACHABLE
            failure = Failure(reason, str(error))
            self._silence.failed(source.endpoint, failure, asked_at, clock())
            return failure
        except SourceError as error:
            self._silence.answered(source.endpoint, clock())
            is_refused = isinstance(error, SourceRefused) and error.status in _REFUSED
            return Failure(Reason.QUERY_REFUSED if is_refused else Reason.PROMETHEUS_ERROR, str(error))
        finally:
            self._silence.probed(source.endpoint)
        self._silence.answered(source.endpoint, clock())
        if isinstance(value, InstantVector | RangeVector) and value.warnings:
            return Failure(Reason.PROMETHEUS_WARNING, value.warnings[0])
        return value

    def _weigh(self, answered: asyncio.Task[Any]) -> None:
        self._samples += _weight(answered)

    def _forget_before(self, moment: float) -> None:
        while self._asked and self._is_too_much(next(iter(self._asked.values()))[0] < moment):
            _, (_, task) = self._asked.popitem(last=False)
            if task.done():
                self._samples -= _weight(task)
            else:
                task.remove_done_callback(self._weigh)

    def _is_too_much(self, is_old: bool) -> bool:
        return is_old or len(self._asked) >= self._keep or self._samples > KEPT_SAMPLES


def _weight(answered: asyncio.Task[Any]) -> int:
    """How many samples an answer holds."""
    if answered.cancelled() or answered.exception() is not None:
        return 0
    match answered.result():
        case InstantVector(series=series):
            return len(series)
        case RangeVector(series=series):
            return sum(len(one.values) for one in series)
    return 0


def _oldest(freshness: InstantVector, selectors: int) -> float | None:
    """The oldest of the selectors' newest samples; None where one of them matches nothing."""
    return min(one.value for one in freshness.series) if len(freshness.series) == selectors else None


def _bounds(series: Iterable[Series]) -> Iterable[tuple[float, float]]:
    for one in series:
        try:
            bound = float(dict(one.labels).get("le", ""))
        except ValueError:
            continue
        if not math.isnan(bound) and math.isfinite(one.value):
            yield bound, one.value


def _labels(series: Series) -> str:
    text = ", ".join(f'{name}="{value}"' for name, value in series.labels)
    return text[:_LABELS_SHOWN]
