"""Every gate and guard of one reconcile: judged, kept within reach, and recorded."""

from collections.abc import Iterator
from datetime import timedelta

from tidegate.api.conditions import Reason
from tidegate.api.gates import Gate, Guard, OnBreach
from tidegate.api.records import Transition
from tidegate.api.rollout_status import GateSource, GateStatus, HeldBy, Phase, StartMedian, Verdict
from tidegate.api.types import format_duration, format_second
from tidegate.decide.gates.assess import Surroundings
from tidegate.decide.gates.verdict import Context, judge, unjudgeable
from tidegate.decide.numbers import number, single_value
from tidegate.decide.rollout.draft import Draft
from tidegate.domain.answers import Failure, GateId
from tidegate.domain.asks import is_waited_for, start_source
from tidegate.domain.problems import Problem
from tidegate.domain.snapshot import Policy
from tidegate.domain.steps import dwell_at

_RECORDED = {HeldBy.DEADLINE: Transition.NO_DATA_DEADLINE}
"""What is recorded where a gate is held by something; a guard's breach where nothing else is named."""


def judge_all(draft: Draft) -> None:
    """Reads the answers of this reconcile into `status.gates`, and records what must be known of them."""
    policy = draft.snapshot.policy
    if not isinstance(policy, Policy) or draft.status.phase is Phase.SUCCEEDED:
        return
    _keep_medians(draft)
    before = draft.latest_evidence()
    judged: list[GateStatus] = []
    for source, gate, context in to_judge(draft, policy):
        known = before.get((source, gate.name))
        status = judge(gate, source, draft.answers.get((source, gate.name)), known, context)
        if status is not None:
            judged.append(within_reach(draft, status, gate))
    draft.set(gates=tuple(judged))
    for status in judged:
        _record_once(draft, status, before.get((status.source, status.name)))


def to_judge(draft: Draft, policy: Policy) -> Iterator[tuple[GateSource, Gate, Context]]:
    no_data = draft.spec.no_data if draft.exposed and not draft.at_full else None
    own, of_guards = (_surroundings(draft, policy, source) for source in (GateSource.ROLLOUT, GateSource.POLICY))
    staleness, effective, exposed = policy.spec.prometheus.staleness, draft.status.effective_at, draft.status.exposed_at
    if draft.exposed:
        context = Context(draft.now, staleness, effective, exposed, no_data, own)
        yield from ((GateSource.ROLLOUT, gate, context) for gate in draft.resolved.gates)
    for_guards = Context(draft.now, staleness, effective, None, no_data, of_guards)
    yield from ((GateSource.POLICY, guard, for_guards) for guard in policy.spec.guards)


def _surroundings(draft: Draft, policy: Policy, source: GateSource) -> Surroundings:
    medians = {name: float(median.value) for (owner, name), median in current_medians(draft).items() if owner is source}
    return Surroundings(policy.baselines, medians, is_alone=draft.standing == 100)


def _own_gates(draft: Draft, policy: Policy) -> Iterator[tuple[GateSource, Gate, Context]]:
    """The rollout's gates while nobody is exposed: asked, to see whether they can be judged at all."""
    surroundings = Surroundings(policy.baselines, {}, is_alone=False)
    context = Context(draft.now, policy.spec.prometheus.staleness, None, None, None, surroundings)
    yield from ((GateSource.ROLLOUT, gate, context) for gate in draft.resolved.gates)


def current_medians(draft: Draft) -> dict[GateId, StartMedian]:
    """The medians before the start that were measured from what the gates ask now."""
    gates, known = draft.every_gate, draft.status.medians
    return {one: median for one, median in known.items() if one in gates and start_source(gates[one]) == median.source}


def _keep_medians(draft: Draft) -> None:
    """Medians before the start are measured once, and kept for the attempt; what a gate no longer asks is dropped."""
    kept = current_medians(draft)
    for (source, name), gate in draft.every_gate.items():
        question, value = start_source(gate), single_value(draft.snapshot.medians.get((source, name)))
        if question is not None and isinstance(value, float):
            kept[source, name] = StartMedian(gate=name, value=number(value), at=draft.now, source=question)
    own, of_guards = (
        tuple(median for one, median in kept.items() if one[0] is source) for source in (GateSource.ROLLOUT, GateSource.POLICY)
    )
    draft.set(baselines=own, guard_baselines=of_guards)


def _record_once(draft: Draft, gate: GateStatus, before: GateStatus | None) -> None:
    """Records what leads to no action, but must be on record."""
    if gate.held_by is None or (before is not None and before.held_by is gate.held_by):
        return
    transition = _RECORDED.get(gate.held_by, Transition.GUARD_BREACHED)
    draft.record(transition, f"{gate.source} {gate.name} {gate.value or ''} ({gate.threshold}): {gate.message}")


