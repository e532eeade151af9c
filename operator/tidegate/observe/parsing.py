"""JSON of the API server → the domain's nouns. What doesn't parse becomes a Problem that names the field."""

import logging
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from tidegate.api.conditions import Reason
from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.rollout_policy import RolloutPolicySpec, RolloutPolicyStatus
from tidegate.api.rollout_status import FeatureRolloutStatus
from tidegate.api.targets import Target
from tidegate.api.types import parse_time
from tidegate.domain.asks import query_fault
from tidegate.domain.baselines import baseline_fault, current_baselines
from tidegate.domain.problems import Problem
from tidegate.domain.snapshot import Policy, Rollout, RunView
from tidegate.levers.choosing import lever_for

_log = logging.getLogger(__name__)
_MOST = 2000
"""Parts and matchers of all queries of a rollout: about a hundred usual queries, or five of the largest. To take them apart costs up to a
tenth of a second, and `$window` makes it so at each tick."""
_SECRETIVE = frozenset({"url", "caBundle", "headers"})
_OUT_OF_PLACE = frozenset({"extra_forbidden", "model_type", "model_attributes_type", "dict_type"})
"""Faults in which a value stands where none of its kind belongs: nobody knows what it is."""


def parse_rollout(raw: Mapping[str, Any]) -> Rollout:
    """A FeatureRollout of any age: a status that an older or newer version wrote is read as far as it is understood."""
    metadata = raw["metadata"]
    spec, problem = _spec(raw.get("spec") or {})
    status = FeatureRolloutStatus.model_validate(raw.get("status") or {})
    return Rollout(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata["generation"],
        resource_version=metadata["resourceVersion"],
        deleting="deletionTimestamp" in metadata,
        finalizers=tuple(metadata.get("finalizers") or ()),
        spec=spec,
        problem=problem,
        status=status,
        last_valid_spec=None if problem is None or status.valid_spec is None else _spec(status.valid_spec)[0],
        created=str(metadata.get("creationTimestamp") or ""),
        managed=tuple(metadata.get("managedFields") or ()),
    )


def _spec(raw: Mapping[str, Any]) -> tuple[FeatureRolloutSpec | None, Problem | None]:
    try:
        spec = FeatureRolloutSpec.model_validate(raw)
        spec.strategy.ladder()
        lever_for(spec.target)
    except ValidationError as error:
        return None, Problem(Reason.INVALID_SPEC, explained(error, "spec"))
    except ValueError as error:
        return None, Problem(Reason.INVALID_SPEC, str(error))
    try:
        fault = query_fault(((gate.label, gate) for gate in spec.gates), "spec.gates", spec.revision or "", _MOST)
    except Exception as error:  # noqa: BLE001 - the safe reconcile is for what nobody foresaw
        _log.exception("a gate's query could not be read")
        return spec, Problem(Reason.INTERNAL_ERROR, f"spec.gates: unexpected {type(error).__name__}: see the operator's log")
    return spec, None if fault is None else Problem(Reason.INVALID_QUERY, fault)


def parse_policy(raw: Mapping[str, Any]) -> Policy | Problem:
    """A RolloutPolicy, or why it can't be used."""
    metadata = raw["metadata"]
    name = metadata["name"]
    try:
        spec = RolloutPolicySpec.model_validate(raw.get("spec") or {})
    except ValidationError as error:
        return Problem(Reason.POLICY_INVALID, f"RolloutPolicy {name}: {explained(error, 'spec')}")
    fault = (
        query_fault(((guard.name, guard) for guard in spec.guards), "spec.guards")
        or query_fault(((template.name, template) for template in spec.gate_templates), "spec.gateTemplates")
        or baseline_fault(spec.baselines)
    )
    if fault is not None:
        return Problem(Reason.POLICY_INVALID, f"RolloutPolicy {name}: {fault}")
    status = RolloutPolicyStatus.model_validate(raw.get("status") or {})
    frozen = {one.name: float(one.value) for one in current_baselines(spec, status)}
    return Policy(name, metadata["uid"], metadata["generation"], spec, frozen)


def parse_run(raw: Mapping[str, Any]) -> RunView:
    """The parts of a RolloutRun that a later attempt must know."""
    spec, status, metadata = raw["spec"], raw.get("status") or {}, raw["metadata"]
    created = metadata.get("creationTimestamp")
    return RunView(
        name=metadata["name"],
        rollout=spec["rollout"],
        attempt=spec["attempt"],
        revision=spec.get("revision"),
        rejected=bool(status.get("rejected")),
        seq=status.get("seq", 0),
        part=spec.get("part", 1),
        target=_identity(spec.get("target")),
        created=None if created is None else parse_time(created),
        version=metadata.get("resourceVersion", ""),
    )


def _identity(target: Any) -> str | None:
    """What a run moved; None where this version can't read it."""
    try:
        return lever_for(Target.model_validate(target)).identity
    except ValueError:
        return None


def explained(error: ValidationError, root: str) -> str:
    """The first fault of a validation, as `spec.strategy.canary.steps[0].percent: Input should be …, not 0`. What may hold a secret is not
    repeated."""
    first = error.errors(include_url=False, include_context=False)[0]
    path = root + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
    fault = f"{path}: {first['msg'].removeprefix('Value error, ')}"
    is_said = repr(first["input"]) in fault or first["type"] in _OUT_OF_PLACE or _SECRETIVE & {*map(str, first["loc"])}
    return (fault if is_said else f"{fault}, not {first['input']!r}")[:1024]
