"""A lease that ran out: clients saw the feature go, and it comes back by a raise that is decided like any other."""

from datetime import UTC, datetime

from tidegate.api.feature_rollout import Step
from tidegate.api.records import Transition
from tidegate.api.rollout_status import Phase, State
from tidegate.decide.rollout.draft import Draft
from tidegate.decide.rollout.steps import dwell_at, next_after
from tidegate.domain.snapshot import FlagReading
from tidegate.levers.lease import is_over


def note_lapse(draft: Draft) -> None:
    """From here on the attempt stands at 0 %, and remembers the percent that it has to come back to."""
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
        enabled_at=None,
        state=State.ROLLING_OUT if began else draft.status.state,
        phase=Phase.PROGRESSING if began else draft.status.phase,
    )
    back = f"{had} % is decided anew" if began else "the first step is decided anew"
    text = f"nobody renewed the flag's lease, which ran out{ran_out}: clients turned the feature off by themselves; {back}{withdrawn}"
    draft.record(Transition.LEASE_EXPIRED, text, to_percent=0)


def next_rise(draft: Draft) -> Step | None:
    """What comes next: back to where a lease ran out, or the first step above."""
    lapsed = draft.status.lapsed_percent
    if lapsed:
        return Step(percent=lapsed, dwell=dwell_at(draft.steps, lapsed))
    return next_after(draft.steps, draft.percent)


def _lapsed_from(draft: Draft) -> int | None:
    """The percent that was in force when the lease ran out; 0 where none had been read back yet; None where no lease ran out unnoticed."""
    status, flag, written = draft.status, draft.flag, draft.snapshot.flag
    known = status.lapsed_percent
    marker = flag.marker
    if marker is not None and marker.lapsed is not None and known is None and flag.percent == 0:
        # it was noticed and marked, and the process died before it wrote status
        return marker.lapsed if marker.uid == draft.snapshot.rollout.uid and marker.attempt == status.attempt else None
    if not (isinstance(written, FlagReading) and written.percent and is_over(written, draft.now)):
        return None
    if status.raising is not None:
        return draft.percent or known or (status.raising.percent if status.raising.adopts else 0)
    is_ours = status.state in (State.ROLLING_OUT, State.ENABLED) and 0 < draft.percent <= written.percent
    return draft.percent if is_ours else None  # less than what was decided is a person's word, and stays as it is
