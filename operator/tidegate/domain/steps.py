"""Steps: where a percent stands among them, and what comes next. The percent is the truth; the number of the step follows from it,
so that steps can be edited while a rollout moves."""

from datetime import timedelta

from tidegate.api.strategies import Step


def number_of(steps: tuple[Step, ...], percent: int) -> int:
    """Number (from 1) of the last step at or below `percent`; 0 before the first."""
    return sum(step.percent <= percent for step in steps)


def next_after(steps: tuple[Step, ...], percent: int) -> Step | None:
    """The first step above `percent`."""
    return next((step for step in steps if step.percent > percent), None)


def dwell_at(steps: tuple[Step, ...], percent: int) -> timedelta:
    """How long to stay at `percent`: the dwell of the last step at or below it, or of the first step where all are above."""
    return steps[max(number_of(steps, percent) - 1, 0)].dwell
