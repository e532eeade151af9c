"""Questions to Prometheus: each rendered query once per tick, whoever needs it."""

import asyncio
import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from tidegate.api.conditions import Reason
from tidegate.clients.prometheus import SERIES_LIMIT, InstantVector, Prometheus, RangeVector, Series
from tidegate.domain.answers import Answer, Buckets, Failure, SeriesValue
from tidegate.domain.problems import QueryProblem
from tidegate.domain.queries import Need, Selector, compile_query
from tidegate.observe.age import Age, Ages, Source
from tidegate.observe.sending import Asker, Call, Lines, Question

KEPT_FOR = 120.0
"""Seconds for which an answer is remembered. Reconciles of one tick come within an interval; a late one asks anew."""
KEPT_SAMPLES = 200_000
"""Samples in all remembered answers together: some hundred bytes each, labels included."""
_LABELS_SHOWN = 512
T = TypeVar("T")


class Questions:
    """Asks, and shares the answers of a tick among all who ask the same. `failed` hears of each question that got no answer, by its policy
    and reason; also of one that wasn't sent, because the source is known to be silent."""

    def __init__(self, prometheus: Prometheus, keep: int = 20_000, failed: Callable[[str, Reason], None] = lambda *_: None) -> None:
        self._prometheus = prometheus
        self._keep = keep
        self._failed = failed
        self._asked: OrderedDict[tuple[Any, ...], tuple[float, Question[Any]]] = OrderedDict()
        self._lines = Lines()
        self._samples = 0
        self.requests = 0

    def asker(self, namespace: str, rollout: str) -> Asker:
        """In whose name one reconcile of a rollout (by uid) asks."""
        return self._lines.asker(namespace, rollout)

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

    async def _ask(self, source: Source, question: tuple[str, str, float], call: Call[T]) -> T | Failure:
        key, now = (source.endpoint, *question), asyncio.get_running_loop().time()
        if key not in self._asked:
            dead = await self._lines.silent(source.endpoint, source.asker)
            if dead is not None:
                self._failed(source.policy, dead.reason)
                return dead
        try:
            return await self._answer(key, now, source, call)
        finally:
            self._lines.went_on(source.endpoint, source.asker)

    async def _answer(self, key: tuple[Any, ...], now: float, source: Source, call: Call[T]) -> T | Failure:
        if key not in self._asked:  # another caller may have asked while this one waited
            self._forget_before(now - KEPT_FOR)
            new: Question[T] = Question(self._lines.to(source.endpoint), self._counted(call), lambda: self._drop(key, new))
            self._asked[key] = (now, new)
            new.task.add_done_callback(self._weigh)
            new.task.add_done_callback(partial(self._tell, source.policy))
        asked: Question[T] = self._asked[key][1]
        answer = await asked.answer(source.asker)
        if isinstance(answer, Failure) and not asked.task.done():
            self._failed(source.policy, answer.reason)  # who asked went on without
        return answer

    def _counted(self, call: Call[T]) -> Call[T]:
        async def counted() -> T:
            self.requests += 1
            return await call()

        return counted

    def _weigh(self, answered: asyncio.Task[Any]) -> None:
        self._samples += _weight(answered)

    def _tell(self, policy: str, answered: asyncio.Task[Any]) -> None:
        if not answered.cancelled() and answered.exception() is None and isinstance(failure := answered.result(), Failure):
            self._failed(policy, failure.reason)

    def _drop(self, key: tuple[Any, ...], asked: Question[Any]) -> None:
        if self._asked.get(key, (0.0, None))[1] is asked:
            del self._asked[key]
            asked.task.remove_done_callback(self._weigh)

    def _forget_before(self, moment: float) -> None:
        while self._asked and self._is_too_much(next(iter(self._asked.values()))[0] < moment):
            _, (_, question) = self._asked.popitem(last=False)
            if question.task.done():
                self._samples -= _weight(question.task)
            else:
                question.task.remove_done_callback(self._weigh)

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
