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
    count: int | None = Field(default=None, description="How often it happened before it could be appended, where more than once.")
    readings: Annotated[tuple[RecordedReading, ...], Field(max_length=32)] = ()
    hash: Annotated[str, Field(max_length=64)] | None = None
