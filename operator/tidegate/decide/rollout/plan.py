"""`decide` for a FeatureRollout: which attempt → judge and move → what the flag should be → conditions and the next look."""

import math
from datetime import datetime, timedelta

from tidegate.api.conditions import Reason
from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.rollout_status import Phase, State
from tidegate.decide.rollout.begin import begin, not_adoptable
from tidegate.decide.rollout.conditions import conditions_for
from tidegate.decide.rollout.deletion import decide_deletion
from tidegate.decide.rollout.draft import Draft
from tidegate.decide.rollout.drift import examine, put_right
from tidegate.decide.rollout.lint import questionable
from tidegate.decide.rollout.motion import move
from tidegate.decide.rollout.steps import number_of
from tidegate.decide.rollout.wishes import actions
from tidegate.domain.asks import SILENT
from tidegate.domain.decision import RETRY, Action, Decision
from tidegate.domain.hashing import HASH_GENERATION
from tidegate.domain.snapshot import FlagReading, Policy, Problem, Snapshot
from tidegate.levers.lease import in_force, renewed_every

AFTER_TICK = 0.02
"""Seconds after a tick of the evaluation interval at which the next look is taken, so that it never falls before the tick."""


def decide(snapshot: Snapshot, now: datetime) -> Decision:
    """What one rollout should do now: its status as it should be written, and the actions that make the world match it."""
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)
    if snapshot.rollout.deleting:
        return decide_deletion(snapshot, now)
    spec = snapshot.rollout.followed_spec()
    if spec is None:
        return _never_valid(snapshot, now)
    if isinstance(snapshot.flag, Problem):
        return _flag_out_of_hand(snapshot, snapshot.flag, spec, now)
    draft = Draft(snapshot, spec, spec.strategy.canary.resolved(), now, snapshot.rollout.status, in_force(snapshot.flag, now))
    unknown = not_adoptable(draft)
    if unknown is not None:
        return _flag_out_of_hand(snapshot, unknown, spec, now)
    begin(draft)
    examine(draft)
    if draft.status.state is State.ROLLBACK or draft.status.phase is Phase.DISABLED:
        _read_back_zero(draft, snapshot.flag)
    else:
        move(draft)
    return _finished(draft)


def _read_back_zero(draft: Draft, flag: FlagReading) -> None:
    if draft.status.percent is not None and flag.percent is None:
        return
    draft.set(percent=flag.percent)
    if draft.status.state is State.ROLLBACK:
        draft.set(phase=Phase.ROLLED_BACK if flag.percent == 0 else Phase.ROLLING_BACK)


def _finished(draft: Draft) -> Decision:
    snapshot = draft.snapshot
    todo = put_right(draft, actions(draft))
    stalled = _stalled(draft)
    waiting = None
    if draft.waiting and draft.status.state in (State.DISABLED, State.ROLLING_OUT) and draft.status.phase is not Phase.DISABLED:
        waiting = f"the next step waits for {', '.join(draft.waiting)}"[:1024]
    draft.set(steps=len(draft.steps), step=_step(draft), waiting_for=waiting, hash_generation=HASH_GENERATION)
    answers = {} if draft.status.phase in SILENT else snapshot.answers  # as the next look will have them
    doubts = None if draft.status.phase in SILENT else questionable(draft)
    draft.set(conditions=conditions_for(draft.status, stalled, answers, draft.now, doubts))
    return Decision(draft.with_pending(), todo, _requeue_after(draft, todo))


def _step(draft: Draft) -> int:
    return number_of(draft.steps, draft.percent) if draft.exposed else 0


def _stalled(draft: Draft) -> Problem | None:
    """The one thing that a person has to look at, the worst first."""
    status = draft.status
    if draft.stalled is not None and draft.stalled.reason is Reason.FLAG_CONTESTED:
        return draft.stalled
    if status.state is State.ROLLBACK:
        revision = f"revision {status.revision}" if status.revision else "it"
        return Problem(Reason.ROLLED_BACK, f"rolled back: set spec.revision to a new value to try again; {revision} stays rejected")
    if draft.snapshot.rollout.problem is not None:
        return draft.snapshot.rollout.problem
    at_rest = status.phase in (Phase.DISABLED, Phase.SUCCEEDED)
    if isinstance(draft.snapshot.policy, Problem) and not at_rest:
        return draft.snapshot.policy
    return draft.stalled


def _requeue_after(draft: Draft, todo: tuple[Action, ...]) -> float | None:
    if todo or (draft.status.raising is not None and not draft.waiting):
        return 0.0
    contest = None if draft.look_again is None else max((draft.look_again - draft.now).total_seconds(), 0.0)
    if draft.status.phase in (Phase.DISABLED, Phase.ROLLED_BACK, Phase.SUCCEEDED):
        return contest
    waits = [max((at - draft.now).total_seconds(), 0.0) for at in draft.wake_at] + ([] if contest is None else [contest])
    policy = draft.snapshot.policy
    if isinstance(policy, Policy) and (draft.spec.gates or policy.spec.guards):
        waits.append(until_next_tick(draft.now, policy.spec.prometheus.interval))
    lease = draft.spec.target.flag.lease_seconds
    due = until_next_tick(draft.now, renewed_every(lease)) if lease and draft.status.state is State.ROLLING_OUT else math.inf
    return min(min(waits, default=RETRY), due)


def until_next_tick(now: datetime, interval: timedelta) -> float:
    """Seconds until the next multiple of the interval. All rollouts share these ticks, so that equal queries are asked once."""
    seconds = interval.total_seconds()
    return (math.floor(now.timestamp() / seconds) + 1) * seconds - now.timestamp() + AFTER_TICK


def _never_valid(snapshot: Snapshot, now: datetime) -> Decision:
    rollout = snapshot.rollout
    status = rollout.status.model_copy(update={"phase": Phase.INVALID, "observed_generation": rollout.generation})
    problem = rollout.problem or Problem(Reason.INVALID_SPEC, "spec can't be read")
    return Decision(status.model_copy(update={"conditions": conditions_for(status, problem, {}, now)}), (), RETRY)


def _flag_out_of_hand(snapshot: Snapshot, problem: Problem, spec: FeatureRolloutSpec, now: datetime) -> Decision:
    """The flag can't be read or belongs to somebody else: nothing is claimed, nothing is written."""
    rollout = snapshot.rollout
    status = rollout.status.model_copy(
        update={
            "observed_generation": rollout.generation,
            "valid_spec": spec.to_wire(),
            "steps": len(spec.strategy.canary.resolved()),
            "waiting_for": f"the next step waits for {problem.message}"[:1024],
        }
    )
    status = status.model_copy(update={"conditions": conditions_for(status, problem, {}, now)})
    return Decision(status, (), RETRY)
