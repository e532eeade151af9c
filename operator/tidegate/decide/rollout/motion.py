"""An attempt in motion: judge, roll back or raise, one step at a time."""

from datetime import datetime, timedelta

from tidegate.api.records import Transition
from tidegate.api.rollout_status import Phase, Raise, Rehearsal, State, Verdict
from tidegate.api.types import format_duration
from tidegate.decide.gates.judging import judge_all, rollback_cause
from tidegate.decide.rollout.draft import Draft
from tidegate.decide.rollout.drift import actor_of
from tidegate.decide.rollout.expiry import next_rise, note_expiry
from tidegate.decide.rollout.waiting import Blocker, blockers, dwell_ends, paused_by, within_deadline
from tidegate.decide.rollout.wishes import raised
from tidegate.domain.exposure import Mark
from tidegate.domain.problems import Problem

_AT_ONCE = timedelta(minutes=1)
"""A rehearsal that is read back later than this was interrupted."""


def move(draft: Draft) -> tuple[Blocker, ...]:
    """One reconcile of an attempt that waits, climbs or bakes; returns what holds its next step back."""
    note_expiry(draft)
    _settle(draft)
    judge_all(draft)
    cause = rollback_cause(draft)
    if cause is not None:
        roll_back(draft, cause)
        return ()
    _note_override(draft)
    _note_lifted_pause(draft)
    _note_overdue(draft)
    draft.set(next_evaluation_at=dwell_ends(draft))
    found = blockers(draft)
    if draft.status.raising is not None:
        _withdraw_unless(draft, found)
    if draft.status.raising is None and not found and draft.status.state is not State.ENABLED:
        _advance(draft)
    _note_what_is_raised(draft)
    _finish_bake(draft, found)
    _set_phase(draft, found)
    return found


def is_confirmed(draft: Draft, found: tuple[Blocker, ...]) -> bool:
    """Whether the raise under way may be made: it stands in status as decided, its record is in the run, and it would be decided again."""
    raising = draft.status.raising
    return raising is not None and not found and draft.before.raising == raising and draft.before.pending is None


def roll_back(draft: Draft, cause: str) -> None:
    """Down to 0 %, allow list included. The revision stays rejected until another one is asked for."""
    draft.reject(draft.status.revision or "", cause)
    draft.head_for_zero(State.ROLLBACK, Phase.ROLLING_BACK)
    draft.record(Transition.ROLLED_BACK, cause, to_percent=0)


def _settle(draft: Draft) -> None:
    """Compares what was decided with what is read back: dwell begins there, not at the decision."""
    raising, reading, mark = draft.status.raising, draft.reading, draft.own_mark
    if reading.settling:
        return
    if mark is not None and reading.percent == mark.percent and not reading.unreadable and draft.status.rehearsal is None:
        draft.set(rehearsal=Rehearsal(at=draft.now, milliseconds=_way_back(draft, mark)))
    if raising is None:
        if draft.status.state is State.DISABLED and reading.percent == 0:
            draft.set(step_percent=0)
        return
    if mark is None or mark.percent != raising.percent:
        return  # what stands there is not that raise, whatever it shows; once it was made, showing less is a manual override
    if reading.percent == raising.percent and not reading.unreadable and reading.fingerprint not in draft.own_writes:
        return  # as much, but not what was decided
    is_adoption_at_full = raising.adopts and raising.percent >= draft.full
    draft.set(
        raising=None,
        step_percent=raising.percent,
        step_entered_at=raising.decided_at,
        effective_at=draft.now,
        exposed_at=draft.status.exposed_at or draft.now,
        raised_at=draft.status.raised_at if raising.adopts else draft.now,
        state=State.ENABLED if is_adoption_at_full else State.ROLLING_OUT,
        enabled_at=draft.now if is_adoption_at_full else None,
        overdue_since=None,
    )
    draft.record(Transition.STEP_EFFECTIVE, f"{raising.percent} % is in force: dwell begins")


def _way_back(draft: Draft, mark: Mark) -> int | None:
    """How long the way back took, where this is the reconcile after the write: what lies between two processes is no such time."""
    if mark.written_at is None or draft.before.attempt != draft.status.attempt:
        return None
    took = draft.now - mark.written_at
    return int(took / timedelta(milliseconds=1)) if timedelta(0) <= took <= _AT_ONCE else None


def _note_override(draft: Draft) -> None:
    """Recorded when it is first seen."""
    percent = draft.override
    if percent is None or draft.before.override is not None:
        return
    text = f"{draft.lever.label} was turned down to {percent} % by an external writer, from {draft.step_percent} %"
    draft.record(Transition.LOWERED_ELSEWHERE, text, to_percent=percent, actor=actor_of(draft.reading))


