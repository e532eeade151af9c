"""Answer → Reading: the rules that decide whether a number may be trusted at all (DESIGN §4, "Reading")."""

import math
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from tidegate.domain.readings import Answer, Failure, SeriesValue

MAX_SERIES = 100


class NoDataReason(StrEnum):
    """Why an answer that came is still no data."""

    EMPTY = "Empty"
    STALE = "Stale"
    NOT_A_NUMBER = "NotANumber"
    INFINITE = "Infinite"
    TOO_MANY_SERIES = "TooManySeries"
    WRONG_TYPE = "WrongType"


@dataclass(frozen=True, slots=True)
class NoData:
    """No number to judge. `from_source` tells a source that failed from series that are missing: only the latter run a deadline."""

    reason: str
    message: str
    from_source: bool


@dataclass(frozen=True, slots=True)
class Value:
    """Finite series, and what was wrong with the others. A finite series may be in breach beside one that isn't finite;
    to advance, all must be finite."""

    series: tuple[SeriesValue, ...]
    not_finite: NoData | None
    sample_time: float
    window_start: float

    def largest(self) -> SeriesValue:
        return max(self.series, key=lambda one: one.value)

    def smallest(self) -> SeriesValue:
        return min(self.series, key=lambda one: one.value)


Reading = Value | NoData


def read_value(answer: Answer | Failure, staleness: timedelta) -> Reading:
    """The reading of a gate's query."""
    if isinstance(answer, Failure):
        return NoData(answer.reason.value, answer.message, from_source=True)
    if answer.result_type not in ("vector", "scalar"):
        return _series(NoDataReason.WRONG_TYPE, f"the query gives a {answer.result_type}: it must give numbers at one instant")
    if not answer.series:
        return _series(NoDataReason.EMPTY, "the query gives no series")
    if len(answer.series) > MAX_SERIES:
        return _series(NoDataReason.TOO_MANY_SERIES, f"the query gives {len(answer.series)} series; at most {MAX_SERIES}: aggregate them")
    if answer.oldest_sample is None:
        return _series(NoDataReason.STALE, "a selector of the query matches no living series")
    age = answer.at - answer.oldest_sample
    if age > staleness.total_seconds():
        return _series(NoDataReason.STALE, "the newest sample of a selector is older than the policy's staleness")
    return _finite(answer, answer.oldest_sample)


def _finite(answer: Answer, sample_time: float) -> Reading:
    finite = tuple(one for one in answer.series if math.isfinite(one.value))
    not_finite = None
    if len(finite) < len(answer.series):
        odd = next(one for one in answer.series if not math.isfinite(one.value))
        reason = NoDataReason.NOT_A_NUMBER if math.isnan(odd.value) else NoDataReason.INFINITE
        not_finite = _series(reason, f"the series {odd.labels or '{}'} is {odd.value}")
    if not finite and not_finite is not None:
        return not_finite
    return Value(finite, not_finite, sample_time, answer.at - answer.reach)


def read_samples(answer: Answer | Failure) -> float | NoData:
    """The number of samples behind a value: the sum over the series; none yet is 0."""
    if isinstance(answer, Failure):
        return NoData(answer.reason.value, answer.message, from_source=True)
    total = sum((one.value for one in answer.series), 0.0)
    if not math.isfinite(total):
        return _series(NoDataReason.NOT_A_NUMBER, "samples.count is not a finite number")
    return total


def _series(reason: NoDataReason, message: str) -> NoData:
    return NoData(reason.value, message, from_source=False)
