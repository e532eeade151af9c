"""Gates as people write them, each with the data that it reads: healthy, and from some moment on with a regression."""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from simulation.noise import Traffic, binomial, daily, drifting, poisson
from tidegate.api.feature_rollout import NoData, NoDataAction
from tidegate.api.gates import Gate
from tidegate.domain.answers import Answer, Buckets, CountAnswer, GateAnswer, SeriesValue
from tidegate.domain.counting import Tally

INTERVAL = 60.0
Reader = Callable[[float, bool], GateAnswer]
"""(Unix seconds, whether the regression has begun) → what Prometheus says."""


@dataclass(frozen=True, slots=True)
class Case:
    """`reader` makes one rollout's source of readings; `regression` says in words what goes wrong."""

    name: str
    gate: Gate
    reader: Callable[[random.Random], Reader]
    healthy: str
    regression: str
    medians: dict[str, float] | None = None
    baselines: dict[str, float] | None = None
    no_data: NoData | None = None


def _gate(**fields: Any) -> Gate:
    return Gate.model_validate({"name": "simulated"} | fields)


def _answer(at: float, *values: float) -> Answer:
    return Answer(at, "vector", tuple(SeriesValue(f'series="{n}"', value) for n, value in enumerate(values)), at - 5, 0, len(values))


Requests = Callable[[float, bool], tuple[int, int]]
"""(Unix seconds, whether the regression has begun) → requests within the window, and how many of them went wrong."""


def _requests(random_: random.Random, per_minute: float, minutes: int, healthy: float, worse: float) -> Requests:
    """The last minutes of traffic; the share that goes wrong wanders by a fifth."""
    traffic, drift = Traffic(per_minute), drifting(random_, 0.2)
    window: list[tuple[int, int]] = []

    def read(at: float, is_worse: bool) -> tuple[int, int]:
        requests = traffic.within(random_, at % 86400)
        window.append((requests, binomial(random_, requests, min(1.0, (worse if is_worse else healthy) * drift()))))
        del window[:-minutes]
        return sum(total for total, _ in window), sum(wrong for _, wrong in window)

    return read


def _error_ratio(per_minute: float, minutes: int, healthy: float, worse: float) -> Callable[[random.Random], Reader]:
    """rate(errors[m]) / rate(requests[m])."""

    def make(random_: random.Random) -> Reader:
        within = _requests(random_, per_minute, minutes, healthy, worse)

        def read(at: float, is_worse: bool) -> GateAnswer:
            total, errors = within(at, is_worse)
            value = errors / total if total else math.nan
            return GateAnswer(_answer(at, value), samples=_answer(at, float(total)))

        return read

    return make


def _errors_that_may_not_exist(is_filled: bool) -> Callable[[random.Random], Reader]:
    """The same where a healthy feature has no series of errors: with `or vector(0)` around them, or without."""

    def make(random_: random.Random) -> Reader:
        within = _requests(random_, 600, 5, 0, 0.08)

        def read(at: float, is_worse: bool) -> GateAnswer:
            total, errors = within(at, is_worse)
            return GateAnswer(_answer(at, errors / total) if errors or is_filled else Answer(at, "vector", (), None, 0, 0, "errors"))

        return read

    return make


def _win_rate(trades_per_hour: float, healthy: float, worse: float) -> Callable[[random.Random], Reader]:
    """The share of successful trades since the step began: what is read from the first trade on."""

    def make(random_: random.Random) -> Reader:
        trades = wins = 0

        def read(at: float, is_worse: bool) -> GateAnswer:
            nonlocal trades, wins
            new = poisson(random_, trades_per_hour * INTERVAL / 3600)
            trades, wins = trades + new, wins + binomial(random_, new, worse if is_worse else healthy)
            return GateAnswer(_answer(at, wins / trades if trades else math.nan), samples=_answer(at, float(trades)))

        return read

    return make


def _relative(kind: str, spread: float, worse: float) -> Callable[[random.Random], Reader]:
    """A gauge with a daily season, common drift and noise of its own, beside the off side, a constant, or itself a week ago."""

    def make(random_: random.Random) -> Reader:
        drift, old_drift = drifting(random_, 0.1), drifting(random_, 0.1)

        def read(at: float, is_worse: bool) -> GateAnswer:
            season, common = daily(at % 86400), drift()
            own = season * common * math.exp(random_.gauss(0, spread)) * (worse if is_worse else 1)
            if kind == "query":
                base: float | None = season * common * math.exp(random_.gauss(0, spread))
            elif kind == "offset":
                base = season * old_drift() * math.exp(random_.gauss(0, spread))
            else:
                own, base = own / season, None  # a value without a season, beside a number that was kept
            return GateAnswer(_answer(at, own), base=None if base is None else _answer(at, base))

        return read

    return make


def _events(healthy_per_day: float, worse_per_day: float) -> Callable[[random.Random], Reader]:
    def make(random_: random.Random) -> Reader:
        total, since = 0, None

        def read(at: float, is_worse: bool) -> GateAnswer:
            nonlocal total, since
            since = at if since is None else since
            total += poisson(random_, (worse_per_day if is_worse else healthy_per_day) * INTERVAL / 86400)
            return GateAnswer(CountAnswer(at, "c", Tally(since, at, float(total)), 1, caught_up=True, oldest_sample=at - 5))

        return read

    return make


