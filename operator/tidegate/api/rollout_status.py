"""FeatureRollout's status: what the operator found, decided and is about to do. Everything that must outlive a crash stands here."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from tidegate.api.base import StatusModel
from tidegate.api.conditions import Conditions
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
    """The verdict of one gate."""

    ADVANCE = "ADVANCE"
    HOLD = "HOLD"
    ROLLBACK = "ROLLBACK"
    NO_DATA = "NO_DATA"
    NOT_APPLICABLE = "NOT_APPLICABLE"


class HeldBy(StrEnum):
    """What keeps a gate that would roll back, or has been without data for too long, from more than holding."""

    DEADLINE = "Deadline"
    ON_BREACH_HOLD = "OnBreachHold"
    ON_BREACH_NOTIFY = "OnBreachNotify"
    UNEXPOSED = "Unexposed"
    REACH = "Reach"


class GateSource(StrEnum):
    """Whose gate it is."""

    ROLLOUT = "rollout"
    POLICY = "policy"


class AnswerPart(StrEnum):
    """What is asked for one gate."""

    VALUE = "value"
    SAMPLES = "samples"
    BASE = "base"
    WHEN = "when"


Decimal = Annotated[str, Field(max_length=32)]


class Counted(StatusModel):
    """How far a count has come; the next reconcile counts on from there."""

    counter: Annotated[str, Field(max_length=64)] = Field(description="Hash of the selector that is counted.")
    since: Time = Field(description="When the count began: the first exposure, or the step.")
    until: Time = Field(description="Up to when events are counted.")
    total: Decimal = Field(description="Number of events.")
    series: Annotated[dict[str, Annotated[str, Field(max_length=48)]], Field(max_length=200)] = Field(
        default_factory=dict, description="Last value of each series, by the hash of its labels, as value@seconds (Unix time)."
    )


class StampedAhead(StatusModel):
    """Samples that were stamped with a time to come."""

    part: AnswerPart = Field(description="Whose samples they are: the value's, its number of samples', its base's or those of when.")
    until: Time = Field(description="Time of the last of them, rounded up to a whole minute.")


class GateStatus(StatusModel):
    """One gate's latest value and its verdict. Numbers are decimal strings: the API server rewrites JSON numbers."""

    source: GateSource = Field(description="Whose gate it is: the rollout's own, or the policy's (a guard).")
    name: Annotated[str, Field(max_length=63)] = Field(description="Name of the gate.")
    verdict: Verdict = Field(description="What the gate says: advance, hold, roll back, no data, or that it does not apply.")
    held_by: HeldBy | None = Field(default=None, description="Why a breach, or data missing past the deadline, leads to nothing more.")
    value: Decimal | None = Field(
        default=None,
        description="The value that was judged: the query's, a number of events, the share of slow requests (0 to 1), or with relativeTo "
        "the difference as a share of the baseline (0.2 is 20 % more).",
    )
    threshold: Annotated[str, Field(max_length=128)] | None = Field(default=None, description="The gate's bounds, in words.")
    worst_series: Annotated[str, Field(max_length=512)] | None = Field(
        default=None, description="Labels of the series that the value is of, where there are several."
    )
    baseline: Decimal | None = Field(default=None, description="What the value was compared with, in the unit of the query.")
    samples: Decimal | None = Field(default=None, description="Number of samples behind the value.")
    samples_min: Decimal | None = Field(default=None, description="Number of samples that both verdicts need.")
    samples_expected_at: Time | None = Field(default=None, description="When, at the traffic so far, samplesMin is reached.")
    sample_time: Time | None = Field(default=None, description="When the oldest of the series that the value rests on was last scraped.")
    breached_since: Time | None = Field(default=None, description="Time of the first sample of the breach under way.")
    breached_last: Time | None = Field(default=None, description="Time of its newest sample.")
    breached_samples: int | None = Field(default=None, description="Number of its distinct samples.")
    no_data_since: Time | None = Field(default=None, description="Since when the deadline's clock runs for missing data.")
    no_data_before: int | None = Field(default=None, description="Seconds without data before the deadline's clock last stood still.")
    no_data_reason: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="Why there is no data, in one word, such as Stale or Empty."
    )
    stamped_ahead: Annotated[tuple[StampedAhead, ...], Field(max_length=len(AnswerPart))] = Field(
        default=(),
        description="What was asked and has samples that were stamped ahead of their time: no data until there are later ones.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["part"]},
    )
    counted: Counted | None = None
    answered: Annotated[str, Field(max_length=64)] | None = Field(
        default=None,
        description="Hash of the gate's queries, once they were answered: to refuse them later is the source's fault.",
    )
    message: Message = Field(default="", description="Why the verdict is not ADVANCE, in one sentence.")


