"""Everything that one decision may look at, read together and frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tidegate.api.conditions import Reason
from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.rollout_policy import RolloutPolicySpec
from tidegate.api.rollout_status import FeatureRolloutStatus, GateStatus, State
from tidegate.domain.drift import Provenance
from tidegate.domain.readings import Answer, Failure, GateAnswer, GateId


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that stands in the way, as a condition will tell it."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Rollout:
    """A FeatureRollout as it was read. `spec` is None where it doesn't parse; `problem` says why it can't be followed."""

    namespace: str
    name: str
    uid: str
    generation: int
    resource_version: str
    deleting: bool
    finalizers: tuple[str, ...]
    spec: FeatureRolloutSpec | None
    problem: Problem | None
    status: FeatureRolloutStatus
    last_valid_spec: FeatureRolloutSpec | None = None

    @property
    def full_name(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def had_flag(self) -> bool:
        """Whether the flag is this rollout's: what stands in its place without our marker is somebody's work on it, not theirs."""
        status = self.status
        return status.attempt > 0 and (status.percent is not None or status.state is State.ROLLBACK)

    def followed_spec(self) -> FeatureRolloutSpec | None:
        """The spec whose rules are armed: the written one, or the last valid one while the written one can't be followed.
        `enabled` and `paused` are taken from the written one wherever it parses: switching off must not wait for a correct gate."""
        if self.problem is None:
            return self.spec
        if self.last_valid_spec is None or self.spec is None:
            return self.last_valid_spec
        return self.last_valid_spec.model_copy(update={"enabled": self.spec.enabled, "paused": self.spec.paused})


@dataclass(frozen=True, slots=True)
class Policy:
    """A RolloutPolicy that this rollout may use. `baselines` are those that were measured, by name."""

    name: str
    uid: str
    generation: int
    spec: RolloutPolicySpec
    baselines: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Marker:
    """What Tidegate wrote beside a flag: whose it is and what was decided. `epoch` grows with every write to the flag set.

    `lapsed` stands beside the 0 % that a flag is written with once its lease ran out: the percent that was in force before.
    """

    rollout: str
    uid: str
    state: State
    attempt: int
    epoch: int
    revision: str | None = None
    rejected: str | None = None
    cause: str | None = None
    written_at: datetime | None = None
    lapsed: int | None = None


@dataclass(frozen=True, slots=True)
class FlagReading:
    """The flag as it stands in the flag set now. `percent` is None where the document has no such flag.

    `rewritten` says why the exposure of a flag that is ours can't be read; its `percent` is 100 then. `lease` is when the flag turns
    itself off (Unix seconds), None where it doesn't; `percent` is what it shows until then. `written` is the percent that stands beside
    the marker: what Tidegate wrote last.
    """

    percent: int | None
    definition: Mapping[str, Any] | None
    marker: Marker | None
    rewritten: str | None = None
    lease: int | None = None
    written: int | None = None
    provenance: Provenance = field(default_factory=Provenance)


@dataclass(frozen=True, slots=True)
class RunView:
    """A RolloutRun. `target` is the (ConfigMap, key) of the flag that it was about, None where an older version wrote it."""

    name: str
    attempt: int
    revision: str | None
    rejected: bool
    seq: int = 0
    part: int = 1
    target: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The input of `decide`. `evidence` holds gate statuses that could not be written, so that a refused status write forgets no breach.

    `medians`: what gates that are relative to the start read over the time before it, where that is not in status yet.
    `newest_run` is that of a rollout of this name, from which numbers go on; `newest_of_flag` that of the same flag, whose verdict counts.
    `unknown_metrics`: which of the gates' metrics had no series for a week, asked before the first exposure.
    """

    rollout: Rollout
    policy: Policy | Problem
    flag: FlagReading | Problem
    namespace_terminating: bool = False
    answers: Mapping[GateId, GateAnswer] = field(default_factory=dict)
    evidence: tuple[GateStatus, ...] = ()
    newest_run: RunView | None = None
    newest_of_flag: RunView | None = None
    medians: Mapping[str, Answer | Failure] = field(default_factory=dict)
    unknown_metrics: tuple[str, ...] | Failure = ()
