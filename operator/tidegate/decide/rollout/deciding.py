"""`decide` for a FeatureRollout: which attempt → judge and move → what the lever should show → conditions and the next wake-up."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from tidegate.api.conditions import Reason
from tidegate.api.rollout_status import FeatureRolloutStatus, Phase, State
from tidegate.decide.gates.judging import judge_all, rollback_cause
from tidegate.decide.gates.lint import questionable
from tidegate.decide.rollout.attempt import begin, not_adoptable, switch_off
from tidegate.decide.rollout.deletion import decide_deletion, last_writes
from tidegate.decide.rollout.draft import Draft
from tidegate.decide.rollout.drift import contested, correct, is_changed, report_rest
from tidegate.decide.rollout.expiry import lease_of
from tidegate.decide.rollout.missing import note_missing
from tidegate.decide.rollout.motion import bake_ends, is_confirmed, move, roll_back
from tidegate.decide.rollout.pacing import made_again_too_often
from tidegate.decide.rollout.summary import conditions_for, source_of, stalled_by, waiting_for
from tidegate.decide.rollout.waiting import Blocker, attempt_in_time, overdue_at
from tidegate.decide.rollout.wishes import corrected, wish_for
from tidegate.domain.asks import SILENT
from tidegate.domain.decision import FINALIZER, RETRY, Action, AddFinalizer, Decision, RemoveFinalizer
from tidegate.domain.exposure import Mode, Reading, Wish, Write
from tidegate.domain.problems import Problem
from tidegate.domain.recording import unrecorded
from tidegate.domain.snapshot import Policy, Snapshot
from tidegate.domain.steps import number_of
from tidegate.levers.deadman import renewed_every

AFTER_TICK = 0.02
"""Seconds after a tick of the evaluation interval at which the next reconcile comes, so that it never falls before the tick."""
SETTLING = 1.0
"""Seconds until what was written and is not in force yet is read again, should the event that announces it be missed."""
TERMINAL = (Phase.DISABLED, Phase.ROLLED_BACK, Phase.SUCCEEDED)


def decide(snapshot: Snapshot, now: datetime) -> Decision:
    """What one rollout should do now: its status as it should be written, and the actions that make the world match it."""
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)
    if snapshot.rollout.deleting:
        return decide_deletion(snapshot, now)
    spec = snapshot.rollout.followed_spec()
    if spec is None or snapshot.lever is None:
        return _never_valid(snapshot, now)
    if isinstance(snapshot.reading, Problem):
        blind = Draft.of(snapshot, snapshot.lever, Reading(None), spec, now)
        return _out_of_hand(_blind(blind, snapshot.reading), blind, snapshot.reading)
    draft = Draft.of(snapshot, snapshot.lever, snapshot.reading, spec, now)
    unknown = not_adoptable(draft) or made_again_too_often(draft)
    if unknown is not None:
        return _out_of_hand(snapshot.rollout.status, draft, unknown)
    begin(draft)
    _note_percent(draft)
    if not draft.is_off:
        return finished(draft, move(draft))
    waits = attempt_in_time(draft)
    return finished(draft, () if waits is None else (waits,))


def _note_percent(draft: Draft) -> None:
    """What clients have now. Where that can't be told, what was seen last stands."""
    if draft.reading.is_known:
        draft.set(percent=draft.reading.percent)


@dataclass(frozen=True, slots=True)
class _Writes:
    """The writes of a decision. `fingerprint`: what the lever shows after them; None where that stays what it was. `wake_at`: when a
    correction that waits is due."""

    writes: tuple[Write, ...]
    fingerprint: str | None
    wake_at: datetime | None = None


def finished(draft: Draft, found: tuple[Blocker, ...]) -> Decision:
    """What follows from where the draft stands: writes, phases that are read back, conditions, the next wake-up."""
    _read_back_zero(draft)
    made = _writes(draft, wish_for(draft, is_confirmed(draft, found)))
    waking = [at for at in (made.wake_at, report_rest(draft)) if at is not None]
    actions = _actions(draft, made.writes)
    _summarize(draft, found)
    if made.fingerprint is not None and all(write in actions for write in made.writes):
        draft.set(written=made.fingerprint)
    waking += [blocker.wake_at for blocker in found if blocker.wake_at is not None]
    if draft.is_off and (contest := contested(draft)) is not None:
        waking.append(contest[1])
    return Decision(draft.with_pending(), actions, _requeue_after(draft, actions, found, waking))


def _read_back_zero(draft: Draft) -> None:
    if draft.status.state is State.ROLLBACK and draft.reading.percent is not None:
        draft.set(phase=Phase.ROLLED_BACK if draft.reading.percent == 0 else Phase.ROLLING_BACK)
    if draft.is_off and draft.reading.percent == 0 and draft.own_mark is not None:
        draft.set(step_percent=0)


def _writes(draft: Draft, wish: Wish | None) -> _Writes:
    if wish is None:
        return _Writes((), None)
    if is_changed(draft, wish):
        correction = correct(draft, wish)
        if not correction.is_due:
            return _Writes((), None, correction.wake_at)
        wish = corrected(wish)
    return _Writes(draft.lever.writes(wish, draft.reading), draft.lever.fingerprint(wish))


