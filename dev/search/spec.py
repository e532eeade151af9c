"""What a person may have written: choices, and the objects that the operator makes of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from typing import Any

from tests.builders import policy, raw_spec

from search.scopes import INTERVAL, STALENESS, Scope
from tidegate.api.conditions import Reason
from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.gates import Gate, RollbackRule
from tidegate.api.targets import FlagTarget
from tidegate.domain.problems import Problem
from tidegate.domain.snapshot import Policy
from tidegate.observe.parsing import parse_rollout

REVISIONS = ("v1", "v2")
MISSING = Problem(Reason.POLICY_MISSING, "RolloutPolicy production does not exist")


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of a scope's choices spec makes; `steps` and `gates` are places in its lists."""

    steps: int = 0
    gates: int = 0
    paused: bool = False
    enabled: bool = True
    revision: str = "v1"
    retry: int = 0


@dataclass(frozen=True, slots=True)
class Written:
    """A spec as the operator reads it. `wire` is what status keeps of it while it is the last one that can be followed."""

    spec: FeatureRolloutSpec
    problem: Problem | None
    wire: dict[str, Any]


class Library:
    """Everything that depends on the scope and on what is chosen, made once."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.policy: Policy = policy(*scope.guards, interval=f"{INTERVAL}s", staleness=f"{STALENESS}s")
        self.written = lru_cache(maxsize=None)(self._written)
        self._choices: dict[str, Choice] = {}
        self._by_identity: dict[int, Choice] = {}
        retries = (0, 1) if "retry" in scope.events else (0,)
        switches = (False, True), (False, True), REVISIONS, retries
        for choice in product(range(len(scope.steps)), range(len(scope.gates)), *switches):
            self.written(Choice(*choice))
        target = self.written(Choice()).spec.target
        assert target.flag is not None
        self.target: FlagTarget = target.flag

    @cached_property
    def gates(self) -> Mapping[str, Gate]:
        """Every gate and guard by its name."""
        return {gate.name: gate for gate in (*(one.written_out for one in self.written(Choice()).spec.gates), *self.policy.spec.guards)}

    @cached_property
    def lasting(self) -> Mapping[str, RollbackRule]:
        """The rollback rules that one sample can't fulfil, by the name of their gate."""
        rules = {name: gate.rollback for name, gate in self.gates.items()}
        return {name: rule for name, rule in rules.items() if rule is not None and (rule.for_ is not None or rule.confirm != 1)}

    def choice_of(self, wire: dict[str, Any]) -> Choice:
        """Which choice a spec in status is."""
        known = self._by_identity.get(id(wire))
        return known if known is not None else self._choices[json.dumps(wire, sort_keys=True)]

    def _written(self, choice: Choice) -> Written:
        scope = self.scope
        raw = raw_spec(
            scope.steps[choice.steps],
            f"{scope.dwell}s",
            gates=[dict(gate) for gate in scope.gates[choice.gates]],
            bake=f"{scope.bake}s",
            paused=choice.paused,
            enabled=choice.enabled,
            revision=choice.revision,
            retry=choice.retry,
            flag={"allow": ["alice"]} | ({} if scope.lease is None else {"leaseSeconds": scope.lease}),
            **scope.spec,
        )
        metadata = {"namespace": "shop", "name": "search", "uid": "u1", "generation": 1, "resourceVersion": "1"}
        rollout = parse_rollout({"metadata": metadata, "spec": raw})
        assert rollout.spec is not None
        wire = rollout.spec.to_wire()
        self._choices[json.dumps(wire, sort_keys=True)] = self._by_identity[id(wire)] = choice
        return Written(rollout.spec, rollout.problem, wire)
