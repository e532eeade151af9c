"""Questions to Prometheus: each rendered query once per tick, whoever needs it."""

import asyncio
import hashlib
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from tidegate.api.conditions import Reason
from tidegate.clients.errors import SourceError, SourceRefused, SourceTimeout, SourceTooMuch, SourceUnreachable
from tidegate.clients.prometheus import SERIES_LIMIT, InstantVector, Prometheus, RangeVector, Series
from tidegate.domain.answers import Answer, Buckets, Failure, SeriesValue
from tidegate.domain.problems import QueryProblem
from tidegate.domain.queries import Need, Selector, compile_query
from tidegate.observe.age import Age, Ages, Source
from tidegate.observe.silence import Silence

KEPT_FOR = 120.0
"""Seconds for which an answer is remembered. Reconciles of one tick come within an interval; a late one asks anew."""
KEPT_SAMPLES = 200_000
"""Samples in all remembered answers together: some hundred bytes each, labels included."""
_LABELS_SHOWN = 512
_REFUSED = (400, 422)
"""Prometheus can't evaluate the query: not its own fault. It says so in its own words; what has none comes from a proxy before it."""
T = TypeVar("T")


class Questions:
    """Asks, and shares the answers of a tick among all who ask the same. `failed` hears of each question that got no answer, by its policy
    and reason; also of one that wasn't sent, because the source is known to be silent."""

    def __init__(self, prometheus: Prometheus, keep: int = 20_000, failed: Callable[[str, Reason], None] = lambda *_: None) -> None:
        self._prometheus = prometheus
        self._keep = keep
        self._failed = failed
        self._asked: OrderedDict[tuple[Any, ...], tuple[float, asyncio.Task[Any]]] = OrderedDict()
        self._silence = Silence()
        self._samples = 0
        self.requests = 0

    async def answer(self, source: Source, query: str, at: float, *, kept: str = "", with_age: bool = True) -> Answer | Failure:
        """A query's value at `at` (Unix seconds), with the age of what it rests on unless that doesn't matter. `kept` is the label that its
        selectors are confined by."""
        asked = await self._asked_with_age(source, query, at, kept=kept, with_age=with_age)
        if isinstance(asked, Failure):
            return asked
        value, age, reach = asked
        series = tuple(SeriesValue(_labels(one), one.value) for one in value.series)
        return Answer(at, value.result_type, series, age.oldest, reach, value.total, age.lacking, age.newest)

    async def buckets(self, source: Source, query: str, counts: str, at: float) -> Buckets | Failure:
        """The rates of a histogram's buckets, without those that a part of its series lacks, such as an application's next version: the
        requests of that part would look like slower ones. `counts` asks how many series have each."""
        asked = await self._asked_with_age(source, query, at, beside=counts)
        if isinstance(asked, Failure):
            return asked
        value, age, reach = asked
        rates = [one for one in value.series if ("counted", "series") not in one.labels]
        counted = [one for one in value.series if ("counted", "series") in one.labels]
        return Buckets(at, tuple(sorted(_whole(_bounds(rates), counted).items())), age.oldest, reach, age.lacking, age.newest)

    async def life(self, source: Source, selector: str, at: float, kept: str) -> Age | Failure:
        """The age of a selector that may rightly be empty: its newest sample, else the newest sign that what would export it lives."""
        return await Ages(self, source, (Selector(selector, timedelta(0), Need.LIFE),), at, kept).oldest()

    async def vector(self, source: Source, query: str, at: float) -> InstantVector | Failure:
        """The query's own series."""
        return await self._ask(source, ("vector", query, at), lambda: self._prometheus.instant(source.endpoint, query, at))

    async def every_series(self, source: Source, query: str, at: float) -> InstantVector | Failure:
        """The query's own series, also where they are more than can be judged."""
        call = lambda: self._prometheus.instant(source.endpoint, query, at, SERIES_LIMIT)  # noqa: E731
        return await self._ask(source, ("every", query, at), call)

    async def raw(self, source: Source, query: str, at: float) -> RangeVector | Failure:
        """The raw samples of a range selector."""
        return await self._ask(source, ("raw", query, at), lambda: self._prometheus.raw(source.endpoint, query, at))

    async def exists(self, source: Source, selector: str, since: float, at: float) -> bool | Failure:
        """Whether a selector has matched any series between two times."""
        call = lambda: self._prometheus.has_series(source.endpoint, selector, since, at)  # noqa: E731
        return await self._ask(source, ("exists", selector, at), call)

    async def _asked_with_age(
        self, source: Source, query: str, at: float, *, kept: str = "", with_age: bool = True, beside: str = ""
    ) -> tuple[InstantVector, Age, float] | Failure:
        """(value, age, seconds that the query looks back). `beside`: what is asked in the same breath of the same selectors."""
        try:
            compiled = compile_query(query)
        except QueryProblem as problem:
            return Failure(Reason.QUERY_REFUSED, str(problem))
        reach = compiled.reach.total_seconds()
        if not with_age:
            value = await self.vector(source, query, at)
            return value if isinstance(value, Failure) else (value, Age(at), reach)
        asking = self.every_series(source, f"{query} or {beside}", at) if beside else self.vector(source, query, at)
        value, age = await asyncio.gather(asking, Ages(self, source, compiled.selectors, at, kept).oldest())
        if isinstance(value, Failure):
            return value
        return age if isinstance(age, Failure) else (value, age, reach)

    async def _ask(self, source: Source, question: tuple[str, str, float], call: Callable[[], Awaitable[T]]) -> T | Failure:
        key, now = (source.endpoint, *question), asyncio.get_running_loop().time()
        if key not in self._asked:
            dead = await self._silence.known(source.endpoint, now)
            if dead is not None:
                self._failed(source.policy, dead.reason)
                return dead
        if key not in self._asked:  # another caller may have asked while this one waited
            self._forget_before(now - KEPT_FOR)
            task = self._asked[key] = (now, asyncio.create_task(self._fetch(source, call)))
            task[1].add_done_callback(self._weigh)
        answer: T | Failure = await asyncio.shield(self._asked[key][1])
        return answer

    async def _fetch(self, source: Source, call: Callable[[], Awaitable[T]]) -> T | Failure:
        answer = await self._answer_of(source, call)
        if isinstance(answer, Failure):
            self._failed(source.policy, answer.reason)
        return answer

    async def _answer_of(self, source: Source, call: Callable[[], Awaitable[T]]) -> T | Failure:
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
            return Failure(Reason.QUERY_REFUSED if _is_of_the_query(error) else Reason.PROMETHEUS_ERROR, str(error))
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


