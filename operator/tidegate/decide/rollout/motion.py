"""An attempt in motion: judge, roll back or raise, one step at a time."""

from datetime import datetime, timedelta

from tidegate.api.conditions import Reason
from tidegate.api.gates import OnBreach
from tidegate.api.records import Transition
from tidegate.api.rollout_status import GateSource, Phase, Raise, Rehearsal, State, Verdict
from tidegate.api.types import format_duration, format_time
from tidegate.decide.rollout.draft import Draft
from tidegate.decide.rollout.drift import actor_of
from tidegate.decide.rollout.judging import judge_all, refused_query, rollback_cause, unready
from tidegate.decide.rollout.lapse import is_put_back, next_rise, note_lapse
from tidegate.decide.rollout.steps import dwell_at
from tidegate.domain.readings import Failure
from tidegate.domain.snapshot import Marker, Policy, Problem

_AT_ONCE = timedelta(minutes=1)
"""A rehearsal that is read back later than this was interrupted."""


def move(draft: Draft) -> None:
    """One look at an attempt that waits, climbs or bakes."""
    note_lapse(draft)
    _settle(draft)
    judge_all(draft)
    cause = rollback_cause(draft)
    if cause is not None:
        roll_back(draft, cause)
        return
    _note_lowered_elsewhere(draft)
    _note_unanswerable(draft)
    draft.waiting = _blockers(draft)
    if draft.status.raising is not None:
        _confirm_or_withdraw(draft)
    elif not draft.waiting and draft.status.state is not State.ENABLED:
        _advance(draft)
    _finish_bake(draft)
    _set_phase(draft)


def roll_back(draft: Draft, cause: str) -> None:
    """Down to 0 %, allow list included. The revision stays rejected until another one is asked for."""
    draft.set(rejected_revision=draft.status.revision or "", rolled_back_at=draft.now)
    draft.head_for_zero(State.ROLLBACK, Phase.ROLLING_BACK)
    draft.record(Transition.ROLLED_BACK, cause, to_percent=0)


def _settle(draft: Draft) -> None:
    """Compares what was decided with what the flag reads back: dwell begins there, not at the decision."""
    raising, flag = draft.status.raising, draft.flag
    marker = draft.own_marker
    if marker is not None and flag.percent == flag.written and not flag.rewritten and draft.status.rehearsal is None:
        draft.set(rehearsal=Rehearsal(at=draft.now, milliseconds=_way_back(draft, marker)))
    if raising is None:
        if draft.status.state is State.DISABLED and flag.percent == 0:
            draft.set(percent=0)
        return
    if marker is None or flag.written != raising.percent:
        return  # what stands there is not that raise, whatever it shows; once it was made, showing less is a person's word
    is_adoption_at_full = raising.adopts and raising.percent >= draft.full
    draft.set(
        raising=None,
        lapsed_percent=None,
        percent=raising.percent,
        step_entered_at=raising.decided_at,
        effective_at=draft.now,
        exposed_at=draft.status.exposed_at or draft.now,
        raised_at=draft.status.raised_at if raising.adopts else draft.now,
        state=State.ENABLED if is_adoption_at_full else State.ROLLING_OUT,
        enabled_at=draft.now if is_adoption_at_full else None,
    )
    draft.record(Transition.STEP_EFFECTIVE, f"{raising.percent} % is in force: dwell begins")


def _way_back(draft: Draft, marker: Marker) -> int | None:
    """How long the way back took, where this is the look after the write: what lies between two processes is no such time."""
    if marker.written_at is None or draft.snapshot.rollout.status.attempt != draft.status.attempt:
        return None
    took = draft.now - marker.written_at
    return int(took / timedelta(milliseconds=1)) if timedelta(0) <= took <= _AT_ONCE else None