def within_reach(draft: Draft, gate: GateStatus, guard: Gate) -> GateStatus:
    """A guard's breach rolls back only what rose a short while ago, and only where the guard may roll back at all. An old feature did not
    cause today's incident, and a protection must not be turned off by the incident that it protects against."""
    if gate.verdict is not Verdict.ROLLBACK or not isinstance(guard, Guard):
        return gate
    if guard.on_breach is OnBreach.NOTIFY:
        held, why = HeldBy.ON_BREACH_NOTIFY, "onBreach is notify: reported, nothing else"
    elif guard.on_breach is OnBreach.HOLD:
        held, why = HeldBy.ON_BREACH_HOLD, "onBreach is hold: held, not rolled back"
    elif not draft.exposed:
        held, why = HeldBy.UNEXPOSED, "nobody is exposed yet: held, not rolled back"
    else:
        reach = guard.reach if guard.reach is not None else _default_reach(draft)
        raised = draft.status.raised_at
        if raised is not None and draft.now - raised < reach:
            return gate
        held, why = HeldBy.REACH, f"exposure did not rise within the guard's reach ({format_duration(reach)}): held, not rolled back"
    return gate.model_copy(update={"verdict": Verdict.HOLD, "held_by": held, "message": f"{gate.message}; {why}"})


def _default_reach(draft: Draft) -> timedelta:
    """The bake, and never less than the step's dwell: a rollout with a short bake is still guarded while it climbs."""
    return max(draft.spec.bake, dwell_at(draft.steps, draft.standing))


def rollback_cause(draft: Draft) -> str | None:
    """Why the rollout must go back to 0 % now, in words; None where no gate asks for it."""
    if not draft.exposed:
        return None
    for gate in draft.status.gates:
        if gate.verdict is Verdict.ROLLBACK:
            kind = kind_of(gate.source)
            value = f" {float(gate.value):.4g}" if gate.value is not None else ""
            since = f" since {format_second(gate.breached_since)}" if value and gate.breached_since is not None else ""
            where = f", at {gate.worst_series[:200]}" if value and gate.worst_series else ""
            return f"{kind} {gate.name}:{value} ({gate.threshold}){since}: {gate.message}{where}"
    return None


def refused_query(draft: Draft) -> Problem | None:
    """A gate whose query Prometheus can't evaluate."""
    for gate in draft.status.gates:
        judged = draft.every_gate.get((gate.source, gate.name))
        if gate.no_data_reason == Reason.QUERY_REFUSED.value and (judged is None or is_waited_for(judged)):
            kind = kind_of(gate.source)
            return Problem(Reason.QUERY_REFUSED, f"{kind} {gate.name}: Prometheus refuses its query: {gate.message}"[:1024])
    return None


def kind_of(source: GateSource) -> str:
    """A gate in words: the policy's are guards."""
    return "guard" if source is GateSource.POLICY else "gate"


_NO_SUCH_SERIES_REMEDY = (
    " within 7 days: correct names and labels; for what is empty while all is well, write (…) or vector(0); for what comes with the "
    "feature, give the gate startsEmpty: true"
)


def unready(draft: Draft) -> Problem | None:
    """What a gate needs before the first exposure: series that exist, queries that Prometheus takes and whose answers have the right form,
    and the baselines that it is relative to."""
    policy = draft.snapshot.policy
    raising = draft.status.raising
    is_live = raising is not None and raising.adopts
    if draft.status.exposed_at is not None or is_live or not isinstance(policy, Policy):
        return None
    unknown = draft.snapshot.unknown_metrics
    if unknown and not isinstance(unknown, Failure):
        return Problem(Reason.NO_SUCH_SERIES, f"no series of {', '.join(unknown)}"[:800] + _NO_SUCH_SERIES_REMEDY)
    return _never_judged(draft, policy) or _not_measured(draft, policy)


def _never_judged(draft: Draft, policy: Policy) -> Problem | None:
    for source, gate, context in (*_own_gates(draft, policy), *to_judge(draft, policy)):
        never = unjudgeable(gate, draft.answers.get((source, gate.name)), context) if is_waited_for(gate) else None
        if never is not None:
            return Problem(Reason.QUERY_REFUSED, f"{kind_of(source)} {gate.name} can never be judged: {never}"[:1024])
    return None


def _not_measured(draft: Draft, policy: Policy) -> Problem | None:
    known, found = current_medians(draft), draft.snapshot.medians
    for one, gate in draft.every_gate.items():
        relative, named = gate.relative_to, f"{kind_of(one[0])} {gate.name}"
        if relative is None or not is_waited_for(gate):
            continue
        if relative.baseline is not None and relative.baseline not in policy.baselines:
            text = f"{named}: RolloutPolicy {policy.name} has not measured a baseline {relative.baseline}"
            return Problem(Reason.BASELINE_MISSING, text)
        if relative.start is not None and one not in known and one in found:
            text = f"{named}: the median of its query over {format_duration(relative.start.over)} can't be read: {single_value(found[one])}"
            return Problem(Reason.BASELINE_MISSING, text[:1024])
    return None
