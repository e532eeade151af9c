"""What status says where what was decided could not be carried out."""

from datetime import datetime

from tidegate.api.conditions import ConditionType, Reason
from tidegate.api.rollout_status import FeatureRolloutStatus, State
from tidegate.decide.conditions import ConditionMaker
from tidegate.domain.decision import Decision
from tidegate.domain.snapshot import Rollout

_SAID_ANEW = (ConditionType.READY, ConditionType.STALLED)


def standing(rollout: Rollout, decision: Decision) -> FeatureRolloutStatus:
    """What is so although nothing came of the decision. A rollback stands: the numbers may recover before it can be made, and what fell
    must not climb on. Everything else will be decided again."""
    if decision.status.state is State.ROLLBACK:
        return decision.status
    return rollout.status


def not_carried_out(rollout: Rollout, stands: FeatureRolloutStatus, sentence: str, now: datetime) -> FeatureRolloutStatus:
    """What stands, and that a person is needed. `sentence` says what was refused and why."""
    made = ConditionMaker(rollout.status.conditions, rollout.generation, now)
    message = f"what was decided can't be done: {sentence}"[:4096]
    told = [
        made(ConditionType.READY, False, Reason.FLAG_NOT_WRITABLE, message),
        made(ConditionType.STALLED, True, Reason.FLAG_NOT_WRITABLE, message),
    ]
    kept = [condition for condition in stands.conditions if condition.type not in _SAID_ANEW]
    return stands.model_copy(update={"conditions": (*told, *kept), "observed_generation": rollout.generation})
