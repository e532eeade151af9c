"""Records: what happened, when, on which numbers. They travel in `status.pending` and end in a RolloutRun."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from tidegate.api.base import StatusModel
from tidegate.api.types import Message, Percent, Time


class Transition(StrEnum):
    """What a record is about. Also the reason of the Event that reports it."""

    ATTEMPT_STARTED = "AttemptStarted"
    ADOPTED = "Adopted"
    STEP_DECIDED = "StepDecided"
    STEP_EFFECTIVE = "StepEffective"
    STEP_WITHDRAWN = "StepWithdrawn"
    ROLLED_BACK = "RolledBack"
    ENABLED = "Enabled"
    SUCCEEDED = "Succeeded"
    PAUSED = "Paused"
    RESUMED = "Resumed"
    DISABLED = "Disabled"
    SPEC_EDITED = "SpecEdited"
    POLICY_EDITED = "PolicyEdited"
    POLICY_UNUSABLE = "PolicyUnusable"
    POLICY_USABLE = "PolicyUsable"
    SPEC_INVALID = "SpecInvalid"
    LOWERED_ELSEWHERE = "LoweredElsewhere"
    DRIFTED = "Drifted"
    STEP_DEADLINE_EXCEEDED = "StepDeadlineExceeded"
    NO_DATA_DEADLINE = "NoDataDeadline"
    GUARD_BREACHED = "GuardBreached"
    LEASE_EXPIRED = "LeaseExpired"
    RETRIED = "Retried"


REPEATABLE = frozenset(
    {
        Transition.DRIFTED,
        Transition.SPEC_EDITED,
        Transition.SPEC_INVALID,
        Transition.POLICY_EDITED,
        Transition.POLICY_UNUSABLE,
        Transition.POLICY_USABLE,
        Transition.PAUSED,
        Transition.RESUMED,
        Transition.STEP_WITHDRAWN,
        Transition.LOWERED_ELSEWHERE,
        Transition.STEP_DEADLINE_EXCEEDED,
        Transition.NO_DATA_DEADLINE,
        Transition.GUARD_BREACHED,
    }
)
"""What may happen again and again: while no record can be appended, these are counted in one. No other record is ever left out."""


class RecordedReading(StatusModel):
    """What one gate measured when a decision was made. Numbers are decimal strings."""

    source: Annotated[str, Field(max_length=16)] = Field(description="Whose gate it is: rollout or policy.")
    name: Annotated[str, Field(max_length=63)] = Field(description="Name of the gate.")
    verdict: Annotated[str, Field(max_length=16)] = Field(description="What the gate said.")
    value: Annotated[str, Field(max_length=32)] | None = Field(
        default=None, description="The value that was judged, as in status.gates of a FeatureRollout."
    )
    threshold: Annotated[str, Field(max_length=128)] | None = Field(default=None, description="The gate's bounds, in words.")
    samples: Annotated[str, Field(max_length=32)] | None = Field(default=None, description="Number of samples behind the value.")
    sample_time: Time | None = Field(default=None, description="When the oldest of the series that the value rests on was last scraped.")


class Record(StatusModel):
    """One transition of an attempt. Records of older versions name neither attempt nor revision."""

    seq: int = Field(description="Number of the record.")
    attempt: int | None = Field(default=None, description="Number of the attempt.")
    revision: Annotated[str, Field(max_length=63)] | None = Field(
        default=None, description="The revision that was rolled out. Absent where spec had none."
    )
    time: Time = Field(description="When it was decided.")
    transition: Transition
    actor: Annotated[str, Field(max_length=256)] = Field(
        default="operator", description="Who caused it: operator, or the field manager of an external writer, as its client names itself."
    )
    from_phase: Annotated[str, Field(max_length=32)] | None = Field(default=None, description="Phase before.")
    to_phase: Annotated[str, Field(max_length=32)] | None = Field(default=None, description="Phase after.")
    from_percent: Percent | None = Field(default=None, description="Percent before.")
    to_percent: Percent | None = Field(default=None, description="Percent after.")
    message: Message = Field(default="", description="What happened and why, in one sentence.")
    count: int | None = Field(default=None, description="How often it happened before it could be appended, where more than once.")
    readings: Annotated[tuple[RecordedReading, ...], Field(max_length=32)] = Field(
        default=(), description="What the gates had measured when it was decided."
    )
    hash: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="SHA-256 of the hash before it and this record. Set when it is appended to the RolloutRun."
    )
