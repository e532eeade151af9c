"""What should stand at the lever, whatever stands there now."""

from dataclasses import replace

from tidegate.api.rollout_status import Raise, State
from tidegate.decide.rollout.draft import Draft
from tidegate.decide.rollout.expiry import end_of_lease
from tidegate.domain.exposure import Mode, Wish


def wish_for(draft: Draft, confirmed: bool) -> Wish | None:
    """The wish; None where what stands there is to be left as it is. `confirmed`: the raise under way may be made."""
    raising = draft.status.raising
    if draft.is_off:
        return _wish(draft, 0, Mode.OFF)
    if confirmed and raising is not None:
        return raised(draft, raising)
    if draft.status.state is State.DISABLED:
        return _wish(draft, 0, Mode.WAITING)
    is_left = draft.override is not None and draft.reading.is_known and draft.lever.lowers(draft.reading)
    if draft.status.step_percent is None or is_left:
        return None
    percent = draft.standing if draft.override is None else draft.override
    is_leased = draft.status.state is State.ROLLING_OUT
    return _wish(draft, percent, Mode.SHOWN, end_of_lease(draft) if is_leased else None)


def raised(draft: Draft, raising: Raise) -> Wish:
    """What a raise writes."""
    is_adoption_at_full = raising.adopts and raising.percent >= draft.full
    return _wish(draft, raising.percent, Mode.SHOWN, None if is_adoption_at_full else end_of_lease(draft))


def took_back_a_raise(draft: Draft) -> bool:
    """A leader that was deposed may have sent that raise already. It is meant for the lever as it was: written anew, under a larger epoch,
    it is another, and the raise comes too late."""
    before = draft.before.raising
    return before is not None and draft.status.raising != before and draft.reading.percent != before.percent


def _wish(draft: Draft, percent: int, mode: Mode, expires: int | None = None) -> Wish:
    anew = took_back_a_raise(draft)
    return Wish(percent, mode, draft.mark(percent), expires, anew=anew, owned=draft.snapshot.rollout.owns)


def corrected(wish: Wish) -> Wish:
    """The wish, written also where it would be the same, or over what keeps changing."""
    return replace(wish, anew=True, owned=True)
