"""Writes that somebody's admission policy refuses for a while."""

import asyncio
import time
from collections.abc import Sequence

from tests.e2e.support.api import Json, RefusedError, eventually

from faults.fault import Fault
from faults.lanes import FLAG, Lane
from faults.scene import PATIENCE, Scene

LABEL = "example.com/refuse"
"""On a namespace, with what is refused in it. So a refusal begins and ends with one small write, and not seconds after it."""
NAME = "refused-by-a-fault"
CONFIG_MAPS, RUNS, STATUS = "configmaps", "rolloutruns", "status"
_GOOD_WHEN_TRUE = ("Ready", "MetricsAvailable")
_REFUSED = f"request.resource.resource == 'featurerollouts' ? '{STATUS}' : request.resource.resource"


class Refused(Fault):
    """`what`: ConfigMaps, RolloutRuns, or the status of FeatureRollouts."""

    blinds = True

    def __init__(self, what: str) -> None:
        self._what = what

    async def prepare(self, scene: Scene) -> None:
        """A new admission policy is enforced some seconds after it was accepted: returns when it is."""
        if await scene.api.find("validatingadmissionpolicies", "", NAME):
            return
        rules = [
            {
                "apiGroups": ["", "tidegate.io"],
                "apiVersions": ["*"],
                "resources": ["configmaps", "rolloutruns", "rolloutruns/status", "featurerollouts/status"],
                "operations": ["CREATE", "UPDATE"],
            }
        ]
        where = {"namespaceSelector": {"matchExpressions": [{"key": LABEL, "operator": "Exists"}]}, "resourceRules": rules}
        refuses = {"expression": f"namespaceObject.metadata.labels['{LABEL}'] != ({_REFUSED})", "message": "not today"}
        spec = {"failurePolicy": "Fail", "matchConstraints": where, "validations": [refuses]}
        await scene.api.create("validatingadmissionpolicies", {"metadata": {"name": NAME}, "spec": spec})
        binding = {"policyName": NAME, "validationActions": ["Deny"]}
        await scene.api.create("validatingadmissionpolicybindings", {"metadata": {"name": NAME}, "spec": binding})
        await scene.api.create("namespaces", {"metadata": {"name": NAME, "labels": {LABEL: CONFIG_MAPS}}})
        await eventually("it is enforced", lambda: _is_enforced(scene), PATIENCE)

    async def begin(self, scene: Scene, lanes: Sequence[Lane]) -> None:
        await self._label(scene, lanes, self._what)

    async def end(self, scene: Scene, lanes: Sequence[Lane]) -> float:
        self._said = {
            f"{one['type']}={one['status']} {one['reason']}"
            for lane in lanes
            for one in (await lane.corner.status(FLAG)).get("conditions") or []
            if _tells_of_trouble(one)
        }
        await self._label(scene, lanes, None)
        return time.time()

    async def told(self, scene: Scene, lanes: Sequence[Lane], began: float) -> str:
        events = [one for lane in lanes for one in await scene.api.list("events", lane.corner.namespace)]
        reasons = {one["reason"] for one in events if one["type"] == "Warning"} - {"RolledBack"}
        return f"conditions: {', '.join(sorted(self._said)) or 'nothing'}; Events: {', '.join(sorted(reasons)) or 'none'}"

    async def _label(self, scene: Scene, lanes: Sequence[Lane], value: str | None) -> None:
        patch = {"metadata": {"labels": {LABEL: value}}}
        await asyncio.gather(*(scene.api.patch("namespaces", "", lane.corner.namespace, patch) for lane in lanes))


def _tells_of_trouble(condition: Json) -> bool:
    """Other than that of a rollout that was rolled back."""
    bad = "False" if condition["type"] in _GOOD_WHEN_TRUE else "True"
    return bool(condition["status"] == bad and condition["reason"] != "RolledBack" and condition["type"] != "Finished")


async def _is_enforced(scene: Scene) -> bool:
    try:
        await scene.api.create("configmaps", {"metadata": {"name": "probe", "namespace": NAME}}, dry_run=True)
    except RefusedError as error:
        return "not today" in error.message
    return False