def _actions(draft: Draft, writes: tuple[Write, ...]) -> tuple[Action, ...]:
    """Lowerings need nothing; raises need the finalizer. What stood as it should when it had succeeded is only restored."""
    has_finalizer = FINALIZER in draft.snapshot.rollout.finalizers
    was_settled = draft.before.phase is Phase.SUCCEEDED
    stays = was_settled and draft.status.phase is Phase.SUCCEEDED
    may_go = not draft.pending and _may_go(draft)
    out: list[Action] = []
    if not has_finalizer and ((not draft.is_off and not may_go) or (was_settled and draft.pending)):
        out.append(AddFinalizer())
    elif has_finalizer and may_go and not any(write.raises for write in writes):
        out.append(RemoveFinalizer())
    return (*out, *(write for write in writes if has_finalizer or stays or not write.raises))


def _may_go(draft: Draft) -> bool:
    """Whether deleting the object would leave nothing to undo: what stands there is off for everybody, whoever wrote it, or stays."""
    if draft.is_off:
        mark = draft.mark(0) if draft.reading.mark is None else draft.reading.mark
        return not draft.lever.writes(Wish(0, Mode.OFF, mark), draft.reading)
    return draft.status.phase is Phase.SUCCEEDED and not last_writes(draft.snapshot, draft.now)


def _summarize(draft: Draft, found: tuple[Blocker, ...]) -> None:
    step = number_of(draft.steps, draft.standing) if draft.exposed else 0
    draft.set(steps=len(draft.steps), step=step, waiting_for=waiting_for(draft, found), **draft.lever.own_status())
    is_silent = draft.status.phase in SILENT
    source = None if is_silent else source_of(draft)  # as the next reconcile will have it
    doubts = None if is_silent else questionable(draft)
    note_missing(draft)
    draft.set(conditions=conditions_for(draft.status, stalled_by(draft, found), source, draft.now, doubts))


def _requeue_after(draft: Draft, actions: tuple[Action, ...], found: tuple[Blocker, ...], waking: list[datetime]) -> float | None:
    is_over = draft.is_off or draft.status.phase is Phase.SUCCEEDED
    lets_go = is_over and bool(draft.pending) and FINALIZER in draft.snapshot.rollout.finalizers
    if actions or lets_go or unrecorded(draft.before) or (draft.status.raising is not None and not found and not draft.reading.settling):
        return 0.0
    waits = [max((at - draft.now).total_seconds(), 0.0) for at in waking]
    waits += [SETTLING] if draft.reading.settling else []
    if draft.status.phase in TERMINAL:
        return min(waits, default=None)
    waits += [max((at - draft.now).total_seconds(), 0.0) for at in _own_clocks(draft)]
    policy = draft.snapshot.policy
    if isinstance(policy, Policy) and (draft.spec.gates or policy.spec.guards):
        waits.append(until_next_tick(draft.now, policy.spec.prometheus.interval))
    lease = lease_of(draft)
    due = until_next_tick(draft.now, renewed_every(lease)) if lease and draft.status.state is State.ROLLING_OUT else math.inf
    return min(min(waits, default=RETRY), due)


def _own_clocks(draft: Draft) -> list[datetime]:
    """When the bake ends, or the step is overdue."""
    ends = (bake_ends(draft), overdue_at(draft))
    return [at for at in ends if at is not None and at > draft.now]


def until_next_tick(now: datetime, interval: timedelta) -> float:
    """Seconds until the next multiple of the interval. All rollouts share these ticks, so that equal queries are asked once."""
    seconds = interval.total_seconds()
    return (math.floor(now.timestamp() / seconds) + 1) * seconds - now.timestamp() + AFTER_TICK


def _never_valid(snapshot: Snapshot, now: datetime) -> Decision:
    rollout = snapshot.rollout
    status = rollout.status.model_copy(update={"phase": Phase.INVALID, "observed_generation": rollout.generation})
    problem = rollout.problem or snapshot.reading
    assert isinstance(problem, Problem)
    return Decision(status.model_copy(update={"conditions": conditions_for(status, problem, None, now)}), (), RETRY)


def _blind(draft: Draft, problem: Problem) -> FeatureRolloutStatus:
    """The status while what is ours can't be read. What falls meanwhile stands in it: the numbers may recover before it can be made, and it
    must not climb on."""
    if not draft.snapshot.rollout.owns or problem.reason is Reason.CLAIMED:
        return draft.before
    if not draft.spec.enabled:
        switch_off(draft)
    elif not draft.is_off:
        judge_all(draft)
        if (cause := rollback_cause(draft)) is not None:
            roll_back(draft, cause)
    return draft.with_pending()


def _out_of_hand(status: FeatureRolloutStatus, draft: Draft, problem: Problem) -> Decision:
    """The lever can't be read or is another rollout's: nothing is claimed, nothing is written."""
    rollout, spec, now = draft.snapshot.rollout, draft.spec, draft.now
    status = status.model_copy(
        update={
            "observed_generation": rollout.generation,
            "recorded_generation": rollout.status.recorded_generation if rollout.status.attempt else rollout.generation,
            "valid_spec": spec.to_wire(),
            "steps": len(spec.strategy.ladder()),
            "waiting_for": problem.message[:1024],
        }
    )
    status = status.model_copy(update={"conditions": conditions_for(status, problem, source_of(draft), now)})
    policy, again = draft.snapshot.policy, RETRY
    if isinstance(policy, Policy) and rollout.owns and status.phase not in TERMINAL:
        again = until_next_tick(now, policy.spec.prometheus.interval)
    return Decision(status, (), again)
