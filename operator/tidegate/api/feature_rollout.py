"""FeatureRollout: what an application team writes to turn a feature on step by step."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from tidegate.api.base import ApiModel, Rule, validated
from tidegate.api.gates import RolloutGate
from tidegate.api.strategies import Strategy
from tidegate.api.targets import Target
from tidegate.api.types import Duration, DurationOrZero, ObjectName, Percent, Revision


class DeletionPolicy(StrEnum):
    """KEEP leaves exposure as it is; OFF turns the feature off first."""

    KEEP = "Keep"
    OFF = "Off"


class NoDataAction(StrEnum):
    """What a gate without data leads to once its deadline has passed."""

    HOLD = "hold"
    ROLLBACK = "rollback"


class PolicyRef(ApiModel):
    """Names a RolloutPolicy."""

    name: ObjectName = Field(description="Name of the RolloutPolicy.")


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
        default=0, description="Exposure to begin with if the target does not exist yet: 100 for a feature that is live already."
    )
    revision: Revision | None = Field(
        default=None, description="A change begins a new attempt. One that was rolled back stays rejected: see retry."
    )
    retry: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=0,
        description="Raise this number to try a revision again that was rolled back: its rejection is lifted once, and that is recorded.",
    )
    policy_ref: PolicyRef | None = Field(default=None, description="The RolloutPolicy. Absent: the one annotated as default.")
    target: Target = Field(description="What is rolled out.")
    strategy: Strategy = Field(description="How exposure rises.")
    gates: Annotated[tuple[RolloutGate, ...], Field(max_length=16)] = Field(
        default=(),
        description="What must hold to advance, and what rolls back.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    no_data: NoData = Field(default=NoData(), description="What missing data leads to.")
    step_deadline: Duration = Field(
        default=timedelta(days=7),
        description="How long a step may be held beyond its dwell before the rollout pauses itself and reports it.",
    )
    bake: DurationOrZero = Field(default=timedelta(hours=24), description="How long the rollback rules stay armed after the last step.")
    deletion_policy: DeletionPolicy | None = Field(
        default=None, description="What deleting this object does to the exposure. Default: Keep once ENABLED, Off before."
    )
