"""A flag set → its FeatureFlag (core.openfeature.dev): only our own flags, each owned field by field by server-side apply."""

from collections.abc import Iterator, Mapping
from typing import Any

from tidegate.domain.mirror import MirrorPlan, MirrorView
from tidegate.levers.flag import read_marker, same_effect
from tidegate.levers.flag_set import EPOCH_ANNOTATION, FlagSet
from tidegate.levers.managed_fields import FIELD_MANAGER, manager_of, owners_of

API_VERSION = "core.openfeature.dev/v1beta1"
KIND = "FeatureFlag"
_PATH = ("spec", "flagSpec", "flags")
_MEMBERS = ("state", "variants", "defaultVariant", "targeting", "metadata")
"""What a FeatureFlag knows of a flag."""


def own_flags(flag_set: FlagSet) -> dict[str, Mapping[str, Any]]:
    """The flags that carry our marker. Hand-written ones stay where their author wrote them."""
    flags = {key: flag for key, flag in flag_set.flags.items() if isinstance(flag, Mapping) and read_marker(flag) is not None}
    return {key: {member: flag[member] for member in _MEMBERS if member in flag} for key, flag in flags.items()}


def left_alone(feature_flag: Mapping[str, Any] | None, flags: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Flags that the copy has of ours, and the flag set has not."""
    if feature_flag is None:
        return {}
    live = _live(feature_flag)
    return {key: live[key] for key in _mine(feature_flag) - flags.keys() if isinstance(live.get(key), Mapping)}


def plan(view: MirrorView) -> MirrorPlan:
    """What makes the copy equal. A flag that another manager wrote first is theirs: it is left out, and never forced. One that we wrote
    first is put right."""
    feature_flag = view.feature_flag
    if feature_flag is None:
        return MirrorPlan(_body(view, view.flags) if view.flags else None)
    live, mine = _live(feature_flag), _mine(feature_flag)
    refused = {key: _owners(feature_flag, key) for key in view.flags if key in live and key not in mine}
    wanted = {key: flag for key, flag in view.flags.items() if key not in refused}
    wanted |= {key: flag for key, flag in left_alone(feature_flag, view.flags).items() if key in view.kept}
    annotations = feature_flag["metadata"].get("annotations") or {}
    is_current = annotations.get(EPOCH_ANNOTATION) == str(view.epoch)
    if (mine or wanted) and not (is_current and mine == wanted.keys() and not unequal(feature_flag, wanted)):
        return MirrorPlan(_body(view, wanted, feature_flag["metadata"]["resourceVersion"]), force=bool(mine), refused=refused)
    return MirrorPlan(None, refused=refused)


def unequal(feature_flag: Mapping[str, Any], wanted: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Flags that clients of the copy would see otherwise, by who else owns parts of them. Metadata may be missing: older versions of the
    kind have no place for it."""
    live = _live(feature_flag)
    return {key: _owners(feature_flag, key) for key, flag in wanted.items() if not _is_equal(live.get(key), flag)}


def applied_flags(body: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """The flags that such a body sets."""
    flags: Mapping[str, Mapping[str, Any]] = body["spec"]["flagSpec"]["flags"]
    return flags


def _is_equal(live: Any, wanted: Mapping[str, Any]) -> bool:
    if not isinstance(live, Mapping) or not same_effect(_effect(live), _effect(wanted)):
        return False
    return not live.get("metadata") or live["metadata"] == wanted.get("metadata")


def _effect(flag: Mapping[str, Any]) -> dict[str, Any]:
    """Where a rule was taken out, server-side apply may leave its empty place, which means the same."""
    return {key: value for key, value in flag.items() if key != "metadata" and not (key == "targeting" and not value)}


def _body(view: MirrorView, flags: Mapping[str, Any], version: str | None = None) -> dict[str, Any]:
    metadata = {"name": view.name, "namespace": view.namespace, "annotations": {EPOCH_ANNOTATION: str(view.epoch)}}
    if version is not None:
        metadata["resourceVersion"] = version
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": {"flagSpec": {"flags": dict(flags)}}}


def _live(feature_flag: Mapping[str, Any]) -> Mapping[str, Any]:
    node: Any = feature_flag
    for part in _PATH:
        node = node.get(part) if isinstance(node, Mapping) else None
    return node if isinstance(node, Mapping) else {}


def _mine(feature_flag: Mapping[str, Any]) -> frozenset[str]:
    """Flags of which we applied at least a part: they were ours first."""
    return frozenset(key for entry in _entries(feature_flag) if _is_ours(entry) for key in _keys(entry))


def _owners(feature_flag: Mapping[str, Any], key: str) -> str:
    others = {manager_of(entry).manager for entry in owners_of(feature_flag["metadata"], *_PATH, key) if not _is_ours(entry)}
    return ", ".join(sorted(others))[:256] or "unknown"


def _entries(feature_flag: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from owners_of(feature_flag["metadata"], *_PATH)


def _is_ours(entry: Mapping[str, Any]) -> bool:
    """What was applied and what was written otherwise are two ownerships, also under one name."""
    return entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply"


def _keys(entry: Mapping[str, Any]) -> Iterator[str]:
    node: Any = entry["fieldsV1"]
    for part in _PATH:
        node = node[f"f:{part}"]
    yield from (name.removeprefix("f:") for name in node if name.startswith("f:"))
