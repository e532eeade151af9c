"""Nothing rises but by a decision that was stored, that every gate lets go, and against no manual override."""

from search.claims.common import gates_that_count, is_step, rises
from search.memory import standing
from search.people import BY_HAND
from search.reconciling import Operator, Reconcile
from tidegate.domain.answers import Answer
from tidegate.domain.snapshot import Policy
from tidegate.domain.steps import dwell_at, next_after


def a_raise_follows_a_durable_intent(operator: Operator, done: Reconcile) -> str | None:
    for one in rises(done):
        for where, status in (("in what was read", done.read), ("in the store", done.place.status)):
            if status.raising is None or status.raising.percent != one.write.percent:
                return f"{one.write.percent} % is written, and {where} no such raise is decided"
        if done.read.pending is not None:
            return f"{one.write.percent} % is written before the record of its decision"
    return None


def a_raise_waits_for_the_finalizer_and_a_proven_way_back(operator: Operator, done: Reconcile) -> str | None:
    for one in rises(done):
        if not done.snapshot.rollout.finalizers:
            return f"{one.write.percent} % is written without a finalizer"
        if is_step(done) and done.read.rehearsal is None:
            return f"{one.write.percent} % is written before any write was read back"
    return None


def every_gate_lets_a_raise_go(operator: Operator, done: Reconcile) -> str | None:
    for one in rises(done):
        for source, gate in gates_that_count(done) if is_step(done) else ():
            kind = done.said.get(gate.name, "good")
            if (source, gate.name) not in done.snapshot.answers:
                return f"{one.write.percent} % is written, and {gate.name} was not read"
            if kind != "good":
                return f"{one.write.percent} % is written while {gate.name} reads {kind}"
    return None


def a_raise_rests_on_samples_from_after_the_step(operator: Operator, done: Reconcile) -> str | None:
    effective = done.read.effective_at
    for one in rises(done):
        for source, gate in gates_that_count(done) if is_step(done) and effective is not None else ():
            answer = done.snapshot.answers.get((source, gate.name))
            if answer is None or not isinstance(answer.value, Answer) or answer.value.oldest_sample is None or effective is None:
                continue
            if answer.value.oldest_sample <= effective.timestamp() or answer.value.at - answer.value.reach < effective.timestamp():
                return f"{one.write.percent} % is written on a reading of {gate.name} that reaches back before the step"
    return None


def pause_never_raises(operator: Operator, done: Reconcile) -> str | None:
    spec = done.spec
    for one in rises(done):
        if spec is not None and spec.paused and is_step(done):
            return f"{one.write.percent} % is written while spec.paused is true"
    return None


def nothing_rises_that_is_disabled_or_without_policy(operator: Operator, done: Reconcile) -> str | None:
    spec = done.spec
    for one in rises(done):
        if spec is None or not spec.enabled:
            return f"{one.write.percent} % is written while spec.enabled is false"
        if not isinstance(done.snapshot.policy, Policy) or done.snapshot.rollout.problem is not None:
            return f"{one.write.percent} % is written without a policy, or with a spec that can't be followed"
    return None


def no_step_is_skipped(operator: Operator, done: Reconcile) -> str | None:
    status, spec = done.read, done.spec
    for one in rises(done):
        if spec is None or status.raising is None:
            continue
        following = next_after(spec.strategy.ladder(), status.step_percent or 0)
        climbed = status.step_percent if status.step_percent and not standing(status) else following.percent if following else None
        wanted = spec.initial_percent if status.raising.adopts else climbed
        if one.write.percent != wanted:
            return f"{one.write.percent} % is written, and the next step is {wanted} %"
    return None


def no_dwell_is_cut_short(operator: Operator, done: Reconcile) -> str | None:
    status, spec, stood = done.read, done.spec, done.place.memory.stood
    for one in rises(done):
        at = standing(status)
        if spec is None or not at or stood is None or stood[0] != at:
            continue
        dwelt = done.place.now - stood[1]
        if dwelt < dwell_at(spec.strategy.ladder(), at):
            return f"{one.write.percent} % is written {dwelt.total_seconds():.0f} s after {at} % was read back"
    return None


def exposure_has_only_known_values(operator: Operator, done: Reconcile) -> str | None:
    scope = operator.library.scope
    known = {0, BY_HAND, 100, scope.spec.get("initialPercent", 0), *(percent for steps in scope.steps for percent in steps)}
    return next((f"{one.write.percent} % is no step" for one in done.writes if one.write.percent not in known), None)


def a_manual_override_is_never_undone(operator: Operator, done: Reconcile) -> str | None:
    lowered = done.place.memory.lowered
    for one in done.writes:
        if lowered is not None and (one.after.percent or 0) > lowered:
            return f"{one.write.percent} % is written over the manual override of {lowered} %"
    return None