class StartMedian(StatusModel):
    """What a gate read before the first exposure."""

    gate: Annotated[str, Field(max_length=63)] = Field(description="Name of the gate.")
    value: Decimal = Field(description="The median, in the unit of the gate's query.")
    at: Time = Field(description="When it was measured.")
    source: Annotated[str, Field(max_length=64)] = Field(description="Hash of the question: another one is measured anew.")


class Raise(StatusModel):
    """A raise that was decided, and isn't seen to be effective yet."""

    percent: Percent = Field(description="The percent to come.")
    decided_at: Time = Field(description="When it was decided.")
    adopts: bool = Field(default=False, description="The first write of a feature that is live already (spec.initialPercent).")
    written: Annotated[str, Field(max_length=64)] | None = Field(default=None, description="Fingerprint of what the raise writes.")


class PinnedPolicy(StatusModel):
    """The policy that this attempt runs under."""

    name: Annotated[str, Field(max_length=253)] = Field(description="Name of the RolloutPolicy.")
    uid: Annotated[str, Field(max_length=64)] = Field(description="Its uid: another object of this name is another policy.")
    generation: int = Field(description="Its generation as last followed: an edit is recorded once.")
    unusable: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="Why it can't be used, in one word, such as PolicyMissing. Absent while it can."
    )


class Rehearsal(StatusModel):
    """The proof, before anybody is exposed, that exposure can be taken back: a write that was read back."""

    at: Time = Field(description="When the way back was read back.")
    milliseconds: int | None = Field(
        default=None, description="From the write to the reading. Absent where a restart lay in between, or more than a minute."
    )


CONTESTED_AFTER = 3
"""So many corrections within a short while make a contest of it; as many times are kept."""


class Drift(StatusModel):
    """The newest change by an external writer that was corrected."""

    manager: Annotated[str, Field(max_length=128)] = Field(description="Field manager that its client gave itself, or unknown.")
    difference: Annotated[str, Field(max_length=256)] = Field(description="What differed, in words.")
    recorded_at: Time = Field(description="When such a change was last recorded.")
    corrected_at: Annotated[tuple[Time, ...], Field(max_length=CONTESTED_AFTER)] = Field(description="The newest corrections.")
    unrecorded: int = Field(default=0, description="Corrections since the record; the next record says how many.")
    total: int = Field(default=0, description="Corrections since the FeatureRollout exists.")


MAX_PENDING = 64
MAX_REJECTED = 64


class Pending(StatusModel):
    """Records that are decided and not yet appended to the RolloutRun. None is dropped; what may repeat is counted in one record."""

    records: Annotated[tuple[Record, ...], Field(max_length=MAX_PENDING)] = Field(default=(), description="The oldest first.")


class FlagStatus(StatusModel):
    """What only a flag has."""

    hash_generation: Annotated[str, Field(max_length=16)] | None = Field(
        default=None,
        description="Generation of flagd's hashing that this operator and its flag server deal users with: who is in a percentage.",
    )