def _note_lowered_elsewhere(draft: Draft) -> None:
    """Somebody turned the flag down by hand. That is a person's word: it is neither undone nor climbed from."""
    down = draft.turned_down_to if draft.status.state in (State.ROLLING_OUT, State.ENABLED) else None
    if is_put_back(draft):
        down = draft.flag.percent
    if down != draft.status.lowered_percent:
        draft.set(lowered_percent=down)
    if down is None:
        return
    percent = draft.percent or draft.status.lapsed_percent or 0
    text = f"the flag was turned down to {down} % by somebody else, from {percent} %: set it back, or set spec.revision to begin again"
    _stall(draft, Problem(Reason.FLAG_LOWERED_ELSEWHERE, text), Transition.FLAG_LOWERED_ELSEWHERE, down, actor_of(draft.flag))


def _note_unanswerable(draft: Draft) -> None:
    """Gates that can't be judged until a person mends them."""
    problem = draft.resolved.problem or refused_query(draft) or unready(draft)
    if problem is not None and draft.stalled is None:
        draft.stalled = problem


def _stall(draft: Draft, problem: Problem, transition: Transition, percent: int, actor: str = "operator") -> None:
    """What a person has to mend. It is recorded when its condition first shows: a worse problem that hides the condition hides it here."""
    if draft.stalled is not None:
        return
    draft.stalled = problem
    hidden = draft.snapshot.rollout.problem is not None or isinstance(draft.snapshot.policy, Problem)
    if not hidden and all(condition.reason != problem.reason for condition in draft.status.conditions):
        draft.record(transition, problem.message, to_percent=percent, actor=actor)


def _blockers(draft: Draft) -> list[str]:
    """What still stands between now and the next step, in words. Empty: the step may begin."""
    problems = (draft.snapshot.rollout.problem, draft.snapshot.policy if isinstance(draft.snapshot.policy, Problem) else None)
    out = [problem.message for problem in problems if problem is not None]
    if draft.stalled is not None:
        out.append(draft.stalled.message)
    if draft.status.raising is not None and draft.status.raising.adopts:
        return out
    if draft.spec.paused:
        out.append("spec.paused is true")
    out += _blocking_clocks(draft)
    if draft.status.rehearsal is None:
        out.append("the way back to be proven: the flag is written and read back first")
    elif draft.flag.definition is not None and (draft.own_marker is None or draft.flag.rewritten):
        out.append("the flag, which somebody replaced, to be put right and read back first")
    return out + _blocking_gates(draft)


def _blocking_clocks(draft: Draft) -> list[str]:
    status, spec = draft.status, draft.spec
    if status.effective_at is None or status.state is State.ENABLED:
        return []
    dwell_ends = status.effective_at + dwell_at(draft.steps, draft.percent)
    draft.set(next_evaluation_at=dwell_ends)
    if draft.now < dwell_ends:
        draft.wake_at.append(dwell_ends)
        return [f"the dwell of {draft.percent} % to end at {_clock(dwell_ends)}"]
    if spec.step_deadline is None:
        return []
    deadline = max(dwell_ends, status.resumed_at or dwell_ends) + spec.step_deadline
    if spec.paused:
        return []
    if draft.now < deadline:
        draft.wake_at.append(deadline)
        return []
    late = Problem(
        Reason.STEP_DEADLINE_EXCEEDED,
        f"{draft.percent} % is held longer than spec.stepDeadline ({format_duration(spec.step_deadline)}): "
        "raise the deadline, pause and resume, or set another revision",
    )
    _stall(draft, late, Transition.STEP_DEADLINE_EXCEEDED, draft.percent)
    return [late.message]


def _blocking_gates(draft: Draft) -> list[str]:
    judged = {(gate.source, gate.name): gate for gate in draft.status.gates}
    policy = draft.snapshot.policy
    if not isinstance(policy, Policy):
        return []
    wanted = [(GateSource.ROLLOUT, gate.name) for gate in draft.resolved.gates if draft.exposed]
    wanted += [(GateSource.POLICY, guard.name) for guard in policy.spec.guards if guard.on_breach is not OnBreach.NOTIFY]
    out = []
    if isinstance(draft.snapshot.unknown_metrics, Failure):
        out.append(f"the gates' metrics to be looked up: {draft.snapshot.unknown_metrics.message}")
    for source, name in wanted:
        gate = judged.get((source, name))
        kind = "guard" if source is GateSource.POLICY else "gate"
        if gate is None:
            out.append(f"{kind} {name} to be read")
        elif gate.verdict not in (Verdict.ADVANCE, Verdict.NOT_APPLICABLE):
            reason = "no data" if gate.verdict is Verdict.NO_DATA else "in breach" if gate.breached_since else "holds"
            out.append(f"{kind} {name} ({reason}; {gate.threshold})")
    return out


