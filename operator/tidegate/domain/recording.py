"""Records that can't be appended to their RolloutRun: from when on a person has to look at it, and how status says so.

The condition `Unrecorded` is also the memory of it: it stands from the append that was refused until the records are in their run.
"""

from datetime import datetime, timedelta

from tidegate.api.conditions import ConditionType, Reason
from tidegate.api.rollout_status import FeatureRolloutStatus, Phase, State
from tidegate.api.types import format_second
from tidegate.domain.condition_maker import ConditionMaker
from tidegate.domain.problems import Problem

PATIENCE = timedelta(minutes=5)
"""For so long what fails may come right by itself. What is refused does not."""
_REMEDY = (
    "Until they are written nothing rises, and the object isn't let go: let the operator's account create rolloutruns and patch "
    "rolloutruns/status"
)
_SAID = {ConditionType.READY: False, ConditionType.STALLED: True, ConditionType.UNRECORDED: True}


def unrecorded(status: FeatureRolloutStatus) -> Problem | None:
    """What status was told of records that still wait; None where none of them waits for a person."""
    told = (one for one in status.conditions if one.type is ConditionType.UNRECORDED)
    found = next(told, None) if status.pending is not None else None
    return None if found is None else Problem(Reason.NOT_RECORDED, found.message)


def told_unrecorded(
    status: FeatureRolloutStatus, refusal: str | None, failure: str | None, generation: int, now: datetime
) -> FeatureRolloutStatus:
    """The status after its records could not be appended. As it was while that may come right by itself; where Ready is about something
    worse, it stays about that."""
    sentence = _sentence(status, refusal, failure, now)
    if sentence is None:
        return status
    made, out = ConditionMaker(status.conditions, generation, now), {one.type: one for one in status.conditions}
    ready = out.get(ConditionType.READY)
    is_worse = ready is not None and ready.status == "False" and ready.reason != Reason.NOT_RECORDED
    said = {ConditionType.UNRECORDED: True} if is_worse else _SAID
    if all(kind in out and out[kind].reason == Reason.NOT_RECORDED and out[kind].message == sentence for kind in said):
        return status
    out |= {kind: made(kind, value, Reason.NOT_RECORDED, sentence) for kind, value in said.items()}
    conditions = tuple(out[kind] for kind in ConditionType if kind in out)
    has_next = status.state in (State.DISABLED, State.ROLLING_OUT) and status.phase is not Phase.DISABLED
    waiting_for = sentence[:1024] if has_next and status.waiting_for is None else status.waiting_for
    return status.model_copy(update={"conditions": conditions, "waiting_for": waiting_for})


def _sentence(status: FeatureRolloutStatus, refusal: str | None, failure: str | None, now: datetime) -> str | None:
    if refusal is not None:
        return f"records of this rollout are refused: {refusal[:700]}. {_REMEDY}"
    oldest = min((record.time for record in status.pending.records), default=now) if status.pending is not None else now
    if now - oldest < PATIENCE:
        return None
    why = failure[:700] if failure is not None else "see the operator's log"
    return f"records of this rollout have waited to be written since {format_second(oldest)}: {why}. {_REMEDY}"
