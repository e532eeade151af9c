"""A RolloutPolicy as its own reconcile observes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tidegate.api.rollout_policy import RolloutPolicyStatus
from tidegate.domain.answers import Answer, Failure
from tidegate.domain.problems import Problem
from tidegate.domain.snapshot import Policy


@dataclass(frozen=True, slots=True)
class PolicyView:
    """`policy` is a Problem where the spec can't be used; `source` is a Failure where its Prometheus doesn't answer, None where it does.
    `medians`: what the baselines that are due read now."""

    name: str
    uid: str
    generation: int
    resource_version: str
    policy: Policy | Problem
    source: Failure | Problem | None
    status: RolloutPolicyStatus
    medians: Mapping[str, Answer | Failure] = field(default_factory=dict)
