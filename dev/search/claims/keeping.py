"""Epochs and records grow, whoever is not at rest is woken, nothing waits without a reason, and what goes leaves nobody behind."""

from search.claims.common import gates_that_count
from search.looking import Look, Operator
from search.place import Life
from tidegate.api.drift import CONTESTED_AFTER
from tidegate.api.gates import Guard
from tidegate.api.rollout_status import GateSource, Phase, State
from tidegate.decide.rollout.steps import dwell_at
from tidegate.domain.readings import Answer
from tidegate.domain.snapshot import FlagReading, Policy


def every_write_carries_a_larger_epoch(operator: Operator, look: Look) -> str | None:
    for one in look.writes:
        before, after = one.epochs
        if after <= before or one.after.marker is None or one.after.marker.epoch != after:
            return f"a write under epoch {after} follows one under {before}"
    return None


def seq_never_goes_back_or_repeats(operator: Operator, look: Look) -> str | None:
    before, after, run = look.snapshot.rollout.status, look.decision.status, look.place.run
    if after.seq < before.seq:
        return f"seq goes from {before.seq} back to {after.seq}"
    waiting = [record.seq for record in after.pending.records] if after.pending is not None else []
    if waiting and waiting != list(range(after.seq - len(waiting) + 1, after.seq + 1)):
        return f"the records that wait have the numbers {waiting}, and the newest is {after.seq}"
    appended, unwritten = (
        [record.seq for record in look.appended],
        before.pending.records[0].seq if before.pending is not None else before.seq + 1,
    )
    known = run.seq if run is not None else unwritten - 1
    if appended and not look.is_late and appended != list(range(known + 1, known + 1 + len(appended))):
        return f"the records {appended} are appended after {known}"
    return None


def whoever_is_not_at_rest_is_woken(operator: Operator, look: Look) -> str | None:
    decision, spec = look.decision, look.snapshot.rollout.followed_spec()
    status, wait = decision.status, decision.requeue_after
    if look.snapshot.rollout.deleting:
        return None
    if wait is None:
        is_over = status.phase in (Phase.SUCCEEDED, Phase.ROLLED_BACK, Phase.DISABLED)
        return None if is_over and not decision.actions else f"nothing wakes it up in {status.phase}"
    if decision.actions and wait > 0:
        return "what it does is not looked at afterwards"
    if spec is not None and status.state is State.ROLLING_OUT and status.effective_at is not None and not spec.paused:
        left = (status.effective_at + dwell_at(spec.strategy.canary.resolved(), status.percent or 0) - look.now).total_seconds()
        if left > 0 and wait > left + 0.1:
            return f"the dwell ends in {left:.0f} s, and it sleeps for {wait:.0f} s"
    return None


def nothing_waits_without_a_reason(operator: Operator, look: Look) -> str | None:
    """The next step comes as soon as everything lets it; what doesn't go on says why."""
    before, after, spec = look.snapshot.rollout.status, look.decision.status, look.snapshot.rollout.followed_spec()
    flag = look.snapshot.flag
    if spec is None or before.state is not State.ROLLING_OUT or after.state is not State.ROLLING_OUT or not isinstance(flag, FlagReading):
        return None
    if after.raising is not None or before.raising is not None or after.attempt != before.attempt or after.lapsed_percent is not None:
        return None
    if not after.waiting_for:
        return "it holds without saying why"
    effective = after.effective_at
    if effective is None or after.rehearsal is None or flag.percent != after.percent or spec.paused or after.phase is not Phase.PROGRESSING:
        return None
    if flag.rewritten or flag.marker is None or (after.drift is not None and len(after.drift.corrected_at) >= CONTESTED_AFTER):
        return None  # it is put right first, or contested
    if look.now < effective + dwell_at(spec.strategy.canary.resolved(), after.percent or 0) or not isinstance(look.snapshot.policy, Policy):
        return None
    for _, gate in gates_that_count(look):
        answer = look.snapshot.answers.get((GateSource.POLICY if isinstance(gate, Guard) else GateSource.ROLLOUT, gate.name))
        if answer is None or look.said.get(gate.name, "good") != "good" or not isinstance(answer.value, Answer):
            return None
        if (answer.value.oldest_sample or 0) <= effective.timestamp() or answer.value.at - answer.value.reach < effective.timestamp():
            return None
    return f"nothing stands in the way, and it goes on waiting for: {after.waiting_for}"


def deletion_leaves_nobody_exposed_before_the_end(operator: Operator, look: Look) -> str | None:
    if look.place.life is not Life.DELETING or look.after.life is not Life.GONE or look.place.status.state is State.ENABLED:
        return None
    marker = operator.lever.reading(look.after.flags).marker
    shown = operator.lever.shown(look.after.flags, look.now)
    return f"the object goes, and leaves {shown} %" if shown and marker is not None and marker.uid == f"u{look.place.uid}" else None
