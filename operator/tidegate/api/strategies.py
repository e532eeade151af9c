"""How exposure moves: exactly one of the strategies."""

from typing import Annotated

from pydantic import Field

from tidegate.api.base import ApiModel, Rule, validated
from tidegate.api.types import Duration, StepPercent


class Step(ApiModel):
    """One level of exposure."""

    percent: StepPercent = Field(description="The share of targeting keys that see the feature.")
    dwell: Duration = Field(description="How long to stay here at least, counted from when this percent is read back.")


_BELOW_HOLDBACK = (
    "must be below 100 - holdback: the last, 100, means everybody but the holdback, such as 95 % for 5; lower that percent or the holdback"
)


@validated(
    Rule("has(self.steps) != has(self.percents)", "give either steps or the shorthand percents with dwell, not both and not neither"),
    Rule("has(self.percents) == has(self.dwell)", "percents and dwell belong together: the shorthand gives every step the same dwell"),
    Rule(
        "!has(self.percents) || self.percents.isSorted() && self.percents.all(p, self.percents.exists_one(q, q == p))",
        "percents must rise from step to step, such as [10, 50, 100]",
        ".percents",
    ),
    Rule("!has(self.percents) || self.percents[size(self.percents) - 1] == 100", "the last percent must be 100", ".percents"),
    Rule(
        "!has(self.steps) || self.steps.map(s, s.percent).isSorted() "
        "&& self.steps.all(s, self.steps.exists_one(t, t.percent == s.percent))",
        "the percent of each step must be above that of the step before it",
        ".steps",
    ),
    Rule("!has(self.steps) || self.steps[size(self.steps) - 1].percent == 100", "the last step must have percent 100", ".steps"),
    Rule(
        "!has(self.holdback) || !has(self.percents) || self.percents.all(p, p == 100 || p < 100 - self.holdback)",
        f"every percent but the last {_BELOW_HOLDBACK}",
        ".percents",
    ),
    Rule(
        "!has(self.holdback) || !has(self.steps) || self.steps.all(s, s.percent == 100 || s.percent < 100 - self.holdback)",
        f"the percent of every step but the last {_BELOW_HOLDBACK}",
        ".steps",
    ),
)
class Canary(ApiModel):
    """Exposure rises a step at a time."""

    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=32)] | None = Field(
        default=None, description="The steps, rising to 100.", json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    percents: Annotated[tuple[StepPercent, ...], Field(min_length=1, max_length=32)] | None = Field(
        default=None,
        description="Shorthand: the percents of the steps, rising to 100.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    dwell: Duration | None = Field(default=None, description="With percents: the dwell of every step.")
    holdback: Annotated[int, Field(ge=0, le=50)] = Field(
        default=0,
        description="The share of users, in percent, that never get the feature and stay a control group: with 5 the last step is 95 %.",
    )

    @property
    def full(self) -> int:
        """The percent of the last step: everybody but the control group."""
        return 100 - self.holdback

    def resolved(self) -> tuple[Step, ...]:
        """The steps, whichever form they were written in; the last one leaves out the control group."""
        steps = self._written()
        if any(step.percent >= self.full for step in steps[:-1]):
            raise ValueError(f"spec.strategy.canary: every step but the last must be below {self.full} % (100 less the holdback)")
        return (*steps[:-1], steps[-1].model_copy(update={"percent": self.full}))

    def _written(self) -> tuple[Step, ...]:
        if self.steps is not None:
            return self.steps
        if self.percents is None or self.dwell is None:
            raise ValueError("spec.strategy.canary: give either steps or percents with dwell")
        return tuple(Step(percent=percent, dwell=self.dwell) for percent in self.percents)


@validated(Rule("has(self.canary)", "give exactly one strategy: canary"))
class Strategy(ApiModel):
    """How exposure moves: exactly one of these."""

    canary: Canary | None = Field(default=None, description="A step at a time, judged by the gates.")

    @property
    def full(self) -> int:
        """The percent of the last step."""
        return self._chosen().full

    def ladder(self) -> tuple[Step, ...]:
        """The steps, rising. ValueError where the spec gives none that can be followed."""
        return self._chosen().resolved()

    def _chosen(self) -> Canary:
        if self.canary is None:
            raise ValueError("spec.strategy: give exactly one strategy: canary")
        return self.canary
