"""Records: what happened, when, on which numbers. They travel in `status.pending` and end in a RolloutRun."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from tidegate.api.base import StatusModel
from tidegate.api.types import Message, Percent, Time


class Transition(StrEnum):
    """What a record tells. Also the reason of the Event that announces it."""

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
    SPEC_INVALID = "SpecInvalid"
    FLAG_LOWERED_ELSEWHERE = "FlagLoweredElsewhere"
    DRIFTED = "Drifted"
    STEP_DEADLINE_EXCEEDED = "StepDeadlineExceeded"
    NO_DATA_DEADLINE = "NoDataDeadline"
    GUARD_BREACHED = "GuardBreached"
    LEASE_EXPIRED = "LeaseExpired"


class RecordedReading(StatusModel):
    """The reading of one gate that stood behind a decision. Numbers are decimal strings."""

    source: Annotated[str, Field(max_length=16)]
    name: Annotated[str, Field(max_length=63)]
    verdict: Annotated[str, Field(max_length=16)]
    value: Annotated[str, Field(max_length=32)] | None = None
    threshold: Annotated[str, Field(max_length=128)] | None = None
    samples: Annotated[str, Field(max_length=32)] | None = None
    sample_time: Time | None = None


class Record(StatusModel):
    """One transition of an attempt. `hash` chains it to the one before; it is set when the record is appended. Records of older versions
    name neither attempt nor revision."""

    seq: int
    attempt: int | None = None
    revision: Annotated[str, Field(max_length=63)] | None = None
    time: Time
    transition: Transition
    actor: Annotated[str, Field(max_length=256)] = "operator"
    from_phase: Annotated[str, Field(max_length=32)] | None = None
    to_phase: Annotated[str, Field(max_length=32)] | None = None
    from_percent: Percent | None = None
    to_percent: Percent | None = None
    message: Message = ""
    readings: Annotated[tuple[RecordedReading, ...], Field(max_length=32)] = ()
    hash: Annotated[str, Field(max_length=64)] | None = None
