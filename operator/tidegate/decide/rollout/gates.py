"""One gate's verdict (docs/rollouts.md, "Readings and verdicts"), and the evidence of a breach that has to last."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tidegate.api.feature_rollout import NoData as NoDataRule
from tidegate.api.feature_rollout import NoDataAction
from tidegate.api.gates import Gate, RollbackRule
from tidegate.api.rollout_status import GateSource, GateStatus, Verdict
from tidegate.decide.numbers import number
from tidegate.decide.rollout.assess import Assessment, Surroundings, assess, least_samples, sample_count
from tidegate.decide.rollout.readings import NoData, NoDataReason, read_when
from tidegate.decide.rollout.thresholds import confirmations, thresholds_in_words
from tidegate.domain.counting import to_status
from tidegate.domain.readings import Answer, CountAnswer, GateAnswer, SeriesValue

MIN_SAMPLES_FOR = 3
"""`for` must be spanned by at least this many distinct samples: two, one at each end, would say nothing of what lies between."""


HELD_BEYOND_DEADLINE = "past noData.deadline, held"
_NOT_FINITE = frozenset({NoDataReason.NOT_A_NUMBER.value, NoDataReason.INFINITE.value})
_CLOCKS = ("breached_since", "breached_last", "breached_samples")


@dataclass(frozen=True, slots=True)
class Context:
    """What a verdict depends on besides the gate and its reading.

    `effective_at`: since when the current exposure is in force; None before the first exposure.
    `counts_from`: samples up to this time say nothing about the attempt; None where all do.
    `no_data`: the deadline for missing series; None where its clock stands still.
    `surroundings`: what the policy and the attempt know that a gate may be compared with.
    """

    now: datetime
    staleness: timedelta
    effective_at: datetime | None
    counts_from: datetime | None
    no_data: NoDataRule | None
    surroundings: Surroundings


@dataclass(frozen=True, slots=True)
class _Evidence:
    since: datetime
    last: datetime
    samples: int


def judge(gate: Gate, source: GateSource, answer: GateAnswer | None, before: GateStatus | None, context: Context) -> GateStatus | None:
    """The gate's new status; None where nothing was asked and nothing was known."""
    if answer is None:
        return before
    status = GateStatus(source=source, name=gate.name, verdict=Verdict.HOLD, threshold=thresholds_in_words(gate))
    if isinstance(answer.value, CountAnswer):
        status = status.model_copy(update={"counted": to_status(answer.value.tally, answer.value.counter)})
    applies = True if answer.when is None else read_when(answer.when, context.staleness)
    if isinstance(applies, NoData):
        return _without_data(status, applies, before, context)
    if not applies:
        return _not_applicable(status, "when is false", before, context)
    if context.surroundings.is_alone and gate.relative_to is not None and gate.relative_to.query is not None:
        return _not_applicable(status, "nobody is left without the feature to compare with", before, context)
    return _judged(gate, status, answer, before, context)


def _judged(gate: Gate, status: GateStatus, answer: GateAnswer, before: GateStatus | None, context: Context) -> GateStatus:
    found = assess(gate, answer, context.staleness, context.surroundings)
    samples = sample_count(gate, answer, found, context.staleness)
    if isinstance(samples, float):
        least = least_samples(gate)
        status = _with_samples(status, samples, least, context)
        if samples < least and _is_young(found, answer):
            return _too_few(status.model_copy(update=_kept(before)), found)
    missing = found if isinstance(found, NoData) else samples if isinstance(samples, NoData) else None
    if missing is not None:
        return _without_data(status, missing, before, context)
    assert isinstance(found, Assessment)
    status = status.model_copy(update={"sample_time": _time(found.sample_time), "baseline": _optional(found.baseline)})
    if found.breach is not None and gate.rollback is not None and _counts(found, context):
        return _in_breach(_shown(status, found.breach), gate, before, context)
    if found.not_finite is not None:
        return _without_data(status, found.not_finite, before, context)
    return _healthy(gate, status, found, context)


def _is_young(found: Assessment | NoData, answer: GateAnswer) -> bool:
    """Whether a value that can't be read may still come: 0/0 before the first sample, or no series yet beside a living count of samples."""
    if not isinstance(found, NoData) or found.reason in _NOT_FINITE:
        return True
    return found.reason == NoDataReason.EMPTY.value and isinstance(answer.samples, Answer) and bool(answer.samples.series)


def _with_samples(status: GateStatus, samples: float, least: float, context: Context) -> GateStatus:
    expected = None
    if context.effective_at is not None and 0 < samples < least:
        expected = context.effective_at + (context.now - context.effective_at) * (least / samples)
    return status.model_copy(update={"samples": number(samples), "samples_min": number(least), "samples_expected_at": expected})


def _too_few(status: GateStatus, found: Assessment | NoData) -> GateStatus:
    if isinstance(found, Assessment):
        status = _shown(status, found.shown).model_copy(update={"sample_time": _time(found.sample_time)})
    return status.model_copy(update={"message": f"{status.samples} of {status.samples_min} samples: too few to judge"})


def _counts(found: Assessment, context: Context) -> bool:
    return context.counts_from is None or found.sample_time > context.counts_from.timestamp()


