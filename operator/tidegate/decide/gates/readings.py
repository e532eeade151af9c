"""Answer → Value: the rules that decide whether a number may be trusted at all (docs/rollouts.md, "Answers and verdicts")."""

import math
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from tidegate.api.gates import SeriesRule
from tidegate.decide.numbers import number
from tidegate.domain.answers import Answer, CountAnswer, Failure, SeriesValue
from tidegate.domain.counting import MAX_SERIES as MAX_COUNTED
from tidegate.domain.counting import REMEMBERED

MAX_SERIES = 100
_NUMBERS = frozenset({"vector", "scalar"})
"""Types of a result that hold numbers at one instant."""
_NO_NUMBERS = "it must give numbers at one instant"


class NoDataReason(StrEnum):
    """Why an answer that came is still no data."""

    EMPTY = "Empty"
    STALE = "Stale"
    NOT_A_NUMBER = "NotANumber"
    INFINITE = "Infinite"
    TOO_MANY_SERIES = "TooManySeries"
    NOT_ONE_SERIES = "NotOneSeries"
    WRONG_TYPE = "WrongType"
    NO_SUCH_BUCKET = "NoSuchBucket"
    CATCHING_UP = "CatchingUp"
    BASELINE_MISSING = "BaselineMissing"
    BASELINE_ZERO = "BaselineZero"
    STAMPED_AHEAD = "StampedAhead"


@dataclass(frozen=True, slots=True)
class NoData:
    """No number to judge. `has_deadline`: series are missing, so that noData.deadline runs. It doesn't where the source failed or refuses
    the query, where what to compare with was never measured, or a count is behind: none of it tells anything of the feature."""

    reason: str
    message: str
    has_deadline: bool


@dataclass(frozen=True, slots=True)
class Value:
    """Finite series, and what was wrong with the others. A finite series may be in breach beside one that isn't finite;
    to advance, all must be finite. `window_start` is None where the window is the attempt's own, or the step's. `baseline` is what the
    series were compared with, where that is one number."""

    series: tuple[SeriesValue, ...]
    not_finite: NoData | None
    sample_time: float
    window_start: float | None
    baseline: float | None = None

    def largest(self) -> SeriesValue:
        return max(self.series, key=lambda one: one.value)

    def smallest(self) -> SeriesValue:
        return min(self.series, key=lambda one: one.value)


def failed(failure: Failure) -> NoData:
    """A source that gave no answer, also where the query is what it can't evaluate."""
    return NoData(failure.reason.value, failure.message, has_deadline=False)


def missing(reason: NoDataReason, message: str, *, has_deadline: bool = True) -> NoData:
    """An answer that holds nothing to judge."""
    return NoData(reason.value, message, has_deadline)


def stale(at: float, oldest_sample: float | None, staleness: timedelta, lacking: str = "") -> NoData | None:
    """What is wrong with the age of what was read. `lacking` is the selector that nothing was found for."""
    if oldest_sample is None:
        return missing(NoDataReason.STALE, f"{lacking[:300] or 'a selector of the query'} matches no living series")
    age, most = at - oldest_sample, staleness.total_seconds()
    if age > most:
        return missing(NoDataReason.STALE, "the newest sample of a selector is older than the policy's staleness")
    if not age >= -most:  # no number compares to NaN
        return missing(NoDataReason.STALE, "the newest sample of a selector has a time that can't be: the source's answer is wrong")
    return None


def read_value(answer: Answer | Failure, staleness: timedelta, series: SeriesRule | None = None) -> Value | NoData:
    """The value of a query."""
    if isinstance(answer, Failure):
        return failed(answer)
    if answer.result_type not in _NUMBERS:
        return missing(NoDataReason.WRONG_TYPE, f"the query gives a {answer.result_type}: {_NO_NUMBERS}")
    if not answer.series:
        return missing(NoDataReason.EMPTY, _nothing(answer.lacking))
    if series is SeriesRule.ONE and answer.total != 1:
        return missing(NoDataReason.NOT_ONE_SERIES, f"the query gives {answer.total} series: with series: one it must give one")
    if answer.total > MAX_SERIES:
        return missing(NoDataReason.TOO_MANY_SERIES, f"the query gives {answer.total} series; at most {MAX_SERIES}: aggregate them")
    old = stale(answer.at, answer.oldest_sample, staleness, answer.lacking)
    if old is not None or answer.oldest_sample is None:
        return old or missing(NoDataReason.STALE, "")
    return _finite(answer, answer.oldest_sample)


def _nothing(lacking: str) -> str:
    if not lacking:
        return "the query gives no series"
    remedy = "where that is right while all is well, write `(…) or vector(0)` around its part of the query"
    return f"the query gives no series, {lacking[:300]} has none: {remedy}"


def _finite(answer: Answer, sample_time: float) -> Value | NoData:
    finite = tuple(one for one in answer.series if math.isfinite(one.value))
    not_finite = None
    if len(finite) < len(answer.series):
        odd = next(one for one in answer.series if not math.isfinite(one.value))
        reason = NoDataReason.NOT_A_NUMBER if math.isnan(odd.value) else NoDataReason.INFINITE
        not_finite = missing(reason, f"the series {odd.labels or '{}'} is {odd.value}")
    if not finite and not_finite is not None:
        return not_finite
    return Value(finite, not_finite, sample_time, answer.at - answer.reach)


