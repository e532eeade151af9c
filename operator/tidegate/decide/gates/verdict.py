"""One gate's verdict (docs/rollouts.md, "Answers and verdicts"), and the evidence of a breach that has to last."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from tidegate.api.conditions import Reason
from tidegate.api.feature_rollout import NoData as NoDataRule
from tidegate.api.feature_rollout import NoDataAction
from tidegate.api.gates import Gate, RollbackRule
from tidegate.api.rollout_status import AnswerPart, Counted, GateSource, GateStatus, HeldBy, StampedAhead, Verdict
from tidegate.decide.gates.ahead import Ahead, no_data, stamped_ahead, still_asked
from tidegate.decide.gates.assess import Assessment, Surroundings, assess, least_samples, sample_count
from tidegate.decide.gates.readings import NoData, NoDataReason, failed, read_samples, read_when
from tidegate.decide.gates.thresholds import confirmations, thresholds_in_words
from tidegate.decide.numbers import number
from tidegate.domain.answers import Answer, CountAnswer, Failure, GateAnswer, SeriesValue
from tidegate.domain.asks import gate_fingerprint
from tidegate.domain.counting import to_status
from tidegate.domain.queries import compile_query

MIN_SAMPLES_FOR = 3
"""`for` must be spanned by at least this many distinct samples: two, one at each end, would say nothing of what lies between."""


_FARTHEST = timedelta(days=3650)
_NOT_FINITE = frozenset({NoDataReason.NOT_A_NUMBER.value, NoDataReason.INFINITE.value})
_CLOCKS = ("breached_since", "breached_last", "breached_samples")


T = TypeVar("T")
Fields = dict[str, Any]
"""Fields of a GateStatus while it is being made. Copying the model for each of them would take most of a decision's time."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a verdict depends on besides the gate and its answer.

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
    """The gate's new status; None where nothing was asked and nothing was known. `answer`: as `blamed` gives it."""
    if answer is None:
        return before
    asked = gate_fingerprint(gate)
    known = asked if before is not None and before.answered == asked else None
    fields: Fields = {"source": source, "name": gate.name, "threshold": thresholds_in_words(gate)}
    fields["answered"] = asked if not any(isinstance(part, Failure) for part in answer.parts()) else known
    if gate.count is not None:
        fields["counted"] = _counted(answer, before)
    ahead = stamped_ahead(answer, () if before is None else still_asked(gate, before.stamped_ahead), context.now)
    if ahead:
        fields["stamped_ahead"] = tuple(StampedAhead(part=part, until=one.until) for part, one in ahead.items())
    return GateStatus(**_judged(gate, fields, answer, ahead, before, context))


def _counted(answer: GateAnswer, before: GateStatus | None) -> Counted | None:
    """How far the count has come. Where status can't hold that, or nothing was answered, what it held stays: counting can go on from it."""
    now = to_status(answer.value.tally, answer.value.counter) if isinstance(answer.value, CountAnswer) else None
    return now if now is not None or before is None else before.counted


_NEVER = frozenset(
    {NoDataReason.WRONG_TYPE, NoDataReason.TOO_MANY_SERIES, NoDataReason.NOT_ONE_SERIES, NoDataReason.NO_SUCH_BUCKET, Reason.QUERY_REFUSED}
)


def unjudgeable(gate: Gate, answer: GateAnswer | None, context: Context) -> str | None:
    """Why an answer of this form can never be judged; None where it can, or may be once the feature is exposed, and where the gate does
    not apply now."""
    if answer is None or (answer.when is not None and read_when(answer.when, context.staleness) is False):
        return None
    found: object = assess(gate, answer, context.staleness, context.surroundings)
    missing = [found, *([failed(answer.base)] if isinstance(answer.base, Failure) else [])]
    missing += [] if answer.samples is None else [read_samples(answer.samples, context.staleness)]
    missing += [] if answer.when is None else [read_when(answer.when, context.staleness)]
    return next((one.message for one in missing if isinstance(one, NoData) and one.reason in _NEVER), None)


def _judged(
    gate: Gate, fields: Fields, answer: GateAnswer, ahead: Mapping[AnswerPart, Ahead], before: GateStatus | None, context: Context
) -> Fields:
    said = True if answer.when is None else read_when(answer.when, context.staleness)
    applies = _unless_hidden(said, no_data(ahead.get(AnswerPart.WHEN)))
    if isinstance(applies, NoData):
        return fields | _without_data(applies, before, context)
    if not applies:
        return fields | _not_applicable("when is false", before, context)
    if context.surroundings.is_alone and gate.relative_to is not None and gate.relative_to.query is not None:
        return fields | _not_applicable("nobody is left without the feature to compare with", before, context)
    hidden = next((no_data(ahead[part]) for part in AnswerPart if part in ahead and part is not AnswerPart.WHEN), None)
    return _read(gate, fields, answer, hidden, before, context)


