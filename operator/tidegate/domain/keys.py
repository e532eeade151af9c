"""What the queue holds: the name of something to look at, never what happened to it."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The kinds that have a reconcile key of their own."""

    FEATURE_ROLLOUT = "FeatureRollout"
    ROLLOUT_POLICY = "RolloutPolicy"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """One object to look at. `namespace` is "" for cluster-scoped kinds."""

    kind: Kind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}" if self.namespace else f"{self.kind}/{self.name}"
