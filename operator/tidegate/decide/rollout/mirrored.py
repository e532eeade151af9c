"""What is said of a flag's copy in a FeatureFlag."""

from tidegate.api.conditions import Condition, ConditionType, Reason
from tidegate.decide.conditions import ConditionMaker
from tidegate.decide.rollout.draft import Draft


def mirror_conditions(draft: Draft) -> tuple[Condition, ...]:
    """The condition Mirrored, where the API server has the kind. What is not known yet, after a restart, stands as it did."""
    mirrored, before = draft.snapshot.mirrored, draft.snapshot.rollout.status.conditions
    if mirrored is None:
        return ()
    if not mirrored.known:
        return tuple(condition for condition in before if condition.type is ConditionType.MIRRORED)
    made = ConditionMaker(before, draft.status.observed_generation, draft.now)
    problem = mirrored.problem
    if problem is None:
        return (made(ConditionType.MIRRORED, True, Reason.MIRRORED, ""),)
    return (made(ConditionType.MIRRORED, False, problem.reason, problem.message),)