class FeatureRolloutStatus(StatusModel):
    """All that the operator remembers of one rollout."""

    observed_generation: int = Field(default=-1, description="Generation of the spec that this status is about. Default: -1, never seen.")
    recorded_generation: int = Field(default=-1, description="Generation of the newest spec whose edit is recorded.")
    state: State = State.DISABLED
    phase: Phase = Phase.PENDING
    percent: Percent | None = Field(
        default=None, description="What clients have now, as last read back: also under a manual override or behind an expired lease."
    )
    step_percent: Percent | None = Field(default=None, description="What this attempt has decided and seen in force.")
    step: int = Field(default=0, description="Number of the current step, from 1; 0 before the first.")
    steps: int = Field(default=0, description="Number of steps.")
    attempt: int = Field(default=0, description="Number of the attempt, from 1; 0 before the first.")
    revision: Annotated[str, Field(max_length=63)] | None = Field(
        default=None, description="The revision that this attempt rolls out. Absent where spec has none."
    )
    rejected_revision: Annotated[str, Field(max_length=63)] | None = Field(
        default=None, description='The revision that was rolled back; "" stands for a rollout without spec.revision.'
    )
    rejected: Annotated[tuple[Annotated[str, Field(max_length=63)], ...], Field(max_length=MAX_REJECTED)] = Field(
        default=(),
        description="Revisions of the target that were rolled back, the newest last. They stay rejected; the RolloutRuns know older ones.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    retry: int | None = Field(default=None, description="spec.retry as it was last followed.")
    run: Annotated[str, Field(max_length=253)] | None = Field(default=None, description="The RolloutRun that records this attempt.")
    policy: PinnedPolicy | None = None
    next_attempt_at: Time | None = Field(
        default=None, description="The earliest time at which another attempt can begin: in the past, at once. What lowers never waits."
    )
    step_entered_at: Time | None = Field(default=None, description="When the raise to the current percent was decided.")
    effective_at: Time | None = Field(
        default=None,
        description="When the current percent was read back: dwell counts from here. Absent at 0 %, also behind an expired lease.",
    )
    exposed_at: Time | None = Field(default=None, description="When this attempt first exposed anybody.")
    raised_at: Time | None = Field(default=None, description="When exposure last rose.")
    resumed_at: Time | None = Field(
        default=None, description="When a pause last ended: spec.stepDeadline counts from here where it is later."
    )
    overdue_since: Time | None = Field(default=None, description="When the step exceeded spec.stepDeadline.")
    enabled_at: Time | None = Field(default=None, description="When the last step was passed: the bake counts from here.")
    rolled_back_at: Time | None = Field(default=None, description="When this attempt was rolled back.")
    rolled_back_because: Message | None = Field(default=None, description="What the rollback was about: the gate, its value and bounds.")
    without_data_since: Time | None = Field(default=None, description="Since when a gate that counts is without data.")
    next_evaluation_at: Time | None = Field(default=None, description="The earliest time at which the next step can begin.")
    rehearsal: Rehearsal | None = None
    flag: FlagStatus | None = None
    written: Annotated[str, Field(max_length=64)] | None = Field(
        default=None,
        description="Fingerprint of what Tidegate last wrote to the target: all else there is an external writer's.",
    )
    drift: Drift | None = None
    raising: Raise | None = None
    gates: Annotated[tuple[GateStatus, ...], Field(max_length=32)] = Field(
        default=(),
        description="Each gate and guard as judged last. Written when a verdict changes; live values are metrics.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["source", "name"]},
    )
    baselines: Annotated[tuple[StartMedian, ...], Field(max_length=32)] = Field(
        default=(),
        description="Medians from before the first exposure, of the rollout's own gates with relativeTo.start.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["gate"]},
    )
    guard_baselines: Annotated[tuple[StartMedian, ...], Field(max_length=16)] = Field(
        default=(),
        description="The same of the policy's guards, which may have the name of a gate.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["gate"]},
    )
    waiting_for: Message | None = Field(
        default=None,
        description="What stands between now and the next step, in one sentence; after a rollback its cause, and how to try again.",
    )
    conditions: Conditions = Field(default=(), json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]})
    seq: int = Field(default=0, description="Number of the newest record of this attempt.")
    pending: Pending | None = None
    valid_spec: dict[str, Any] | None = Field(
        default=None,
        description="The last spec that was valid: its rollback rules stay armed while spec is not.",
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
    )

    @property
    def is_exposed(self) -> bool:
        """Whether this attempt shows the feature to a share of the clients, a manual override aside."""
        return self.state in (State.ROLLING_OUT, State.ENABLED) and bool(self.step_percent) and self.effective_at is not None

    @property
    def medians(self) -> dict[tuple[GateSource, str], StartMedian]:
        """What gates and guards read before the first exposure."""
        own = {(GateSource.ROLLOUT, median.gate): median for median in self.baselines}
        return own | {(GateSource.POLICY, median.gate): median for median in self.guard_baselines}

    @property
    def override(self) -> int | None:
        """The percent that a manual override turned the exposure down to, as seen last; None where there is none."""
        if not self.is_exposed or self.percent is None or self.percent >= (self.step_percent or 0):
            return None
        return self.percent