def _is_of_the_query(error: SourceError) -> bool:
    """Whether the query is at fault, and not the source."""
    if isinstance(error, SourceRefused):
        return error.status in _REFUSED and error.error_type != ""
    return isinstance(error, SourceTooMuch)


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


def _whole(rates: Mapping[float, float], counted: Sequence[Series]) -> Mapping[float, float]:
    """The rates of those bounds that are bounds of all series. There are as many as have the most frequent bound, in any one spelling."""
    numbers = _bounds(counted)
    parts = max((one.value for one in counted), default=0.0)
    return {bound: rate for bound, rate in rates.items() if numbers.get(bound, 0.0) >= parts}


def _bounds(series: Iterable[Series]) -> Mapping[float, float]:
    """Rates by bound. Exporters spell a bound in several ways, `le="1"` and `le="1.0"`: what is equal is added. A bound of which a part
    isn't finite is none."""
    rates: dict[float, float] = {}
    for one in series:
        try:
            bound = float(dict(one.labels).get("le", ""))
        except ValueError:
            continue
        rates[bound] = rates.get(bound, 0.0) + one.value
    return {bound: rate for bound, rate in rates.items() if not math.isnan(bound) and math.isfinite(rate)}


def _labels(series: Series) -> str:
    """The label set as text, which tells series apart. PromQL ignores the metric's name where it compares."""
    text = ", ".join(f'{name}="{value}"' for name, value in series.labels if name != "__name__")
    if len(text) <= _LABELS_SHOWN:
        return text
    return f"{text[: _LABELS_SHOWN - 20]}… ({hashlib.sha256(text.encode()).hexdigest()[:16]})"
