"""FeatureRollout's status: what the operator found, decided and is about to do. Everything that must outlive a crash stands here."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from tidegate.api.base import StatusModel
from tidegate.api.conditions import Conditions
from tidegate.api.drift import Drift
from tidegate.api.records import Record
from tidegate.api.types import Message, Percent, Time


class State(StrEnum):
    """What the feature's clients see, in one word."""

    DISABLED = "DISABLED"
    ROLLING_OUT = "ROLLING_OUT"
    ENABLED = "ENABLED"
    ROLLBACK = "ROLLBACK"


class Phase(StrEnum):
    """Where the attempt stands (docs/rollouts.md has the table)."""

    PENDING = "Pending"
    WAITING = "Waiting"
    PROGRESSING = "Progressing"
    PAUSED = "Paused"
    BAKING = "Baking"
    SUCCEEDED = "Succeeded"
    ROLLING_BACK = "RollingBack"
    ROLLED_BACK = "RolledBack"
    DISABLED = "Disabled"
    INVALID = "Invalid"


class Verdict(StrEnum):
    """What one gate says."""

    ADVANCE = "ADVANCE"
    HOLD = "HOLD"
    ROLLBACK = "ROLLBACK"
    NO_DATA = "NO_DATA"
    NOT_APPLICABLE = "NOT_APPLICABLE"


class GateSource(StrEnum):
    """Whose gate it is."""

    ROLLOUT = "rollout"
    POLICY = "policy"


Decimal = Annotated[str, Field(max_length=32)]


class Counted(StatusModel):
    """How far a count has come. `total` holds every event between `since` and `until`; `series` is the last value of each series (by the
    hash of its labels) and when it was seen, as `value@seconds`: what the next look counts on from."""

    counter: Annotated[str, Field(max_length=64)]
    since: Time
    until: Time
    total: Decimal
    series: Annotated[dict[str, Annotated[str, Field(max_length=48)]], Field(max_length=200)] = Field(default_factory=dict)


class GateStatus(StatusModel):
    """One gate's latest reading and what it means. Numbers are decimal strings: the API server rewrites JSON numbers."""

    source: GateSource
    name: Annotated[str, Field(max_length=63)]
    verdict: Verdict
    value: Decimal | None = None
    threshold: Annotated[str, Field(max_length=128)] | None = None
    worst_series: Annotated[str, Field(max_length=512)] | None = None
    baseline: Decimal | None = Field(default=None, description="What the value was compared with.")
    samples: Decimal | None = None
    samples_min: Decimal | None = None
    samples_expected_at: Time | None = Field(default=None, description="When, at the traffic so far, samplesMin is reached.")
    sample_time: Time | None = None
    breached_since: Time | None = None
    breached_last: Time | None = None
    breached_samples: int | None = None
    no_data_since: Time | None = None
    no_data_before: int | None = Field(default=None, description="Seconds without data before the deadline's clock last stood still.")
    no_data_reason: Annotated[str, Field(max_length=64)] | None = None
    counted: Counted | None = None
    message: Message = ""


class StartMedian(StatusModel):
    """What a gate read before the first exposure. `source` is the hash of the question."""

    gate: Annotated[str, Field(max_length=63)]
    value: Decimal
    at: Time
    source: Annotated[str, Field(max_length=64)]


class Raise(StatusModel):
    """A raise that was decided, and isn't seen to be effective yet."""

    percent: Percent
    decided_at: Time
    adopts: bool = Field(default=False, description="The first write of a feature that is live already (spec.initialPercent).")


class PinnedPolicy(StatusModel):
    """The policy that this attempt runs under."""

    name: Annotated[str, Field(max_length=253)]
    uid: Annotated[str, Field(max_length=64)]
    generation: int


class Rehearsal(StatusModel):
    """The proof, before anybody is exposed, that the flag can be taken back: a write that was read back."""

    at: Time
    milliseconds: int | None = Field(
        default=None, description="From the write to the reading. Absent where a restart lay in between, or more than a minute."
    )


MAX_PENDING = 32


class Pending(StatusModel):
    """Records that are decided and not yet appended to the RolloutRun."""

    records: Annotated[tuple[Record, ...], Field(max_length=MAX_PENDING)] = ()


class FeatureRolloutStatus(StatusModel):
    """All that the operator remembers of one rollout."""

    observed_generation: int = -1
    state: State = State.DISABLED
    phase: Phase = Phase.PENDING
    percent: Percent | None = Field(default=None, description="Exposure as read back from the flag.")
    step: int = Field(default=0, description="Number of the current step, from 1; 0 before the first.")
    steps: int = 0
    attempt: int = 0
    revision: Annotated[str, Field(max_length=63)] | None = None
    rejected_revision: Annotated[str, Field(max_length=63)] | None = Field(
        default=None, description='The revision that was rolled back; "" stands for a rollout without spec.revision.'
    )
    run: Annotated[str, Field(max_length=253)] | None = Field(default=None, description="The RolloutRun that records this attempt.")
    policy: PinnedPolicy | None = None
    step_entered_at: Time | None = Field(default=None, description="When the raise to the current percent was decided.")
    effective_at: Time | None = Field(default=None, description="When the flag read back the current percent: dwell counts from here.")
    lapsed_percent: Percent | None = Field(
        default=None, description="Exposure that ended with the flag's lease; going back to it is decided anew. Absent otherwise."
    )
    lowered_percent: Percent | None = Field(
        default=None, description="Exposure that somebody else turned the flag down to, as seen last. Absent where nobody did."
    )
    exposed_at: Time | None = Field(default=None, description="When this attempt first exposed anybody.")
    raised_at: Time | None = Field(default=None, description="When exposure last rose.")
    resumed_at: Time | None = None
    enabled_at: Time | None = Field(default=None, description="When the last step was passed: the bake counts from here.")
    rolled_back_at: Time | None = None
    next_evaluation_at: Time | None = Field(default=None, description="The earliest time at which the next step can begin.")
    rehearsal: Rehearsal | None = None
    hash_generation: Annotated[str, Field(max_length=16)] | None = Field(
        default=None,
        description="Generation of flagd's hashing that this operator and its flag server deal users with: who is in a percentage.",
    )
    drift: Drift | None = None
    raising: Raise | None = None
    gates: Annotated[tuple[GateStatus, ...], Field(max_length=32)] = Field(
        default=(), json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["source", "name"]}
    )
    baselines: Annotated[tuple[StartMedian, ...], Field(max_length=32)] = Field(
        default=(), json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["gate"]}
    )
    waiting_for: Message | None = None
    conditions: Conditions = Field(default=(), json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]})
    seq: int = Field(default=0, description="Number of the newest record of this attempt.")
    pending: Pending | None = None
    valid_spec: dict[str, Any] | None = Field(
        default=None,
        description="The last spec that was valid: its rollback rules stay armed while spec is not.",
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
    )