def _confirm_or_withdraw(draft: Draft) -> None:
    """A raise that isn't in force yet is decided again: hours may have passed since it was written down."""
    raising, step = draft.status.raising, next_rise(draft)
    assert raising is not None
    is_next = step is not None and step.percent == raising.percent
    if raising.adopts or (is_next and not draft.waiting):
        stored = draft.snapshot.rollout.status
        draft.raise_confirmed = not draft.waiting and stored.raising == raising and stored.pending is None
        return
    draft.set(raising=None)
    why = "; ".join(draft.waiting) or "the steps were edited"
    draft.record(Transition.STEP_WITHDRAWN, f"{raising.percent} % no longer holds: {why}")
    if not draft.waiting:
        _advance(draft)


def _advance(draft: Draft) -> None:
    step = next_rise(draft)
    if step is None:
        draft.set(state=State.ENABLED, enabled_at=draft.now, next_evaluation_at=None)
        draft.record(Transition.ENABLED, f"the last step is passed: {draft.percent} %, baking")
        return
    draft.set(raising=Raise(percent=step.percent, decided_at=draft.now))
    draft.record(Transition.STEP_DECIDED, f"{draft.percent} % → {step.percent} %", to_percent=step.percent)


def _bake_ends(draft: Draft) -> datetime | None:
    enabled = draft.status.enabled_at
    return None if draft.status.state is not State.ENABLED or enabled is None else enabled + draft.spec.bake


def _finish_bake(draft: Draft) -> None:
    """A bake ends while it is watched and well: not with numbers missing, a breach under way, the policy gone, or the flag turned down."""
    ends = _bake_ends(draft)
    if ends is None or draft.status.phase is Phase.SUCCEEDED:
        return
    if draft.now < ends:
        draft.wake_at.append(ends)
        return
    is_blind = any(gate.verdict is Verdict.NO_DATA or gate.breached_since is not None for gate in draft.status.gates)
    if is_blind or isinstance(draft.snapshot.policy, Problem) or draft.stalled is not None:
        return
    draft.set(phase=Phase.SUCCEEDED, gates=())
    draft.record(Transition.SUCCEEDED, f"baked for {format_duration(draft.spec.bake)} at {draft.percent} %")


def _set_phase(draft: Draft) -> None:
    status, rollout = draft.status, draft.snapshot.rollout
    if status.phase is Phase.SUCCEEDED:
        return
    if rollout.problem is not None:
        phase = Phase.INVALID
    elif status.state is State.ENABLED:
        phase = Phase.BAKING
    elif status.state is State.DISABLED:
        is_pending = isinstance(draft.snapshot.policy, Problem) or draft.stalled is not None
        phase = Phase.PENDING if is_pending else Phase.WAITING
    elif draft.spec.paused or (draft.stalled is not None and draft.stalled.reason is Reason.STEP_DEADLINE_EXCEEDED):
        phase = Phase.PAUSED
    else:
        phase = Phase.PROGRESSING
    _note_pause(draft, rollout.status.phase, phase)
    draft.set(phase=phase)


def _note_pause(draft: Draft, before: Phase, after: Phase) -> None:
    if after is Phase.PAUSED and before is not Phase.PAUSED and draft.spec.paused:
        draft.record(Transition.PAUSED, f"spec.paused is true: held at {draft.percent} %")
    if before is Phase.PAUSED and after in (Phase.PROGRESSING, Phase.BAKING):
        draft.set(resumed_at=draft.now)
        draft.record(Transition.RESUMED, f"goes on at {draft.percent} %")


def _clock(at: datetime) -> str:
    return format_time(at.replace(microsecond=0)).replace(".000Z", "Z")
