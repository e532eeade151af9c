"""A RolloutPolicy as its own reconcile key sees it, and what should be said of it."""

from dataclasses import dataclass

from tidegate.api.rollout_policy import RolloutPolicyStatus
from tidegate.domain.readings import Failure
from tidegate.domain.snapshot import Policy, Problem


@dataclass(frozen=True, slots=True)
class PolicyView:
    """`policy` is a Problem where the spec can't be used; `source` is a Failure where its Prometheus doesn't answer, None where it does."""

    name: str
    uid: str
    generation: int
    resource_version: str
    policy: Policy | Problem
    source: Failure | Problem | None
    status: RolloutPolicyStatus
