"""What status says while the API server refuses to carry out what was decided."""

from datetime import datetime

from tidegate.api.conditions import ConditionType, Reason
from tidegate.api.rollout_status import FeatureRolloutStatus
from tidegate.decide.conditions import ConditionMaker
from tidegate.domain.snapshot import Rollout

_SAID_ANEW = (ConditionType.READY, ConditionType.STALLED)


def not_carried_out(rollout: Rollout, sentence: str, now: datetime) -> FeatureRolloutStatus:
    """The status as it was, since nothing came of the decision, and that a person is needed. `sentence` says what was refused and why."""
    before = rollout.status
    made = ConditionMaker(before.conditions, rollout.generation, now)
    message = f"what was decided can't be done: {sentence}"[:4096]
    told = [
        made(ConditionType.READY, False, Reason.FLAG_NOT_WRITABLE, message),
        made(ConditionType.STALLED, True, Reason.FLAG_NOT_WRITABLE, message),
    ]
    kept = [condition for condition in before.conditions if condition.type not in _SAID_ANEW]
    return before.model_copy(update={"conditions": (*told, *kept)})
