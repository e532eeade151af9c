"""Which attempt this is: first contact, a re-created object, a mark that outranks status, a new revision, a retry, on and off."""

from tidegate.api.records import Transition
from tidegate.api.rollout_status import Phase, Raise, State
from tidegate.decide.rollout.draft import Draft
from tidegate.decide.rollout.followed import note_edit, pin_policy
from tidegate.decide.rollout.pacing import Asked, asked_for, too_many
from tidegate.domain import pace
from tidegate.domain.exposure import Mode, Wish
from tidegate.domain.problems import Problem

FOUND_REJECTED = "was rolled back before: it stays rejected"


def begin(draft: Draft) -> None:
    """Brings the attempt up to date with the spec, the mark and the policy, before anything is judged."""
    if draft.status.attempt == 0:
        _first_contact(draft)
    elif _is_overtaken(draft):
        _withdraw_initial(draft)
    else:
        heed_mark(draft)
    _follow_spec(draft)
    draft.set(run=f"{draft.snapshot.rollout.name}-{draft.status.attempt}")
    pin_policy(draft)
    note_edit(draft)


def not_adoptable(draft: Draft) -> Problem | None:
    """Why a target that was never read before can't be taken over: its exposure is unknown, or another's, and nobody wants it at 0 %."""
    is_known = draft.status.attempt > 0 and not _is_overtaken(draft)
    if is_known or not draft.spec.enabled or draft.is_rejected_at_contact:
        return None
    return draft.lever.adoptable(draft.reading, draft.snapshot.rollout.full_name)


def _first_contact(draft: Draft) -> None:
    """Adopts what is live. Numbers go on from the runs of this name; a rejection is found in the target's runs, or in the mark."""
    run = draft.snapshot.newest_run
    draft.set(
        seq=run.seq if run else 0,
        attempt=(run.attempt if run else 0) + 1,
        revision=draft.spec.revision,
        retry=draft.spec.retry,
        next_attempt_at=pace.next_after(pace.next_of(draft.snapshot.begun), draft.now),
    )
    draft.keep_rejected(draft.snapshot.rejected)
    if draft.is_rejected_at_contact:
        _stay_rejected(draft, Transition.ADOPTED)
    elif draft.reading.percent is None and draft.spec.initial_percent > 0:
        percent = draft.spec.initial_percent
        raising = Raise(percent=percent, decided_at=draft.now, adopts=True)
        draft.set(state=State.ROLLING_OUT, phase=Phase.PROGRESSING, raising=raising)
        draft.record(Transition.ADOPTED, f"live already: begins at {percent} % (spec.initialPercent)", to_percent=percent)
    else:
        _take_over(draft)


def _stay_rejected(draft: Draft, transition: Transition) -> None:
    if draft.status.step_percent is None:
        draft.set(step_percent=draft.reading.percent)
    cause = _named(FOUND_REJECTED, draft)
    draft.reject(draft.revision_key, cause)
    draft.head_for_zero(State.ROLLBACK, Phase.ROLLING_BACK)
    draft.record(transition, cause, to_percent=0)


def _take_over(draft: Draft) -> None:
    if not (percent := _found(draft)):
        draft.set(state=State.DISABLED, phase=Phase.WAITING, step_percent=draft.reading.percent)
        draft.record(Transition.ATTEMPT_STARTED, _named("begins at 0 %", draft))
    else:
        adopt_exposure(draft, percent)
        draft.record(Transition.ADOPTED, f"adopted as it was found, at {percent} %")


def _is_overtaken(draft: Draft) -> bool:
    """spec.initialPercent was decided on for a target that was missing, and an external writer made it before that was written."""
    raising = draft.status.raising
    if raising is None or not raising.adopts or draft.reading.percent is None:
        return False
    return draft.own_mark is None or draft.own_mark.percent != raising.percent


def _withdraw_initial(draft: Draft) -> None:
    raising = draft.status.raising
    assert raising is not None
    draft.set(raising=None)
    draft.record(Transition.STEP_WITHDRAWN, f"{raising.percent} % (spec.initialPercent) no longer holds: {draft.lever.label} exists by now")
    if draft.is_rejected_at_contact:
        _stay_rejected(draft, Transition.ADOPTED)
    else:
        _take_over(draft)


def _found(draft: Draft) -> int:
    """The exposure to adopt. Behind an expired lease there is none, unless it was our own: then it is known where to come back to."""
    mark = draft.reading.mark
    is_own = mark is not None and mark.uid == draft.snapshot.rollout.uid
    return (draft.written.percent if is_own else draft.reading.percent) or 0


