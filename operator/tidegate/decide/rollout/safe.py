"""The safe reconcile: what is still done when deciding failed in a way that nobody foresaw. It lowers, and never raises.

`enabled: false`, the mark of a rollback and the last valid rollback rules hold, each gate judged by itself; a deletion ends.
"""

from datetime import datetime

from tidegate.api.conditions import ConditionType, Reason
from tidegate.api.rollout_status import FeatureRolloutStatus, GateStatus, Phase, State, Verdict
from tidegate.decide.gates.judging import rollback_cause, to_judge, within_reach
from tidegate.decide.gates.verdict import judge
from tidegate.decide.rollout.attempt import heed_mark, switch_off
from tidegate.decide.rollout.deletion import decide_deletion
from tidegate.decide.rollout.draft import Draft
from tidegate.decide.rollout.motion import roll_back
from tidegate.decide.rollout.wishes import wish_for
from tidegate.domain.condition_maker import ConditionMaker
from tidegate.domain.decision import FINALIZER, Action, Decision, RemoveFinalizer
from tidegate.domain.exposure import Reading
from tidegate.domain.problems import Problem
from tidegate.domain.recording import unrecorded
from tidegate.domain.snapshot import Policy, Snapshot

AGAIN = 5.0
"""Seconds until the next try."""
_SAID = ((ConditionType.READY, False), (ConditionType.STALLED, True))


def decide_safely(snapshot: Snapshot, now: datetime, error: Exception) -> Decision:
    """The decision after `error`."""
    problem = Problem(Reason.INTERNAL_ERROR, f"unexpected {type(error).__name__} while deciding: nothing is raised; see the operator's log")
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)
    if snapshot.rollout.deleting:
        return _deleted(snapshot, now)
    status = snapshot.rollout.status
    actions: tuple[Action, ...] = ()
    try:
        draft = _lowered(snapshot, now)
        if draft is not None:
            status, actions = draft.with_pending(), _off(draft)
    except Exception:  # noqa: BLE001, S110 - the safe reconcile is for what nobody foresaw
        pass
    return Decision(_said(status, snapshot.rollout.generation, problem, now), actions, 0.0 if actions else AGAIN)


def _off(draft: Draft) -> tuple[Action, ...]:
    wish = wish_for(draft, confirmed=False) if draft.is_off else None
    return () if wish is None else draft.lever.writes(wish, draft.reading)


def _deleted(snapshot: Snapshot, now: datetime) -> Decision:
    try:
        return decide_deletion(snapshot, now)
    except Exception:  # noqa: BLE001 - the safe reconcile is for what nobody foresaw
        actions = (RemoveFinalizer(),) if FINALIZER in snapshot.rollout.finalizers else ()
        return Decision(snapshot.rollout.status, actions, None)


def _lowered(snapshot: Snapshot, now: datetime) -> Draft | None:
    spec, lever, reading = snapshot.rollout.followed_spec(), snapshot.lever, snapshot.reading
    if spec is None or lever is None or not isinstance(reading, Reading) or not snapshot.rollout.status.attempt:
        return None
    draft = Draft.of(snapshot, lever, reading, spec, now)
    if reading.is_known:
        draft.set(percent=draft.reading.percent)
    if not spec.enabled:
        switch_off(draft)
    elif not heed_mark(draft) and not draft.is_off:
        draft.set(gates=tuple(_judged(draft)))
        if (cause := rollback_cause(draft)) is not None:
            roll_back(draft, cause)
    if draft.status.state is State.ROLLBACK and draft.reading.percent == 0:
        draft.set(phase=Phase.ROLLED_BACK)
    return draft


def _judged(draft: Draft) -> list[GateStatus]:
    """Each gate by itself: one that can't be judged keeps what was known of it, and disturbs no other."""
    policy, out = draft.snapshot.policy, []
    if not isinstance(policy, Policy):
        return list(draft.status.gates)
    before = draft.latest_evidence()
    for source, gate, context in to_judge(draft, policy):
        known = before.get((source, gate.name))
        try:
            status = judge(gate, source, draft.answers.get((source, gate.name)), known, context)
            status = None if status is None else within_reach(draft, status, gate)
        except Exception:  # noqa: BLE001 - the safe reconcile is for what nobody foresaw
            status = None if known is None else known.model_copy(update={"verdict": Verdict.NO_DATA})
        if status is not None:
            out.append(status)
    return out


def _said(status: FeatureRolloutStatus, generation: int, problem: Problem, now: datetime) -> FeatureRolloutStatus:
    made = ConditionMaker(status.conditions, generation, now)
    said = {kind: made(kind, value, problem.reason, problem.message) for kind, value in _SAID}
    over = ConditionType.UNRECORDED if unrecorded(status) is None else None
    kept = tuple(condition for condition in status.conditions if condition.type not in said and condition.type is not over)
    return status.model_copy(update={"conditions": (*said.values(), *kept), "observed_generation": generation})
