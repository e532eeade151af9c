"""What the real API server, and the chart's policy on epochs, refuse of a ConfigMap, in their words."""

import re
from pathlib import Path
from typing import Any

_POLICY = Path(__file__).parents[2] / "helm/tidegate/templates/_epoch.tpl"
_EPOCH = "tidegate.io/epoch"
_LARGEST = 1024 * 1024


def problem(before: dict[str, Any] | None, after: dict[str, Any]) -> str | None:
    """Why a ConfigMap is not stored; None where it is."""
    name, data = after["metadata"]["name"], after.get("data") or {}
    invalid = f'ConfigMap "{name}" is invalid: '
    if before is not None and before.get("immutable") and data != before.get("data"):
        return invalid + "data: Forbidden: field is immutable when `immutable` is set"
    if sum(len(value.encode()) for value in data.values()) > _LARGEST:
        return invalid + f"[]: Too long: may not be more than {_LARGEST} bytes"
    return None


def stale(before: dict[str, Any] | None, after: dict[str, Any]) -> str | None:
    """Why the policy on epochs denies a write of the operator; None where it doesn't."""
    stored, offered = _epoch(before), _epoch(after)
    why = None
    if not _is_number("offered", offered):
        why = f'annotation {_EPOCH} is "{offered}", it must be a whole number of at most 18 digits'
    elif _is_number("stored", stored) and int(offered) <= int(stored):
        why = f"stale writer: epoch {offered}, stored {stored}"
    name = after["metadata"]["name"]
    return why and f"configmaps \"{name}\" is forbidden: ValidatingAdmissionPolicy 'epoch' with binding 'epoch' denied request: {why}"


def _epoch(config_map: dict[str, Any] | None) -> str:
    return str((((config_map or {}).get("metadata") or {}).get("annotations") or {}).get(_EPOCH, ""))


def _is_number(which: str, epoch: str) -> bool:
    """By the expression that the chart ships."""
    found = re.search(rf"variables\.{which}\.matches\('(.*)'\)", _POLICY.read_text())
    assert found is not None
    return re.search(found[1], epoch) is not None