def _latency(per_minute: float, slow: float, slower: float, minutes: int = 5) -> Callable[[random.Random], Reader]:
    """Some minutes of a histogram; `slow` of the requests take longer than the bound, and later `slower`."""
    seconds = 60 * minutes

    def make(random_: random.Random) -> Reader:
        within = _requests(random_, per_minute, minutes, slow, slower)

        def read(at: float, is_worse: bool) -> GateAnswer:
            total, late = within(at, is_worse)
            rates = ((2.0, (total - late) / seconds), (5.0, (total - late) / seconds), (math.inf, total / seconds))
            return GateAnswer(Buckets(at, rates, at - 5, seconds))

        return read

    return make


def cases() -> Iterator[Case]:
    """The gates of the guide, and beside some of them what people write first."""
    busy, quiet = "1 % errors, 600 requests/min", "1 % errors, 6 requests/min"
    errors: dict[str, Any] = {"query": "x", "advance": {"lt": 0.02}, "rollback": {"gt": 0.05}}
    for_10m = errors | {"rollback": {"gt": 0.05, "for": "10m"}}
    of_100 = errors | {"samples": {"count": "n", "min": 100}}
    yield Case("query, on 2 samples", _gate(**errors), _error_ratio(600, 5, 0.01, 0.08), busy, "8 % errors")
    yield Case("query, for 10m", _gate(**for_10m), _error_ratio(600, 5, 0.01, 0.08), busy, "8 % errors")
    yield Case("query, 6 requests/min, on 2 samples", _gate(**errors), _error_ratio(6, 5, 0.01, 0.08), quiet, "8 % errors")
    yield Case("the same, samples.min 100 over 1 h", _gate(**of_100), _error_ratio(6, 60, 0.01, 0.12), quiet, "12 % errors")
    none, rolls_back = "no errors, and no series of them", NoData(deadline=timedelta(hours=1), then=NoDataAction.ROLLBACK)
    for name, is_filled in (("query … or vector(0)", True), ("the same without or vector(0)", False)):
        yield Case(name, _gate(**errors), _errors_that_may_not_exist(is_filled), none, "8 % errors", no_data=rolls_back)
    success: dict[str, Any] = {"query": "x", "advance": {"gt": 0.6}, "rollback": {"lt": 0.5}}
    of_50 = success | {"samples": {"count": "n", "min": 50}}
    yield Case("success rate, no minimum", _gate(**success), _win_rate(10, 0.65, 0.35), "65 % of 10 trades/h", "35 %")
    yield Case("success rate, samples.min 50", _gate(**of_50), _win_rate(10, 0.65, 0.35), "65 % of 10 trades/h", "35 %")
    yield from _relative_cases()
    yield Case("count, any event", _gate(count={"counter": "c"}, rollback={"gte": 1}), _events(0, 24), "no events", "one an hour")
    yield Case("count, more than 20", _gate(count={"counter": "c"}, rollback={"gt": 20}), _events(5, 240), "5 events a day", "10 an hour")
    yield from _latency_cases()


def _relative_cases() -> Iterator[Case]:
    season, steady = "season in common, drift and noise 10 %", "no season, drift and noise 10 %"

    def case(kind: str, value: Any, healthy: str, **kept: Any) -> Case:
        gate = _gate(query="x", relativeTo={kind: value}, advance={"lt": 0.2}, rollback={"gt": 0.5, "for": "10m"})
        return Case(f"relativeTo {kind}", gate, _relative(kind, 0.1, 2.0), healthy, "twice as high", **kept)

    yield case("query", "y", "season and drift in common, noise 10 %")
    yield case("offset", "7d", season)
    yield case("start", {"over": "1d"}, steady, medians={"simulated": 1.0})
    yield case("baseline", "normal", steady, baselines={"normal": 1.0})


def _latency_cases() -> Iterator[Case]:
    busy, quiet = "1.5 % slow, 600 requests/min", "1.5 % slow, 12 requests/min"

    def gate(over: str = "5m", **fields: Any) -> Gate:
        latency = {"histogram": "h_bucket", "quantile": 0.95, "over": over}
        return _gate(**{"latency": latency, "advance": {"lt": 2}, "rollback": {"gt": 5}} | fields)

    for_10m, of_30, of_300 = gate(rollback={"gt": 5, "for": "10m"}), gate(samples={"min": 30}), gate("1h", samples={"min": 300})
    yield Case("latency p95, for 10m", for_10m, _latency(600, 0.015, 0.15), busy, "15 % slow")
    yield Case("latency p95, 12 requests/min", gate(), _latency(12, 0.015, 0.15), quiet, "15 % slow: too few to judge")
    yield Case("the same, samples.min 30", of_30, _latency(12, 0.015, 0.15), quiet, "15 % slow")
    yield Case("the same over 1 h, samples.min 300", of_300, _latency(12, 0.015, 0.15, 60), quiet, "15 % slow")