def _note_lifted_pause(draft: Draft) -> None:
    """The time of a pause is none of the step's deadline."""
    if draft.before.phase is Phase.PAUSED and draft.status.overdue_since is None and paused_by(draft) is None:
        draft.set(resumed_at=draft.now)


def _note_overdue(draft: Draft) -> None:
    late = within_deadline(draft)
    if late is None:
        draft.set(overdue_since=None)
    elif draft.status.overdue_since is None:
        draft.set(overdue_since=draft.now)
        draft.record(Transition.STEP_DEADLINE_EXCEEDED, late.sentence)


def _withdraw_unless(draft: Draft, found: tuple[Blocker, ...]) -> None:
    """A raise that isn't in force yet is decided again: hours may have passed since it was written down."""
    raising, step = draft.status.raising, next_rise(draft)
    assert raising is not None
    if raising.adopts or (step is not None and step.percent == raising.percent and not found):
        return
    draft.set(raising=None)
    why = "; ".join(blocker.sentence for blocker in found) or "the steps were edited"
    draft.record(Transition.STEP_WITHDRAWN, f"{raising.percent} % no longer holds: {why}")


def _advance(draft: Draft) -> None:
    step = next_rise(draft)
    if step is None:
        draft.set(state=State.ENABLED, enabled_at=draft.now, next_evaluation_at=None)
        draft.record(Transition.ENABLED, f"the last step is passed: {draft.step_percent} %, baking")
        return
    draft.set(raising=Raise(percent=step.percent, decided_at=draft.now))
    draft.record(Transition.STEP_DECIDED, f"{draft.standing} % → {step.percent} %", to_percent=step.percent)


def _note_what_is_raised(draft: Draft) -> None:
    """Stands in status before it is written: it is known again whatever is edited, or dies, in between."""
    raising = draft.status.raising
    if raising is not None:
        draft.set(raising=raising.model_copy(update={"written": draft.lever.fingerprint(raised(draft, raising))}))


def bake_ends(draft: Draft) -> datetime | None:
    """When the bake is over; None where nothing bakes."""
    enabled = draft.status.enabled_at
    is_baking = draft.status.state is State.ENABLED and draft.status.phase is not Phase.SUCCEEDED
    return enabled + draft.spec.bake if is_baking and enabled is not None else None


def _finish_bake(draft: Draft, found: tuple[Blocker, ...]) -> None:
    """A bake ends while it is watched and well: not with numbers missing, a breach under way, the policy gone, or exposure turned down."""
    ends = bake_ends(draft)
    if ends is None or draft.now < ends:
        return
    is_blind = any(gate.verdict is Verdict.NO_DATA or gate.breached_since is not None for gate in draft.status.gates)
    is_troubled = any(blocker.problem is not None and blocker.problem is not draft.snapshot.rollout.problem for blocker in found)
    if is_blind or is_troubled:
        return
    draft.set(phase=Phase.SUCCEEDED, gates=())
    draft.record(Transition.SUCCEEDED, f"baked for {format_duration(draft.spec.bake)} at {draft.step_percent} %")


def _set_phase(draft: Draft, found: tuple[Blocker, ...]) -> None:
    status, rollout = draft.status, draft.snapshot.rollout
    if status.phase is Phase.SUCCEEDED:
        return
    if rollout.problem is not None:
        phase = Phase.INVALID
    elif status.state is State.ENABLED:
        phase = Phase.BAKING
    elif status.state is State.DISABLED:
        phase = Phase.PENDING if any(blocker.problem is not None for blocker in found) else Phase.WAITING
    elif paused_by(draft) is not None or status.overdue_since is not None:
        phase = Phase.PAUSED
    else:
        phase = Phase.PROGRESSING
    _note_pause(draft, rollout.status.phase, phase)
    draft.set(phase=phase)


def _note_pause(draft: Draft, before: Phase, after: Phase) -> None:
    by = paused_by(draft)
    if after is Phase.PAUSED and before is not Phase.PAUSED and by is not None:
        draft.record(Transition.PAUSED, f"held at {draft.step_percent} %: {by}")
    if before is Phase.PAUSED and after in (Phase.PROGRESSING, Phase.BAKING):
        draft.record(Transition.RESUMED, f"goes on at {draft.step_percent} %")


def first_problem(found: tuple[Blocker, ...]) -> Problem | None:
    """The first blocker that a person has to look at."""
    return next((blocker.problem for blocker in found if blocker.problem is not None), None)
