"""One gate's verdict (the table of DESIGN §4), and the evidence of a breach that has to last."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tidegate.api.feature_rollout import NoData as NoDataRule
from tidegate.api.feature_rollout import NoDataAction
from tidegate.api.gates import Gate, RollbackRule
from tidegate.api.rollout_status import GateSource, GateStatus, Verdict
from tidegate.decide.rollout.readings import NoData, Value, read_samples, read_value
from tidegate.decide.rollout.thresholds import (
    breaching_series,
    confirmations,
    failing_series,
    number,
    shown_series,
    thresholds_in_words,
)
from tidegate.domain.readings import GateAnswer, SeriesValue

MIN_SAMPLES_FOR = 3
"""`for` must be spanned by at least this many distinct samples: two, one at each end, would say nothing of what lies between."""


HELD_BEYOND_DEADLINE = "past noData.deadline, held"


@dataclass(frozen=True, slots=True)
class Context:
    """What a verdict depends on besides the gate and its reading.

    `effective_at`: since when the current exposure is in force; None before the first exposure.
    `counts_from`: samples up to this time say nothing about the attempt; None where all do.
    `no_data`: the deadline for missing series; None where its clock stands still.
    """

    now: datetime
    staleness: timedelta
    effective_at: datetime | None
    counts_from: datetime | None
    no_data: NoDataRule | None


@dataclass(frozen=True, slots=True)
class _Evidence:
    since: datetime
    last: datetime
    samples: int


def judge(gate: Gate, source: GateSource, answer: GateAnswer | None, before: GateStatus | None, context: Context) -> GateStatus | None:
    """The gate's new status; None where nothing was asked and nothing was known."""
    if answer is None:
        return before
    reading = read_value(answer.value, context.staleness)
    samples = None if answer.samples is None else read_samples(answer.samples)
    status = GateStatus(source=source, name=gate.name, verdict=Verdict.HOLD, threshold=thresholds_in_words(gate))
    if gate.samples is not None and isinstance(samples, float):
        status = status.model_copy(update={"samples": number(samples), "samples_min": number(gate.samples.min)})
    missing = reading if isinstance(reading, NoData) else samples if isinstance(samples, NoData) else None
    if missing is not None:
        return _without_data(status, missing, before, context)
    assert isinstance(reading, Value)
    status = status.model_copy(update={"sample_time": _time(reading.sample_time)})
    if gate.samples is not None and isinstance(samples, float) and samples < gate.samples.min:
        text = f"{number(samples)} of {number(gate.samples.min)} samples: too few to judge"
        return _shown(status, shown_series(gate, reading)).model_copy(update={"message": text})
    worst = breaching_series(gate.rollback, reading)
    if worst is not None and gate.rollback is not None and _counts(reading, context):
        return _in_breach(_shown(status, worst), gate.rollback, before)
    if reading.not_finite is not None:
        return _without_data(status, reading.not_finite, before, context)
    return _healthy(gate, status, reading, worst, context)


def _counts(value: Value, context: Context) -> bool:
    return context.counts_from is None or value.sample_time > context.counts_from.timestamp()


def _without_data(status: GateStatus, missing: NoData, before: GateStatus | None, context: Context) -> GateStatus:
    """A breach's evidence is kept over the gap. A source that fails stops the deadline's clock: when it comes back, its series do too."""
    since = None if missing.from_source else (before.no_data_since if before and before.no_data_since else context.now)
    kept = {} if before is None else {name: getattr(before, name) for name in ("breached_since", "breached_last", "breached_samples")}
    out = status.model_copy(
        update=kept | {"verdict": Verdict.NO_DATA, "no_data_since": since, "no_data_reason": missing.reason, "message": missing.message}
    )
    if since is None or context.no_data is None or context.now - since < context.no_data.deadline:
        return out
    if context.no_data.then is NoDataAction.ROLLBACK:
        text = f"no data since {since:%Y-%m-%d %H:%M:%S} UTC, longer than noData.deadline: {missing.message}"
        return out.model_copy(update={"verdict": Verdict.ROLLBACK, "message": text})
    return out.model_copy(update={"message": f"{HELD_BEYOND_DEADLINE}: {missing.message}"})


def _in_breach(status: GateStatus, rule: RollbackRule, before: GateStatus | None) -> GateStatus:
    assert status.sample_time is not None
    evidence = _extended(_evidence(before), status.sample_time, rule)
    lasted = evidence.last - evidence.since
    if rule.for_ is not None:
        fired = lasted >= rule.for_ and evidence.samples >= MIN_SAMPLES_FOR
        text = f"in breach for {lasted.total_seconds():.0f} s over {evidence.samples} samples"
    else:
        fired = evidence.samples >= confirmations(rule)
        text = f"in breach on {evidence.samples} of {confirmations(rule)} samples"
    return status.model_copy(
        update={
            "verdict": Verdict.ROLLBACK if fired else Verdict.HOLD,
            "breached_since": evidence.since,
            "breached_last": evidence.last,
            "breached_samples": evidence.samples,
            "message": text,
        }
    )


def _extended(evidence: _Evidence | None, sample: datetime, rule: RollbackRule) -> _Evidence:
    """A sample counts once, however often it is read; a gap longer than `for` begins the breach anew."""
    if evidence is None or (rule.for_ is not None and sample - evidence.last > rule.for_):
        return _Evidence(sample, sample, 1)
    if sample <= evidence.last:
        return evidence
    return _Evidence(evidence.since, sample, evidence.samples + 1)


def _evidence(before: GateStatus | None) -> _Evidence | None:
    if before is None or before.breached_since is None or before.breached_last is None or before.breached_samples is None:
        return None
    return _Evidence(before.breached_since, before.breached_last, before.breached_samples)


def _healthy(gate: Gate, status: GateStatus, value: Value, breach: SeriesValue | None, context: Context) -> GateStatus:
    failing = failing_series(gate.advance, value) if gate.advance is not None else None
    status = _shown(status, breach or failing or shown_series(gate, value))
    if breach is not None:
        return status.model_copy(update={"message": "in breach, by samples from before this attempt exposed anybody"})
    if failing is not None:
        return status.model_copy(update={"message": "between advance and rollback" if gate.rollback else "advance does not hold"})
    if context.effective_at is not None:
        effective = context.effective_at.timestamp()
        if value.window_start < effective or value.sample_time <= effective:
            return status.model_copy(update={"message": "the query still reaches back before this step took effect"})
    return status.model_copy(update={"verdict": Verdict.ADVANCE})


def _shown(status: GateStatus, series: SeriesValue) -> GateStatus:
    return status.model_copy(update={"value": number(series.value), "worst_series": series.labels[:512] or None})


def _time(seconds: float) -> datetime:
    """To the millisecond, as status keeps it: a sample that is read back finer than it was stored would count twice."""
    return datetime.fromtimestamp(round(seconds * 1000) // 1000, UTC) + timedelta(milliseconds=round(seconds * 1000) % 1000)
