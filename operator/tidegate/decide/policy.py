"""What to say of a RolloutPolicy: whether its spec can be used, and whether its Prometheus answers."""

from datetime import datetime

from tidegate.api.conditions import ConditionType, Reason
from tidegate.api.rollout_policy import RolloutPolicyStatus
from tidegate.decide.conditions import ConditionMaker
from tidegate.domain.policy_view import PolicyView
from tidegate.domain.snapshot import Problem

LOOK_AGAIN = 60.0
"""Seconds between two looks at whether Prometheus answers; a rollout that needs it notices by itself, at its own interval."""


def decide_policy(view: PolicyView, now: datetime) -> tuple[RolloutPolicyStatus, float]:
    """The status to be written, and the seconds until the next look."""
    made = ConditionMaker(view.status.conditions, view.generation, now)
    if isinstance(view.policy, Problem):
        conditions = [
            made(ConditionType.READY, False, view.policy.reason, view.policy.message),
            made(ConditionType.STALLED, True, view.policy.reason, view.policy.message),
        ]
    else:
        conditions = [made(ConditionType.READY, True, Reason.VALID, "")]
        if view.source is None:
            conditions.append(made(ConditionType.METRICS_AVAILABLE, True, Reason.ANSWERING, ""))
        else:
            conditions.append(made(ConditionType.METRICS_AVAILABLE, False, view.source.reason, view.source.message))
    return RolloutPolicyStatus(observed_generation=view.generation, conditions=tuple(conditions)), LOOK_AGAIN
