"""What stands in the way of a rollout, and errors of the domain."""

from dataclasses import dataclass

from tidegate.api.conditions import Reason


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that stands in the way, as a condition will say it."""

    reason: Reason
    message: str


class QueryProblem(ValueError):
    """A gate's PromQL can't be used; the message says what to change."""
