"""RolloutRun: the record of one attempt. Created by the operator, outlives its FeatureRollout."""

from typing import Annotated

from pydantic import Field

from tidegate.api.base import ApiModel, Rule, StatusModel, validated
from tidegate.api.records import Record
from tidegate.api.targets import Target
from tidegate.api.types import ObjectName

MAX_RECORDS = 100
"""Per object: 100 records with 32 readings each stay under half of the 1.5 MiB that etcd takes. A longer attempt goes on in another."""


ROLLOUT_LABEL = "tidegate.io/rollout"
"""Stands on every RolloutRun, with the name of its FeatureRollout."""
TARGET_LABEL = "tidegate.io/target"
"""Stands on every RolloutRun, with a hash of what it moved: a rejection is about that, whatever the rollout was called."""


class PreviousRun(ApiModel):
    """Chains this run to the one before it."""

    name: ObjectName = Field(description="Name of the RolloutRun before this one.")
    head: Annotated[str, Field(max_length=64)] = Field(default="", description="Its head hash when this run was created.")


@validated(Rule("self == oldSelf", "spec is immutable: a RolloutRun is a record"))
class RolloutRunSpec(ApiModel):
    """Which attempt this is the record of."""

    rollout: ObjectName = Field(description="Name of the FeatureRollout.")
    uid: Annotated[str, Field(max_length=64)] = Field(description="Its uid.")
    attempt: Annotated[int, Field(ge=1)] = Field(description="Number of the attempt.")
    part: Annotated[int, Field(ge=1)] = Field(default=1, description="Number of this object within the attempt.")
    revision: Annotated[str, Field(max_length=63)] | None = Field(default=None, description="The revision that was rolled out.")
    target: Target | None = Field(default=None, description="What was rolled out, as spec.target said when the run began.")
    previous: PreviousRun | None = Field(default=None, description="The run before this one.")


class RolloutRunStatus(StatusModel):
    """What happened, in order."""

    records: Annotated[tuple[Record, ...], Field(max_length=MAX_RECORDS)] = Field(
        default=(),
        description="The oldest first. A longer attempt goes on in another RolloutRun.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["seq"]},
    )
    count: int = Field(default=0, description="How many records stand here.")
    head: Annotated[str, Field(max_length=64)] = Field(default="", description="Hash of the newest record: sha256(previous hash + record).")
    seq: int = Field(default=0, description="Number of the newest record. Numbers go on from one attempt to the next.")
    rejected: bool = Field(default=False, description="The attempt was rolled back.")
