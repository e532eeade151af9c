"""What the queue holds, the name of something to reconcile, never what happened to it; and what such a thing refers to."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The kinds that have a reconcile key of their own."""

    FEATURE_ROLLOUT = "FeatureRollout"
    ROLLOUT_POLICY = "RolloutPolicy"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """One object to reconcile. `namespace` is "" for cluster-scoped kinds."""

    kind: Kind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}" if self.namespace else f"{self.kind}/{self.name}"


class RefKind(StrEnum):
    """Kinds that others refer to: a change of one wakes those."""

    FLAG_SET = "FlagSet"
    FLAG = "Flag"
    ROLLOUT_POLICY = "RolloutPolicy"


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """One object that a key refers to. The name "" stands for any: whoever waits for a default policy hears of all."""

    kind: RefKind
    namespace: str
    name: str
