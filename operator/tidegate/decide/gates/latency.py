"""Quantiles of a histogram without interpolation: the share of requests slower than a bound. `histogram_quantile` answers with the last
bound for whatever lies above it, so that "> 5" is never true where the buckets end at 5."""

import math
from dataclasses import dataclass
from datetime import timedelta

from tidegate.api.gates import Gate, Latency
from tidegate.api.types import format_duration
from tidegate.decide.gates.readings import NoData, NoDataReason, failed, missing, stale
from tidegate.decide.numbers import number
from tidegate.domain.answers import Buckets, Failure

_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of requests that were slower than each bound of the gate. `requests` is their number within the range."""

    to_advance: float | None
    to_roll_back: float | None
    allowed: float
    requests: float
    sample_time: float
    window_start: float

    def fails(self) -> bool:
        """Whether more than allowed were slower than the bound of `advance`."""
        return self.to_advance is not None and self.to_advance > self.allowed

    def breaches(self) -> bool:
        """Whether more than allowed were slower than the bound of `rollback`."""
        return self.to_roll_back is not None and self.to_roll_back > self.allowed

    def shown(self) -> float:
        """The share to show: that of `rollback` in a breach, else that of `advance`."""
        if self.to_advance is None or (self.breaches() and self.to_roll_back is not None):
            return self.to_roll_back or 0.0
        return self.to_advance


def allowed_share(latency: Latency) -> float:
    """How many may be slower: 0.05 for the quantile 0.95."""
    return round(1 - latency.quantile, 12)


def least_requests(latency: Latency) -> float:
    """Below so many requests a percentile says nothing: ten of them should lie above it."""
    return math.ceil(10 / allowed_share(latency))


def read_latency(gate: Gate, answer: Buckets | Failure, staleness: timedelta) -> Shares | NoData:
    """The shares of a latency gate. A bound that no bucket has can't be judged."""
    assert gate.latency is not None
    if isinstance(answer, Failure):
        return failed(answer)
    old = stale(answer.at, answer.oldest_sample, staleness, answer.lacking)
    if old is not None or answer.oldest_sample is None:
        return old or missing(NoDataReason.STALE, "")
    rates = dict(answer.rates)
    if math.inf not in rates:
        return missing(NoDataReason.EMPTY, "the histogram has no bucket +Inf yet: it takes two scrapes within the range")
    bounds = (gate.advance.lt if gate.advance else None, gate.rollback.gt if gate.rollback else None)
    for bound in bounds:
        if bound is not None and bound not in rates:
            return missing(NoDataReason.NO_SUCH_BUCKET, f"{number(bound)} is no bound of a bucket; there are {_listed(rates)}")
    all_of_them = rates[math.inf]
    requests = all_of_them * gate.latency.over.total_seconds()
    if not math.isfinite(requests):
        return missing(NoDataReason.NOT_A_NUMBER, "there are more requests than a number can hold")
    shares = [None if bound is None else _share(rates[bound], all_of_them) for bound in bounds]
    return Shares(
        to_advance=shares[0],
        to_roll_back=shares[1],
        allowed=allowed_share(gate.latency),
        requests=requests,
        sample_time=answer.oldest_sample,
        window_start=answer.at - answer.reach,
    )


def _share(within: float, all_of_them: float) -> float:
    """Rounded, so that exactly 5 % is not more than 5 %."""
    return max(0.0, round(1 - within / all_of_them, 12)) if all_of_them > 0 else 0.0


def _listed(rates: dict[float, float]) -> str:
    finite = [number(bound) for bound in sorted(rates) if math.isfinite(bound)]
    return ", ".join(finite[:_SHOWN]) + (" …" if len(finite) > _SHOWN else "")


def latency_in_words(gate: Gate) -> str:
    """`advance p95 < 2, rollback p95 > 5 for 10m`."""
    assert gate.latency is not None
    name = f"p{number(round(gate.latency.quantile * 100, 6))}"
    parts = [] if gate.advance is None or gate.advance.lt is None else [f"advance {name} < {number(gate.advance.lt)}"]
    if gate.rollback is not None and gate.rollback.gt is not None:
        for_ = gate.rollback.for_
        how = f"for {format_duration(for_)}" if for_ else f"on {gate.rollback.confirm or 2} samples"
        parts.append(f"rollback {name} > {number(gate.rollback.gt)} {how}")
    return ", ".join(parts)
