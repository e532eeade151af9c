"""What a lever that was lost has to show again, by status alone: what stood there stands, until its own reconcile decides further.

Nothing is judged and nothing begins: it is at most what an own reconcile would put back which finds the lever gone.
"""

from datetime import datetime

from tidegate.api.conditions import Reason
from tidegate.api.rollout_status import Phase
from tidegate.decide.rollout.attempt import switch_off
from tidegate.decide.rollout.draft import Draft
from tidegate.decide.rollout.wishes import wish_for
from tidegate.domain.decision import FINALIZER
from tidegate.domain.exposure import Lever, Reading, Write
from tidegate.domain.problems import Problem
from tidegate.domain.snapshot import Rollout, Snapshot

_UNASKED = Problem(Reason.DISABLED, "not read: nothing is judged")


def restored(rollout: Rollout, lever: Lever, now: datetime) -> tuple[Write, ...]:
    """The writes that put it back; none of a rollout whose lever this is not by status, or that is going away."""
    spec, gone = rollout.followed_spec(), Reading(None)
    if spec is None or rollout.deleting or not rollout.owns:
        return ()
    draft = Draft.of(Snapshot(rollout, _UNASKED, gone, lever), lever, gone, spec, now)
    if not spec.enabled:
        switch_off(draft)
    wish = wish_for(draft, confirmed=False)
    writes = () if wish is None else lever.writes(wish, gone)
    may_raise = FINALIZER in rollout.finalizers or rollout.status.phase is Phase.SUCCEEDED
    return tuple(write for write in writes if may_raise or not write.raises)
