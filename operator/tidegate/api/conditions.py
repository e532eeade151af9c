"""Conditions in kstatus form, and every reason that one may carry."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from tidegate.api.base import StatusModel
from tidegate.api.types import Time


class ConditionType(StrEnum):
    """READY: accepted and under control. STALLED stands only while true. FINISHED: the attempt has come to an end, good or bad.
    METRICS_AVAILABLE: the gates' source answers. QUESTIONABLE stands while a gate is written in a way that will surprise.
    UNRECORDED stands while records can't be appended to their RolloutRun."""

    READY = "Ready"
    STALLED = "Stalled"
    FINISHED = "Finished"
    METRICS_AVAILABLE = "MetricsAvailable"
    QUESTIONABLE = "Questionable"
    UNRECORDED = "Unrecorded"


class Reason(StrEnum):
    """Why a condition has its status. CamelCase, stable: people alert on them."""

    # under control
    WAITING = "Waiting"
    PROGRESSING = "Progressing"
    PAUSED = "Paused"
    BAKING = "Baking"
    SUCCEEDED = "Succeeded"
    DISABLED = "Disabled"
    ROLLING_BACK = "RollingBack"
    IN_PROGRESS = "InProgress"
    VALID = "Valid"
    # not under control
    ROLLED_BACK = "RolledBack"
    INVALID_SPEC = "InvalidSpec"
    INVALID_QUERY = "InvalidQuery"
    POLICY_MISSING = "PolicyMissing"
    POLICY_INVALID = "PolicyInvalid"
    POLICY_NOT_ALLOWED = "PolicyNotAllowed"
    AMBIGUOUS_DEFAULT = "AmbiguousDefault"
    CREDENTIALS_MISSING = "CredentialsMissing"
    CLAIMED = "Claimed"
    INTERNAL_ERROR = "InternalError"
    UNREADABLE = "Unreadable"
    NOT_ADOPTABLE = "NotAdoptable"
    NOT_WRITABLE = "NotWritable"
    NOT_RECORDED = "NotRecorded"
    LOWERED_ELSEWHERE = "LoweredElsewhere"
    CONTESTED = "Contested"
    TOO_MANY_ATTEMPTS = "TooManyAttempts"
    STEP_DEADLINE_EXCEEDED = "StepDeadlineExceeded"
    TEMPLATE_MISSING = "TemplateMissing"
    BASELINE_MISSING = "BaselineMissing"
    NO_SUCH_SERIES = "NoSuchSeries"
    QUERY_REFUSED = "QueryRefused"
    NO_DATA = "NoData"
    # a gate that will surprise
    FOR_WITHIN_RANGE = "ForWithinRange"
    FOR_WITHIN_INTERVALS = "ForWithinIntervals"
    DWELL_WITHIN_RANGE = "DwellWithinRange"
    VARIANT_IN_START = "VariantInStart"
    SAMPLES_OUT_OF_REACH = "SamplesOutOfReach"
    # the source of metrics
    ANSWERING = "Answering"
    PROMETHEUS_UNREACHABLE = "PrometheusUnreachable"
    PROMETHEUS_TIMEOUT = "PrometheusTimeout"
    PROMETHEUS_ERROR = "PrometheusError"
    PROMETHEUS_WARNING = "PrometheusWarning"
    # a rollout's own queries
    QUERY_SLOW = "QuerySlow"
    SOURCE_BUSY = "SourceBusy"


OF_THE_POLICY = frozenset(
    {
        Reason.POLICY_MISSING,
        Reason.POLICY_INVALID,
        Reason.POLICY_NOT_ALLOWED,
        Reason.AMBIGUOUS_DEFAULT,
        Reason.CREDENTIALS_MISSING,
    }
)
"""The RolloutPolicy can't be used: nothing is judged, and nothing rises."""
SOURCE_FAILURES = frozenset(
    {
        Reason.PROMETHEUS_UNREACHABLE,
        Reason.PROMETHEUS_TIMEOUT,
        Reason.PROMETHEUS_ERROR,
        Reason.PROMETHEUS_WARNING,
        Reason.QUERY_SLOW,
        Reason.SOURCE_BUSY,
    }
)
"""The source of metrics gives no answer that can be judged."""


class Condition(StatusModel):
    """One condition, as metav1.Condition."""

    type: ConditionType
    status: Annotated[str, Field(pattern="^(True|False|Unknown)$", max_length=7)] = Field(description="True, False or Unknown.")
    reason: Annotated[str, Field(pattern="^[A-Z][A-Za-z0-9]*$", max_length=64)] = Field(
        description="Why, in one word: docs/reference/reasons.md lists all."
    )
    message: Annotated[str, Field(max_length=4096)] = Field(default="", description="Why, in one sentence, with what to do about it.")
    observed_generation: int = Field(default=0, description="Generation of the spec that it is about.")
    last_transition_time: Time = Field(description="When its status last changed.")


def _of_known_types(conditions: Any) -> Any:
    """A status that another version wrote may have conditions that this version doesn't know. They are left out."""
    if not isinstance(conditions, list):
        return conditions
    return [one for one in conditions if not isinstance(one, dict) or one.get("type") in tuple(ConditionType)]


Conditions = Annotated[
    tuple[Condition, ...],
    Field(max_length=8, description="Whether all is well, for kubectl wait, Argo CD and Flux."),
    BeforeValidator(_of_known_types),
]