def adopt_exposure(draft: Draft, percent: int) -> None:
    """Takes an exposure that is in force for the attempt's own, from now on. At the last step's there is none left to climb: it bakes."""
    is_full = percent >= draft.full
    draft.set(
        step_percent=percent,
        step_entered_at=draft.now,
        effective_at=draft.now,
        exposed_at=draft.now,
        state=State.ENABLED if is_full else State.ROLLING_OUT,
        phase=Phase.BAKING if is_full else Phase.PROGRESSING,
        enabled_at=draft.now if is_full else None,
    )


def heed_mark(draft: Draft) -> bool:
    """A lowering marks the lever before it can write status; whoever reads the mark later must not undo it. It may be anybody's mark, and
    can do no more than lower. True where it did."""
    mark, status = draft.own_mark, draft.status
    if mark is None or mark.rejected is None or status.rejected_revision is not None or mark.rejected != (status.revision or ""):
        return False
    message = f"{draft.lever.label} carries the mark of a rollback that status does not know: the readings behind it are lost"
    draft.reject(mark.rejected, message)
    draft.head_for_zero(State.ROLLBACK, Phase.ROLLING_BACK)
    draft.record(Transition.ROLLED_BACK, message, to_percent=0)
    draft.own_writes.append(draft.lever.fingerprint(Wish(0, Mode.OFF, draft.mark(0))))
    return True


def switch_off(draft: Draft) -> None:
    """spec.enabled is false."""
    if draft.status.phase is not Phase.DISABLED:
        draft.head_for_zero(State.DISABLED, Phase.DISABLED)
        draft.record(Transition.DISABLED, "spec.enabled is false", to_percent=0)


def _follow_spec(draft: Draft) -> None:
    if not draft.spec.enabled:
        switch_off(draft)
        return
    if draft.is_backlogged or not draft.snapshot.runs_known or too_many(draft) is not None:
        return
    asked = asked_for(draft)
    draft.set(retry=draft.spec.retry)
    match asked:
        case Asked.RETRY:
            _retry(draft)
        case Asked.SWITCHED_ON:
            _switched_on(draft)
        case Asked.REVISION:
            _new_revision(draft)
        case None if draft.status.phase is Phase.DISABLED:
            draft.head_for_zero(State.ROLLBACK, Phase.ROLLING_BACK)


def _retry(draft: Draft) -> None:
    """The way back of a rejected revision: a person raised spec.retry. It holds once."""
    key = draft.revision_key
    lifted = tuple(one for one in draft.rejected if one != key)
    _new_attempt(draft)
    draft.keep_rejected(lifted)
    message = _named(f"is tried again (spec.retry {draft.spec.retry}): its rejection is lifted", draft)
    draft.record(Transition.RETRIED, message, actor="spec.retry")


def _switched_on(draft: Draft) -> None:
    is_rejected = draft.is_rejected
    _new_attempt(draft)
    if is_rejected:
        _stay_rejected(draft, Transition.ATTEMPT_STARTED)
    else:
        draft.record(Transition.ATTEMPT_STARTED, "enabled again: begins at 0 %")


def _new_revision(draft: Draft) -> None:
    percent, is_kept = draft.step_percent, draft.status.state is State.ENABLED and draft.override is None
    is_rejected = draft.is_rejected
    _new_attempt(draft)
    if is_rejected:
        _stay_rejected(draft, Transition.ATTEMPT_STARTED)
    elif is_kept:
        draft.record(Transition.ATTEMPT_STARTED, _named(f"keeps {percent} % and runs the gates again", draft))
        adopt_exposure(draft, percent)
        draft.set(state=State.ROLLING_OUT, phase=Phase.PROGRESSING, enabled_at=None)
    else:
        draft.record(Transition.ATTEMPT_STARTED, _named("begins at 0 %", draft))


def _new_attempt(draft: Draft) -> None:
    draft.head_for_zero(State.DISABLED, Phase.WAITING)
    draft.set(
        attempt=draft.status.attempt + 1,
        next_attempt_at=pace.next_after(draft.status.next_attempt_at, draft.now),
        revision=draft.spec.revision,
        rejected_revision=None,
        rolled_back_at=None,
        rolled_back_because=None,
        enabled_at=None,
        exposed_at=None,
        rehearsal=None,
        policy=None,
        gates=(),
        baselines=(),
        guard_baselines=(),
    )
    draft.keep_rejected(draft.rejected)


def _named(message: str, draft: Draft) -> str:
    return f"revision {draft.spec.revision} {message}" if draft.spec.revision else message
