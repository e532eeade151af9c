"""A lease that ran out: clients saw the feature go, and it comes back by a raise that is decided like any other."""

from datetime import UTC, datetime, timedelta

from tidegate.api.feature_rollout import Step
from tidegate.api.records import Transition
from tidegate.api.rollout_status import Phase, State
from tidegate.decide.rollout.draft import Draft
from tidegate.decide.rollout.steps import dwell_at, next_after
from tidegate.domain.snapshot import FlagReading
from tidegate.levers.lease import is_over

_CLOCKS_DIFFER = timedelta(seconds=20)
"""By so much the clocks of two replicas may differ: a third of the shortest lease."""


def is_put_back(draft: Draft) -> bool:
    """Whether somebody put back an older version of the flag, whose lease is over: no lapse, but a hand that turned the feature off."""
    before, marker, written = draft.snapshot.rollout.status, draft.flag.marker, _ran_out(draft)
    if written is None or before.attempt == 0:
        return False
    if marker is None or before.state is State.ENABLED:  # what is ENABLED was read back without a lease
        return bool(before.percent)
    if not before.percent and before.raising is None:
        return before.lapsed_percent is not None  # it was written at 0 % before status said so
    since = before.step_entered_at if before.percent or before.raising is None else before.raising.decided_at
    return since is not None and marker.written_at is not None and marker.written_at < since - _CLOCKS_DIFFER


def note_lapse(draft: Draft) -> None:
    """From here on the attempt stands at 0 %, and remembers the percent that it has to come back to."""
    if is_put_back(draft):
        _withdraw(draft)
    had = _lapsed_from(draft)
    if had is None:
        return
    ran_out = "" if draft.flag.lease is None else f" at {datetime.fromtimestamp(draft.flag.lease, UTC):%Y-%m-%dT%H:%M:%SZ}"
    raising = draft.status.raising
    withdrawn = "" if raising is None or raising.percent == had else f", {raising.percent} % is withdrawn"
    began = had > 0
    draft.set(
        percent=0,
        lapsed_percent=had,
        raising=None,
        step_entered_at=None,
        effective_at=None,
        next_evaluation_at=None,
        state=State.ROLLING_OUT if began else draft.status.state,
        phase=Phase.PROGRESSING if began else draft.status.phase,
    )
    back = f"{had} % is decided anew" if began else "the first step is decided anew"
    text = f"nobody renewed the flag's lease, which ran out{ran_out}: clients turned the feature off by themselves; {back}{withdrawn}"
    draft.record(Transition.LEASE_EXPIRED, text, to_percent=0)


def _withdraw(draft: Draft) -> None:
    """What was put back may look like the raise that is under way: that one is over."""
    raising = draft.status.raising
    if raising is not None:
        draft.set(raising=None)
        draft.record(Transition.STEP_WITHDRAWN, f"{raising.percent} % no longer holds: somebody put back an older version of the flag")


def next_rise(draft: Draft) -> Step | None:
    """What comes next: back to where a lease ran out, or the first step above."""
    lapsed = draft.status.lapsed_percent
    if lapsed:
        return Step(percent=lapsed, dwell=dwell_at(draft.steps, lapsed))
    return next_after(draft.steps, draft.percent)


def _lapsed_from(draft: Draft) -> int | None:
    """The percent that was in force when the lease ran out; 0 where none had been read back yet; None where no lease ran out unnoticed."""
    status, marker, written = draft.status, draft.flag.marker, _ran_out(draft)
    if marker is not None and marker.lapsed is not None and status.lapsed_percent is None and draft.flag.percent == 0 and written is None:
        # it was noticed and marked, and the process died before it wrote status
        return marker.lapsed if marker.uid == draft.snapshot.rollout.uid and marker.attempt == status.attempt else None
    if written is None or is_put_back(draft) or draft.percent > written:  # less than was decided is a person's word, and stays as it is
        return None
    if status.raising is not None:
        return draft.percent or status.lapsed_percent or (status.raising.percent if status.raising.adopts else 0)
    return draft.percent or None if status.state is State.ROLLING_OUT else None


def _ran_out(draft: Draft) -> int | None:
    """The percent that a lease keeps from everybody by now; None where no lease does."""
    written = draft.snapshot.flag
    return written.percent or None if isinstance(written, FlagReading) and is_over(written, draft.now) else None