def _not_applicable(status: GateStatus, why: str, before: GateStatus | None, context: Context) -> GateStatus:
    """As long as a gate doesn't apply, its clocks stand still: what it saw of a breach, and how long it was without data, is kept."""
    return status.model_copy(
        update=_kept(before) | {"verdict": Verdict.NOT_APPLICABLE, "no_data_before": _seconds_without(before, context.now), "message": why}
    )


def _kept(before: GateStatus | None) -> dict[str, Any]:
    return {} if before is None else {name: getattr(before, name) for name in _CLOCKS}


def _seconds_without(before: GateStatus | None, now: datetime) -> int | None:
    """Seconds without data until now."""
    if before is None or (before.no_data_since is None and before.no_data_before is None):
        return None
    running = now - before.no_data_since if before.no_data_since is not None else timedelta(0)
    return (before.no_data_before or 0) + int(running.total_seconds())


def _without_data(status: GateStatus, missing: NoData, before: GateStatus | None, context: Context) -> GateStatus:
    """A breach's evidence is kept over the gap. The deadline's clock stands still while the source itself fails, before the first
    exposure and at the last step."""
    is_running = not missing.from_source and context.no_data is not None
    clock: dict[str, Any] = {"no_data_before": _seconds_without(before, context.now)}
    if is_running and before is not None and before.no_data_since is not None:
        clock = {"no_data_since": before.no_data_since, "no_data_before": before.no_data_before}
    elif is_running:
        clock["no_data_since"] = context.now
    out = status.model_copy(
        update=_kept(before) | clock | {"verdict": Verdict.NO_DATA, "no_data_reason": missing.reason, "message": missing.message}
    )
    if context.no_data is None or out.no_data_since is None:
        return out
    elapsed = context.now - out.no_data_since + timedelta(seconds=out.no_data_before or 0)
    if elapsed < context.no_data.deadline:
        return out
    if context.no_data.then is NoDataAction.ROLLBACK:
        text = f"no data for {elapsed.total_seconds():.0f} s, longer than noData.deadline: {missing.message}"
        return out.model_copy(update={"verdict": Verdict.ROLLBACK, "message": text})
    return out.model_copy(update={"message": f"{HELD_BEYOND_DEADLINE}: {missing.message}"})


def _in_breach(status: GateStatus, gate: Gate, before: GateStatus | None, context: Context) -> GateStatus:
    rule = gate.rollback
    assert status.sample_time is not None
    assert rule is not None
    evidence = _extended(_evidence(before), status.sample_time, rule, context.staleness)
    lasted = evidence.last - evidence.since
    if rule.for_ is not None:
        fired = lasted >= rule.for_ and evidence.samples >= MIN_SAMPLES_FOR
        text = f"in breach for {lasted.total_seconds():.0f} s over {evidence.samples} samples"
    else:
        fired = evidence.samples >= confirmations(gate)
        text = f"in breach on {evidence.samples} of {confirmations(gate)} samples"
    return status.model_copy(
        update={
            "verdict": Verdict.ROLLBACK if fired else Verdict.HOLD,
            "breached_since": evidence.since,
            "breached_last": evidence.last,
            "breached_samples": evidence.samples,
            "message": text,
        }
    )


def _extended(evidence: _Evidence | None, sample: datetime, rule: RollbackRule, staleness: timedelta) -> _Evidence:
    """A sample counts once, however often it is read. A gap longer than `for` begins the breach anew, unless it is no gap but the pace at
    which samples come: what is younger than the policy's staleness still speaks for the present."""
    if evidence is None or (rule.for_ is not None and sample - evidence.last > max(rule.for_, staleness)):
        return _Evidence(sample, sample, 1)
    if sample <= evidence.last:
        return evidence
    return _Evidence(evidence.since, sample, evidence.samples + 1)


def _evidence(before: GateStatus | None) -> _Evidence | None:
    if before is None or before.breached_since is None or before.breached_last is None or before.breached_samples is None:
        return None
    return _Evidence(before.breached_since, before.breached_last, before.breached_samples)


def _healthy(gate: Gate, status: GateStatus, found: Assessment, context: Context) -> GateStatus:
    status = _shown(status, found.breach or found.failing or found.shown)
    if found.breach is not None:
        return status.model_copy(update={"message": "in breach, by samples from before this attempt exposed anybody"})
    if found.failing is not None:
        return status.model_copy(update={"message": "between advance and rollback" if gate.rollback else "advance does not hold"})
    if context.effective_at is not None:
        effective = context.effective_at.timestamp()
        if found.sample_time <= effective or (found.window_start is not None and found.window_start < effective):
            return status.model_copy(update={"message": "the query still reaches back before this step took effect"})
    return status.model_copy(update={"verdict": Verdict.ADVANCE})


def _shown(status: GateStatus, series: SeriesValue) -> GateStatus:
    return status.model_copy(update={"value": number(series.value), "worst_series": series.labels[:512] or None})


def _time(seconds: float) -> datetime:
    """To the millisecond, as status keeps it: a sample that is read back finer than it was stored would count twice."""
    return datetime.fromtimestamp(round(seconds * 1000) // 1000, UTC) + timedelta(milliseconds=round(seconds * 1000) % 1000)


def _optional(value: float | None) -> str | None:
    return None if value is None else number(value)
