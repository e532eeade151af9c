"""FeatureRollout: what an application team writes to turn a feature on step by step."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from tidegate.api.base import ApiModel, Rule, validated
from tidegate.api.gates import RolloutGate
from tidegate.api.segment import SegmentCondition
from tidegate.api.types import (
    Duration,
    DurationOrZero,
    FlagKey,
    ObjectName,
    Percent,
    Revision,
    StepPercent,
    TargetingKey,
)


class DeletionPolicy(StrEnum):
    """KEEP leaves the flag as it is; OFF turns the feature off first."""

    KEEP = "Keep"
    OFF = "Off"


class NoDataAction(StrEnum):
    """What a gate without data leads to once its deadline has passed."""

    HOLD = "hold"
    ROLLBACK = "rollback"


class PolicyRef(ApiModel):
    """Names a RolloutPolicy."""

    name: ObjectName = Field(description="Name of the RolloutPolicy.")


@validated(
    Rule("self.key == oldSelf.key", "key is immutable: delete this rollout and create another for the other flag", ".key"),
    Rule("self.configMap == oldSelf.configMap", "configMap is immutable: delete this rollout and create another", ".configMap"),
    Rule(
        "!has(self.allow) || !has(self.deny) || self.allow.all(k, !(k in self.deny))",
        "a targeting key stands in both allow and deny: deny wins, so remove it from allow",
    ),
)
class FlagTarget(ApiModel):
    """One boolean flag of a flagd document. Tidegate owns this key of the document, and keeps every other."""

    key: FlagKey = Field(description="The flag's key, as the application asks for it.")
    config_map: ObjectName = Field(description="The ConfigMap that holds the flag set (key flags.flagd.json). Created if absent.")
    allow: Annotated[tuple[TargetingKey, ...], Field(max_length=256)] = Field(
        default=(), description="Targeting keys that see the feature while it waits and moves, never in ROLLBACK or DISABLED."
    )
    deny: Annotated[tuple[TargetingKey, ...], Field(max_length=256)] = Field(
        default=(), description="Targeting keys that never see the feature."
    )
    segment: Annotated[tuple[SegmentCondition, ...], Field(min_length=1, max_length=8)] | None = Field(
        default=None,
        description="Who the rollout is about: users that meet all conditions. The percentage is a share of them; everybody else but the "
        "allow list is off at every step, 100 included. Absent: everybody.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["attribute"]},
    )
    lease_seconds: Annotated[int, Field(ge=60, le=86400)] | None = Field(
        default=None,
        description="Dead-man lease: while the feature climbs, clients turn it off by their own clock once the operator has not renewed "
        "the flag for this long. Make it longer than an upgrade of the operator takes. Absent: none.",
    )


class Target(ApiModel):
    """What the rollout moves."""

    flag: FlagTarget = Field(description="A feature flag in flagd's format.")


class Step(ApiModel):
    """One level of exposure."""

    percent: StepPercent = Field(description="The share of targeting keys that see the feature.")
    dwell: Duration = Field(description="How long to stay here at least, counted from when the flag reads back this percent.")


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


class Strategy(ApiModel):
    """How exposure moves."""

    canary: Canary = Field(description="A step at a time, judged by the gates.")


class NoData(ApiModel):
    """What happens when a gate's series are missing, stale or not finite. A source that doesn't answer never counts."""

    deadline: Duration = Field(default=timedelta(hours=1), description="How long a gate may be without data. Stops at the last step.")
    then: NoDataAction = Field(default=NoDataAction.HOLD, description="hold: wait for data. rollback: go back to 0 %.")


@validated(
    Rule(
        "!has(self.gates) || self.gates.map(g, has(g.name) ? g.name : g.use).all(n, "
        "self.gates.map(g, has(g.name) ? g.name : g.use).filter(m, m == n).size() == 1)",
        "two gates have the same name: a gate that uses a template has the template's name unless it has one of its own",
        ".gates",
    ),
)
class FeatureRolloutSpec(ApiModel):
    """A feature, how far and how fast to turn it on, and what takes it back."""

    enabled: bool = Field(default=True, description="false turns the feature off (state DISABLED). Back to true begins a new attempt.")
    paused: bool = Field(default=False, description="Holds the current step. Rollback rules keep working.")
    initial_percent: Percent = Field(
        default=0, description="Exposure to begin with if the flag is not in the document yet: 100 for a feature that is live already."
    )
    revision: Revision | None = Field(default=None, description="A change begins a new attempt. Needed to try again after a rollback.")
    policy_ref: PolicyRef | None = Field(default=None, description="The RolloutPolicy. Absent: the one annotated as default.")
    target: Target = Field(description="What is rolled out.")
    strategy: Strategy = Field(description="How exposure rises.")
    gates: Annotated[tuple[RolloutGate, ...], Field(max_length=16)] = Field(
        default=(),
        description="What must hold to advance, and what rolls back.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    no_data: NoData = Field(default=NoData(), description="What missing data leads to.")
    step_deadline: Duration | None = Field(
        default=None,
        description="How long a step may be held beyond its dwell before the rollout pauses itself and says so. Absent: for ever.",
    )
    bake: DurationOrZero = Field(default=timedelta(hours=24), description="How long the rollback rules stay armed after the last step.")
    deletion_policy: DeletionPolicy | None = Field(
        default=None, description="What deleting this object does to the flag. Default: Keep once ENABLED, Off before."
    )
