"""What a gate's answer means against its bounds, for each kind of gate: a query, a count, a latency."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from tidegate.api.gates import Gate
from tidegate.decide.gates.latency import Shares, least_requests, read_latency
from tidegate.decide.gates.readings import (
    NoData,
    NoDataReason,
    Value,
    compared,
    missing,
    read_count,
    read_samples,
    read_value,
)
from tidegate.decide.gates.thresholds import breaching_series, failing_series, shown_series
from tidegate.domain.answers import Answer, Buckets, CountAnswer, Failure, GateAnswer, SeriesValue


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`baselines`: the policy's, by name. `medians`: what the gates of one source measured before the start, by name. `is_alone`: everybody
    has the feature, so that there is nobody to compare with."""

    baselines: Mapping[str, float]
    medians: Mapping[str, float]
    is_alone: bool


@dataclass(frozen=True, slots=True)
class Assessment:
    """`breach`: the worst series that the rollback rule holds for. `failing`: the worst one that keeps the advance rule from holding.
    `shown`: the one nearest to trouble. `requests`: how many a latency was taken of."""

    breach: SeriesValue | None
    failing: SeriesValue | None
    shown: SeriesValue
    not_finite: NoData | None
    sample_time: float
    window_start: float | None
    baseline: float | None = None
    requests: float | None = None


def assess(gate: Gate, answer: GateAnswer, staleness: timedelta, surroundings: Surroundings) -> Assessment | NoData:
    """The answer against the gate's bounds."""
    if isinstance(answer.value, Buckets) or gate.latency is not None:
        assert not isinstance(answer.value, Answer | CountAnswer)
        shares = read_latency(gate, answer.value, staleness)
        return shares if isinstance(shares, NoData) else _of_shares(shares)
    if isinstance(answer.value, CountAnswer):
        value: Value | NoData = read_count(answer.value, staleness)
    else:
        value = _relative(gate, read_value(answer.value, staleness, gate.series), answer, staleness, surroundings)
    return value if isinstance(value, NoData) else _of_value(gate, value)


def _of_value(gate: Gate, value: Value) -> Assessment:
    return Assessment(
        breach=breaching_series(gate.rollback, value),
        failing=failing_series(gate.advance, value) if gate.advance is not None else None,
        shown=shown_series(gate, value),
        not_finite=value.not_finite,
        sample_time=value.sample_time,
        window_start=value.window_start,
        baseline=value.baseline,
    )


def _of_shares(shares: Shares) -> Assessment:
    shown = SeriesValue("", shares.shown())
    return Assessment(
        breach=SeriesValue("", shares.to_roll_back) if shares.breaches() and shares.to_roll_back is not None else None,
        failing=SeriesValue("", shares.to_advance) if shares.fails() and shares.to_advance is not None else None,
        shown=shown,
        not_finite=None,
        sample_time=shares.sample_time,
        window_start=shares.window_start,
        requests=shares.requests,
    )


def _relative(gate: Gate, value: Value | NoData, answer: GateAnswer, staleness: timedelta, surroundings: Surroundings) -> Value | NoData:
    """The value compared with what the gate is relative to; the value itself where that is nothing."""
    relative, base = gate.relative_to, answer.base
    if relative is None:
        return value
    if base is not None:
        return compared(value, _moved(read_value(base, staleness), answer.value, base))
    known = surroundings.baselines.get(relative.baseline) if relative.baseline is not None else surroundings.medians.get(gate.name)
    if known is None:
        what = f"baseline {relative.baseline} of the policy" if relative.baseline is not None else "median before the start"
        return missing(NoDataReason.BASELINE_MISSING, f"the {what} is not measured yet", has_deadline=False)
    return compared(value, Value((SeriesValue("", known),), None, math.inf, None))


def _moved(base: Value | NoData, value: object, asked: Answer | Failure) -> Value | NoData:
    """A base from a while before the value is as old as it was then: that it is of last week makes nothing of the value old."""
    if isinstance(base, NoData) or not isinstance(value, Answer) or not isinstance(asked, Answer):
        return base
    return replace(base, sample_time=base.sample_time + value.at - asked.at)


def least_samples(gate: Gate) -> float:
    """Below so many samples a gate doesn't judge."""
    if gate.samples is not None:
        return gate.samples.min
    return least_requests(gate.latency) if gate.latency is not None else 0.0


def sample_count(gate: Gate, answer: GateAnswer, found: Assessment | NoData, staleness: timedelta) -> float | NoData | None:
    """How many samples there are; None where the gate doesn't ask for any."""
    if gate.latency is not None:
        return found.requests if isinstance(found, Assessment) else None
    return None if answer.samples is None else read_samples(answer.samples, staleness)
