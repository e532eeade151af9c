"""A flag set's copy in a FeatureFlag, for those who run flagd."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class MirrorView:
    """A flag set and its FeatureFlag, read in the opposite order, so that the flags are never older than what stands in the copy.

    `flags` are ours, as the ConfigMap has them; `feature_flag` is None where there is none yet. `kept` are flags that stand in the copy
    alone while their rollouts live: somebody took them out of the ConfigMap, and they will be put back.
    """

    namespace: str
    name: str
    flags: Mapping[str, Mapping[str, Any]]
    epoch: int
    feature_flag: Mapping[str, Any] | None
    kept: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class MirrorPlan:
    """What to apply (None: the copy is equal), and which flags are left out, by what their own problem is."""

    body: Mapping[str, Any] | None
    force: bool = False
    refused: Mapping[str, str] = field(default_factory=dict)
