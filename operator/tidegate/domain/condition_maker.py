"""Making conditions: the time of one changes only with its status."""

from datetime import datetime

from tidegate.api.conditions import Condition, ConditionType, Reason


class ConditionMaker:
    """Makes the conditions of one object, given those that it has."""

    def __init__(self, before: tuple[Condition, ...], generation: int, now: datetime) -> None:
        self._before = {condition.type: condition for condition in before}
        self._generation = generation
        self._now = now

    def __call__(self, kind: ConditionType, value: bool, reason: Reason, message: str) -> Condition:
        text, known = str(value), self._before.get(kind)
        return Condition(
            type=kind,
            status=text,
            reason=reason.value,
            message=message,
            observed_generation=self._generation,
            last_transition_time=known.last_transition_time if known is not None and known.status == text else self._now,
        )