def _unless_hidden(found: T, hidden: NoData | None) -> T | NoData:
    """What was found; no data where samples are stamped ahead, unless the source itself is the trouble."""
    is_of_the_source = isinstance(found, NoData) and not found.has_deadline
    return found if hidden is None or is_of_the_source else hidden


def _read(gate: Gate, fields: Fields, answer: GateAnswer, hidden: NoData | None, before: GateStatus | None, context: Context) -> Fields:
    """A breach that is seen counts, also where something is hidden or not finite beside it; only all that is asked can advance."""
    found = assess(gate, answer, context.staleness, context.surroundings)
    samples = sample_count(gate, answer, found, context.staleness)
    if isinstance(samples, float):
        least = least_samples(gate)
        fields |= _with_samples(samples, least, context)
        if samples < least and _is_young(found, answer):
            few = _kept(before) | _too_few(samples, least, found)
            return fields | (few if hidden is None else _without_data(hidden, before, context))
    if isinstance(found, NoData) and found.reason == NoDataReason.EMPTY.value and _is_about_time_alone(gate):
        return fields | _kept(before) | {"verdict": Verdict.HOLD, "message": "the condition on the time (UTC) does not hold"}
    missing = found if isinstance(found, NoData) else samples if isinstance(samples, NoData) else None
    if missing is not None:
        return fields | _without_data(_unless_hidden(missing, hidden), before, context)
    assert isinstance(found, Assessment)
    fields["sample_time"] = _time(found.sample_time)
    if found.baseline is not None:
        fields["baseline"] = number(found.baseline)
    if found.breach is not None and gate.rollback is not None and _counts(found, context):
        return fields | _shown(found.breach) | _in_breach(gate, fields["sample_time"], before, context)
    if (beside := hidden or found.not_finite) is not None:
        return fields | _without_data(beside, before, context)
    return fields | _healthy(gate, found, context)


def _is_about_time_alone(gate: Gate) -> bool:
    return gate.query is not None and "$" not in gate.query and not compile_query(gate.query).selectors


def _is_young(found: Assessment | NoData, answer: GateAnswer) -> bool:
    """Whether a value that can't be read may still come: 0/0 before the first sample, or no series yet beside a living count of samples."""
    if not isinstance(found, NoData) or found.reason in _NOT_FINITE:
        return True
    return found.reason == NoDataReason.EMPTY.value and isinstance(answer.samples, Answer) and bool(answer.samples.series)


def _with_samples(samples: float, least: float, context: Context) -> Fields:
    expected = None
    if context.effective_at is not None and 0 < samples < least:
        expected = _forecast(context.effective_at, context.now, least, samples)
    return {"samples": number(samples), "samples_min": number(least), "samples_expected_at": expected}


def _forecast(begun: datetime, now: datetime, least: float, samples: float) -> datetime:
    """When so many samples will be there at the pace so far; at the latest in ten years, since a slow pace would leave the calendar."""
    seconds = max((now - begun).total_seconds(), 0.0) * least / samples
    return begun + min(timedelta(milliseconds=round(min(seconds, _FARTHEST.total_seconds()) * 1000)), _FARTHEST)


def _too_few(samples: float, least: float, found: Assessment | NoData) -> Fields:
    shown = _shown(found.shown) | {"sample_time": _time(found.sample_time)} if isinstance(found, Assessment) else {}
    return shown | {"verdict": Verdict.HOLD, "message": f"{number(samples)} of {number(least)} samples: too few to judge"}


def _counts(found: Assessment, context: Context) -> bool:
    return context.counts_from is None or found.sample_time > context.counts_from.timestamp()


def _not_applicable(why: str, before: GateStatus | None, context: Context) -> Fields:
    """As long as a gate doesn't apply, its clocks stand still: what it saw of a breach, and how long it was without data, is kept."""
    clock = {"no_data_before": _seconds_without(before, context.now)}
    return _kept(before) | clock | {"verdict": Verdict.NOT_APPLICABLE, "message": why}


