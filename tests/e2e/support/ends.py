"""All that is left of a rollout in the end, without times and names: two that went the same way end alike."""

import json
from typing import Any

from tests.e2e.support.audit import audited
from tests.e2e.support.exposure import DOCUMENT
from tests.e2e.support.world import World

_STATUS = ("state", "phase", "percent", "stepPercent", "step", "attempt", "seq", "rejectedRevision", "raising", "pending")


async def end_of(world: World, name: str, flag_set: str, flag: str) -> dict[str, Any]:
    """The end of a rollout with one attempt, whose records are verified on the way."""
    rollout = await world.api.get("featurerollouts", world.namespace, name)
    config_map = await world.api.get("configmaps", world.namespace, flag_set)
    definition = json.loads(config_map["data"][DOCUMENT])["flags"][flag]
    status = rollout["status"]
    return {
        "status": {key: status.get(key) for key in _STATUS},
        "conditions": sorted((one["type"], one["status"], one["reason"]) for one in status["conditions"]),
        "finalizers": rollout["metadata"].get("finalizers", []),
        "flag": {key: definition[key] for key in definition if key != "metadata"},
        "mark": {key: definition["metadata"].get(key) for key in ("state", "percent", "attempt", "rejected")},
        "story": await audited(world, name),
    }


def differences(end: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """Where an end is not the expected one."""
    return [f"{key}: {end[key]}, expected {expected[key]}" for key in expected if end[key] != expected[key]]
