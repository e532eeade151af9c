"""Everything that one decision may use, read together and frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.rollout_policy import RolloutPolicySpec
from tidegate.api.rollout_status import FeatureRolloutStatus, GateStatus, State
from tidegate.domain.answers import Answer, Failure, GateAnswer, GateId
from tidegate.domain.exposure import Lever, Reading
from tidegate.domain.problems import Problem


@dataclass(frozen=True, slots=True)
class Rollout:
    """A FeatureRollout as it was read. `spec` is None where it doesn't parse; `problem` says why it can't be followed. `managed`:
    metadata.managedFields."""

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
    created: str = ""
    managed: tuple[Mapping[str, Any], ...] = ()

    @property
    def full_name(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def owns(self) -> bool:
        """Whether the target is this rollout's, by its status: whatever stands there without our mark is a change of what is ours."""
        status = self.status
        return status.attempt > 0 and (status.step_percent is not None or status.state is State.ROLLBACK)

    @property
    def pinned_policy(self) -> str | None:
        """The policy that holds until the attempt ends, whatever the spec names: from the first exposure on."""
        status = self.status
        return status.policy.name if status.policy is not None and status.exposed_at is not None else None

    @property
    def needs_runs(self) -> bool:
        """Whether what the runs know has to be read: a revision is about to begin, or records may have been appended unnoticed."""
        if self.status.pending is not None:
            return True
        return self.status.attempt == 0 or (self.spec is not None and (self.spec.revision or "") != (self.status.revision or ""))

    def reads_as(self, other: "Rollout") -> bool:
        """Whether what was decided on the one holds of the other: nothing differs but what no decision looks at, such as annotations. The
        generation stands for the spec."""
        mine, theirs = ((one.uid, one.generation, one.deleting, one.finalizers) for one in (self, other))
        return mine == theirs and self.status.to_wire() == other.status.to_wire()

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
class RunView:
    """A RolloutRun. `target` is the identity of what was moved; `created` orders the runs of one target, whoever moved it. `version` is the
    resourceVersion that it was read in."""

    name: str
    rollout: str
    attempt: int
    revision: str | None
    rejected: bool
    seq: int = 0
    part: int = 1
    target: str | None = None
    created: datetime | None = None
    version: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The input of `decide`. `evidence` holds gate statuses that could not be written, so that a refused status write forgets no breach.

    `medians`: what gates that are relative to the start measured over the time before it, where that is not in status yet.
    `newest_run` is that of a rollout of this name, from which numbers go on; `rejected` are the revisions of this target that the runs
    know as rolled back, and `begun` is when its attempts began, where one is about to begin. Not `runs_known`: they could not be read, so
    that nothing begins.
    `unknown_metrics`: which of the gates' metrics had no series for a week, asked before the first exposure. `lever` and `reading`: what
    moves the target, and how it stands; no lever where there is no valid spec.
    """

    rollout: Rollout
    policy: Policy | Problem
    reading: Reading | Problem
    lever: Lever | None = None
    namespace_terminating: bool = False
    answers: Mapping[GateId, GateAnswer] = field(default_factory=dict)
    evidence: tuple[GateStatus, ...] = ()
    newest_run: RunView | None = None
    rejected: tuple[str, ...] = ()
    begun: tuple[datetime, ...] = ()
    runs_known: bool = True
    medians: Mapping[GateId, Answer | Failure] = field(default_factory=dict)
    unknown_metrics: tuple[str, ...] | Failure = ()