def read_count(answer: CountAnswer | Failure, staleness: timedelta) -> Value | NoData:
    """The number of events so far. No series at all is 0 only while a target is up that would export one."""
    if isinstance(answer, Failure):
        return failed(answer)
    if answer.tally.is_lost:
        text = f"the counter had more than {REMEMBERED} series within an hour: what was counted is lost; narrow its selector"
        return missing(NoDataReason.TOO_MANY_SERIES, text)
    if answer.series > MAX_COUNTED:
        return missing(NoDataReason.TOO_MANY_SERIES, f"the counter has {answer.series} series; at most {MAX_COUNTED} are counted")
    if not answer.caught_up:
        text = "events since the last reconcile are still being counted"
        return missing(NoDataReason.CATCHING_UP, text, has_deadline=False)
    if answer.oldest_sample is None:
        text = "the counter has no series, and no target of its job is up: name the job in the selector, or export the counter from 0 on"
        return missing(NoDataReason.EMPTY, text)
    old = stale(answer.at, answer.oldest_sample, staleness)
    if old is None and not math.isfinite(answer.tally.total):
        return missing(NoDataReason.NOT_A_NUMBER, "more events were counted than a number can hold")
    return old or Value((SeriesValue("", answer.tally.total),), None, answer.oldest_sample, None)


def read_samples(answer: Answer | Failure, staleness: timedelta) -> float | NoData:
    """The number of samples behind a value: the sum over the series; none yet is 0."""
    if isinstance(answer, Failure):
        return failed(answer)
    if answer.result_type not in _NUMBERS:
        return missing(NoDataReason.WRONG_TYPE, f"samples.count gives a {answer.result_type}: {_NO_NUMBERS}")
    if not answer.series:
        return 0.0
    old = stale(answer.at, answer.oldest_sample, staleness, answer.lacking)
    if old is not None:
        return replace(old, message=f"samples.count: {old.message}")
    if answer.total > MAX_SERIES:
        text = f"samples.count gives {answer.total} series; at most {MAX_SERIES}: sum them in the query"
        return missing(NoDataReason.TOO_MANY_SERIES, text)
    total = sum((one.value for one in answer.series), 0.0)
    if not math.isfinite(total):
        return missing(NoDataReason.NOT_A_NUMBER, "samples.count is not a finite number")
    return total


def read_when(answer: Answer | Failure, staleness: timedelta) -> bool | NoData:
    """Whether a gate applies: any series that isn't 0. A selector without a living series says nothing either way."""
    if isinstance(answer, Failure):
        return failed(answer)
    if answer.result_type not in _NUMBERS:  # it holds no series, which is not to say that none is let through
        return missing(NoDataReason.WRONG_TYPE, f"when gives a {answer.result_type}: {_NO_NUMBERS}")
    old = stale(answer.at, answer.oldest_sample, staleness, answer.lacking)
    if old is not None:
        return replace(old, message=f"when: {old.message}")
    if answer.total > MAX_SERIES:
        return missing(NoDataReason.TOO_MANY_SERIES, f"when gives {answer.total} series; at most {MAX_SERIES}: aggregate them")
    if any(not math.isfinite(one.value) for one in answer.series):
        return missing(NoDataReason.NOT_A_NUMBER, "when is not a finite number")
    return any(one.value != 0 for one in answer.series)


def compared(value: Value | NoData, base: Value | NoData) -> Value | NoData:
    """(value - base) / |base| for every series, with the base of the same labels; a base that is one series without labels is for all.

    A series that has no base to be compared with is no data alone: the others are judged, and nothing advances meanwhile.
    """
    if isinstance(value, NoData):
        return value
    if isinstance(base, NoData):
        return replace(base, message=f"relativeTo: {base.message}")
    alone = base.series[0].value if len(base.series) == 1 and not base.series[0].labels and base.not_finite is None else None
    by_labels = {one.labels: one.value for one in base.series}
    ratios, lacking = [], value.not_finite
    for one in value.series:
        against = alone if alone is not None else by_labels.get(one.labels)
        if against and math.isfinite(ratio := (one.value - against) / abs(against)):
            ratios.append(SeriesValue(one.labels, ratio))
        else:
            lacking = lacking or _without_base(one, against, base)
    if not ratios and lacking is not None:
        return lacking
    sample_time = min(value.sample_time, base.sample_time)
    return replace(value, series=tuple(ratios), not_finite=lacking, sample_time=sample_time, baseline=alone)


def _without_base(one: SeriesValue, against: float | None, base: Value) -> NoData:
    if against is not None:  # or so close to 0 that the ratio is no number
        text = f"relativeTo is {number(against)} for {one.labels or '{}'}: nothing can be compared with it"
        return missing(NoDataReason.BASELINE_ZERO, text)
    if base.not_finite is not None:
        return replace(base.not_finite, message=f"relativeTo: {base.not_finite.message}")
    remedy = "aggregate both by the same labels, or relativeTo to one series without any"
    return missing(NoDataReason.BASELINE_MISSING, f"relativeTo has no series with the labels {one.labels or '{}'}: {remedy}")
