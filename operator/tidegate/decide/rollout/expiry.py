"""A lease that expired: clients saw the feature go, and it comes back by a raise that is decided like any other.

Only for levers that Expire. Behind an expired lease status keeps `stepPercent` without `effectiveAt`: that is where to come back to.
"""

from datetime import UTC, datetime

from tidegate.api.records import Transition
from tidegate.api.rollout_status import State
from tidegate.api.strategies import Step
from tidegate.decide.rollout.draft import Draft
from tidegate.domain.exposure import Expires, Mode, Wish
from tidegate.domain.steps import dwell_at, next_after
from tidegate.levers.deadman import lease_end


def lease_of(draft: Draft) -> int | None:
    """Length of the lease of what moves, in seconds; None for levers and targets without one."""
    return draft.lever.lease_seconds if isinstance(draft.lever, Expires) else None


def end_of_lease(draft: Draft) -> int | None:
    """When the lease should end that is written now. Only what moves has one: what is terminal has nobody left to renew it."""
    seconds = lease_of(draft)
    return None if seconds is None else lease_end(seconds, draft.now, draft.reading.expires)


def note_expiry(draft: Draft) -> None:
    """From here on the attempt has nobody exposed, and remembers the percent that it has to come back to."""
    if not (_is_over(draft) or _was_written_off(draft)):
        return
    raising, ended = draft.status.raising, draft.written.expires
    had = raising.percent if raising is not None and raising.adopts else draft.step_percent
    at = "" if ended is None else f" at {datetime.fromtimestamp(ended, UTC):%Y-%m-%dT%H:%M:%SZ}"
    withdrawn = "" if raising is None or raising.percent == had else f", {raising.percent} % is withdrawn"
    back = f"{had} % is decided anew" if had else "the first step is decided anew"
    draft.set(raising=None, step_percent=had, step_entered_at=None, effective_at=None, next_evaluation_at=None, overdue_since=None)
    text = f"the lease of {draft.lever.label} expired{at}, nobody had renewed it: clients turned the feature off by themselves"
    draft.record(Transition.LEASE_EXPIRED, f"{text}; {back}{withdrawn}", to_percent=0)


def next_rise(draft: Draft) -> Step | None:
    """What comes next: back to where a lease expired, or the first step above."""
    if draft.step_percent and not draft.exposed:
        return Step(percent=draft.step_percent, dwell=dwell_at(draft.steps, draft.step_percent))
    return next_after(draft.steps, draft.step_percent)


def _is_over(draft: Draft) -> bool:
    """Whether a lease keeps from everybody what this attempt shows, or is about to. Less than was decided is a manual override, and stays
    as it is."""
    written = draft.written
    if not written.is_expired(draft.now) or not written.percent or written.percent < draft.step_percent:
        return False
    return draft.status.raising is not None or (draft.status.state is State.ROLLING_OUT and draft.exposed)


def _was_written_off(draft: Draft) -> bool:
    """It was noticed and written, and the process died before status said so. Nothing tells that from a hand which writes the very same:
    what comes back then is decided like any raise."""
    if lease_of(draft) is None or draft.status.state is not State.ROLLING_OUT or not draft.exposed or draft.before.override is not None:
        return False
    off = Wish(0, Mode.SHOWN, draft.mark(0), end_of_lease(draft))
    return draft.reading.percent == 0 and draft.reading.fingerprint == draft.lever.fingerprint(off)
