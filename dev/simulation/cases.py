"""Gates as people write them, each with the data that it reads: healthy, and from some moment on with a regression."""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from simulation.noise import Traffic, binomial, daily, drifting, poisson
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


def _gate(**fields: Any) -> Gate:
    return Gate.model_validate({"name": "simulated"} | fields)


def _answer(at: float, *values: float) -> Answer:
    return Answer(at, "vector", tuple(SeriesValue(f'series="{n}"', value) for n, value in enumerate(values)), at - 5, 0, len(values))


def _error_ratio(per_minute: float, minutes: float, healthy: float, worse: float) -> Callable[[random.Random], Reader]:
    """rate(errors[m]) / rate(requests[m]), with a base rate that wanders by a fifth."""

    def make(random_: random.Random) -> Reader:
        traffic, drift = Traffic(per_minute), drifting(random_, 0.2)
        window: list[tuple[int, int]] = []

        def read(at: float, is_worse: bool) -> GateAnswer:
            requests = traffic.within(random_, at % 86400)
            window.append((requests, binomial(random_, requests, min(1.0, (worse if is_worse else healthy) * drift()))))
            del window[: -max(1, int(minutes))]
            total, errors = (sum(column) for column in zip(*window, strict=True))
            value = errors / total if total else math.nan
            return GateAnswer(_answer(at, value), samples=_answer(at, float(total)))

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
        traffic, drift = Traffic(per_minute), drifting(random_, 0.2)
        window: list[tuple[int, int]] = []

        def read(at: float, is_worse: bool) -> GateAnswer:
            requests = traffic.within(random_, at % 86400)
            window.append((requests, binomial(random_, requests, min(1.0, (slower if is_worse else slow) * drift()))))
            del window[:-minutes]
            total, late = (sum(column) for column in zip(*window, strict=True))
            rates = ((2.0, (total - late) / seconds), (5.0, (total - late) / seconds), (math.inf, total / seconds))
            return GateAnswer(Buckets(at, rates, at - 5, seconds))

        return read

    return make


def cases() -> Iterator[Case]:
    """The gates of the guide, and beside some of them what people write first."""
    for_10m = {"gt": 0.05, "for": "10m"}
    yield Case(
        "query, on 2 samples",
        _gate(query="x", advance={"lt": 0.02}, rollback={"gt": 0.05}),
        _error_ratio(600, 5, 0.01, 0.08),
        "1 % errors, 600 requests/min",
        "8 % errors",
    )
    yield Case(
        "query, for 10m",
        _gate(query="x", advance={"lt": 0.02}, rollback=for_10m),
        _error_ratio(600, 5, 0.01, 0.08),
        "1 % errors, 600 requests/min",
        "8 % errors",
    )
    yield Case(
        "query, 6 requests/min, on 2 samples",
        _gate(query="x", advance={"lt": 0.02}, rollback={"gt": 0.05}),
        _error_ratio(6, 5, 0.01, 0.08),
        "1 % errors, 6 requests/min",
        "8 % errors",
    )
    yield Case(
        "the same, samples.min 100 over 1 h",
        _gate(query="x", advance={"lt": 0.02}, rollback={"gt": 0.05}, samples={"count": "n", "min": 100}),
        _error_ratio(6, 60, 0.01, 0.12),
        "1 % errors, 6 requests/min",
        "12 % errors",
    )
    yield Case(
        "success rate, no minimum",
        _gate(query="x", advance={"gt": 0.6}, rollback={"lt": 0.5}),
        _win_rate(10, 0.65, 0.35),
        "65 % of 10 trades/h",
        "35 %",
    )
    yield Case(
        "success rate, samples.min 50",
        _gate(query="x", advance={"gt": 0.6}, rollback={"lt": 0.5}, samples={"count": "n", "min": 50}),
        _win_rate(10, 0.65, 0.35),
        "65 % of 10 trades/h",
        "35 %",
    )
    bounds: dict[str, Any] = {"advance": {"lt": 0.2}, "rollback": {"gt": 0.5, "for": "10m"}}
    yield Case(
        "relativeTo query",
        _gate(query="x", relativeTo={"query": "y"}, **bounds),
        _relative("query", 0.1, 2.0),
        "season and drift in common, noise 10 %",
        "twice as high",
    )
    yield Case(
        "relativeTo offset",
        _gate(query="x", relativeTo={"offset": "7d"}, **bounds),
        _relative("offset", 0.1, 2.0),
        "season in common, drift and noise 10 %",
        "twice as high",
    )
    yield Case(
        "relativeTo start",
        _gate(query="x", relativeTo={"start": {"over": "1d"}}, **bounds),
        _relative("start", 0.1, 2.0),
        "no season, drift and noise 10 %",
        "twice as high",
        medians={"simulated": 1.0},
    )
    yield Case(
        "relativeTo baseline",
        _gate(query="x", relativeTo={"baseline": "normal"}, **bounds),
        _relative("baseline", 0.1, 2.0),
        "no season, drift and noise 10 %",
        "twice as high",
        baselines={"normal": 1.0},
    )
    yield Case("count, any event", _gate(count={"counter": "c"}, rollback={"gte": 1}), _events(0, 24), "no events", "one an hour")
    yield Case("count, more than 20", _gate(count={"counter": "c"}, rollback={"gt": 20}), _events(5, 240), "5 events a day", "10 an hour")
    slow: dict[str, Any] = {"latency": {"histogram": "h_bucket", "quantile": 0.95, "over": "5m"}, "advance": {"lt": 2}}
    yield Case(
        "latency p95, for 10m",
        _gate(**slow, rollback={"gt": 5, "for": "10m"}),
        _latency(600, 0.015, 0.15),
        "1.5 % slow, 600 requests/min",
        "15 % slow",
    )
    yield Case(
        "latency p95, 12 requests/min",
        _gate(**slow, rollback={"gt": 5}),
        _latency(12, 0.015, 0.15),
        "1.5 % slow, 12 requests/min",
        "15 % slow: too few to judge",
    )
    few = _gate(**slow, rollback={"gt": 5}, samples={"min": 30})
    yield Case("the same, samples.min 30", few, _latency(12, 0.015, 0.15), "1.5 % slow, 12 requests/min", "15 % slow")
    slow["latency"] = slow["latency"] | {"over": "1h"}
    enough = _gate(**slow, rollback={"gt": 5}, samples={"min": 300})
    yield Case("the same over 1 h, samples.min 300", enough, _latency(12, 0.015, 0.15, 60), "1.5 % slow, 12 requests/min", "15 % slow")