def _kept(before: GateStatus | None) -> Fields:
    return {} if before is None else {name: getattr(before, name) for name in _CLOCKS}


def _seconds_without(before: GateStatus | None, now: datetime) -> int | None:
    """Seconds without data until now."""
    if before is None or (before.no_data_since is None and before.no_data_before is None):
        return None
    running = now - before.no_data_since if before.no_data_since is not None else timedelta(0)
    return (before.no_data_before or 0) + max(0, int(running.total_seconds()))  # the clock may have been set back


def _without_data(missing: NoData, before: GateStatus | None, context: Context) -> Fields:
    """A breach's evidence is kept over the gap. The deadline's clock stands still for what has no deadline, before the first exposure and
    at the last step."""
    out = _kept(before) | {"verdict": Verdict.NO_DATA, "no_data_reason": missing.reason, "message": missing.message}
    if not missing.has_deadline or context.no_data is None:
        return out | {"no_data_before": _seconds_without(before, context.now)}
    since, earlier = context.now, _seconds_without(before, context.now)
    if before is not None and before.no_data_since is not None:
        since, earlier = before.no_data_since, before.no_data_before
    out |= {"no_data_since": since, "no_data_before": earlier}
    elapsed = context.now - since + timedelta(seconds=earlier or 0)
    if elapsed < context.no_data.deadline:
        return out
    if context.no_data.then is NoDataAction.ROLLBACK:
        text = f"no data for {elapsed.total_seconds():.0f} s, longer than noData.deadline: {missing.message}"
        return out | {"verdict": Verdict.ROLLBACK, "message": text}
    return out | {"held_by": HeldBy.DEADLINE, "message": f"past noData.deadline, held: {missing.message}"}


def _in_breach(gate: Gate, sample: datetime, before: GateStatus | None, context: Context) -> Fields:
    rule = gate.rollback
    assert rule is not None
    evidence = _extended(_evidence(before), sample, rule, context.staleness)
    lasted = evidence.last - evidence.since
    if rule.for_ is not None:
        fired = lasted >= rule.for_ and evidence.samples >= MIN_SAMPLES_FOR
        text = f"in breach for {lasted.total_seconds():.0f} s over {evidence.samples} samples"
    else:
        fired = evidence.samples >= confirmations(gate)
        text = f"in breach on {evidence.samples} of {confirmations(gate)} samples"
    return {
        "verdict": Verdict.ROLLBACK if fired else Verdict.HOLD,
        "breached_since": evidence.since,
        "breached_last": evidence.last,
        "breached_samples": evidence.samples,
        "message": text,
    }


def _extended(evidence: _Evidence | None, sample: datetime, rule: RollbackRule, staleness: timedelta) -> _Evidence:
    """A sample counts once, however often it is read. A gap longer than `for` begins the breach anew, unless it is no gap but the pace at
    which samples come: what is younger than the policy's staleness still counts as the present."""
    if evidence is None or (rule.for_ is not None and sample - evidence.last > max(rule.for_, staleness)):
        return _Evidence(sample, sample, 1)
    if sample <= evidence.last:
        return evidence
    return _Evidence(evidence.since, sample, evidence.samples + 1)


def _evidence(before: GateStatus | None) -> _Evidence | None:
    if before is None or before.breached_since is None or before.breached_last is None or before.breached_samples is None:
        return None
    return _Evidence(before.breached_since, before.breached_last, before.breached_samples)


def _healthy(gate: Gate, found: Assessment, context: Context) -> Fields:
    shown = _shown(found.breach or found.failing or found.shown) | {"verdict": Verdict.HOLD}
    if found.breach is not None:
        return shown | {"message": "in breach, by samples from before this attempt exposed anybody"}
    if found.failing is not None:
        return shown | {"message": "between advance and rollback" if gate.rollback else "advance does not hold"}
    if context.effective_at is not None:
        effective = context.effective_at.timestamp()
        if found.sample_time <= effective or (found.window_start is not None and found.window_start < effective):
            return shown | {"message": "the query still reaches back before this step took effect"}
    return shown | {"verdict": Verdict.ADVANCE}


def _shown(series: SeriesValue) -> Fields:
    return {"value": number(series.value), "worst_series": series.labels[:512] or None}


def _time(seconds: float) -> datetime:
    """To the millisecond, as status keeps it: a sample that is read back finer than it was stored would count twice."""
    return datetime.fromtimestamp(round(seconds * 1000) // 1000, UTC) + timedelta(milliseconds=round(seconds * 1000) % 1000)
