"""Flag sets that take no writes: status says so once, and the rollback stands, and follows when it can, whatever the readings are then."""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.e2e.support.api import Json, RefusedError, eventually
from tests.e2e.support.exposure import DOCUMENT
from tests.e2e.support.witness import Witness
from tests.e2e.support.world import FLAG_SET, World

HELD = {"percents": [25, 100], "dwell": "1h"}
EPOCH = "tidegate.io/epoch"


async def exposed(world: World) -> None:
    """A rollout that holds its first step, with a gate that is about to fail."""
    await world.set("errors", 0)
    await world.queryable("errors", 0)
    await world.policy()
    await world.rollout(canary=HELD, gates=[world.gate("errors", advance={"lt": 0.1}, rollback={"gt": 0.5})])
    await world.until(percent=25, pending=None)


@contextlib.asynccontextmanager
async def immutable(world: World) -> AsyncIterator[str]:
    """Until the ConfigMap is deleted: an immutable one stays so."""
    await world.api.patch("configmaps", world.namespace, FLAG_SET, {"immutable": True})
    try:
        yield "field is immutable when `immutable` is set"
    finally:
        await world.api.delete("configmaps", world.namespace, FLAG_SET)


@contextlib.asynccontextmanager
async def denied(world: World) -> AsyncIterator[str]:
    """By an admission policy of somebody else's."""
    name, version = world.namespace, "admissionregistration.k8s.io/v1"
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE", "UPDATE"]}]
    where = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}, "resourceRules": rules}
    policy: Json = {"failurePolicy": "Fail", "matchConstraints": where}
    policy |= {"validations": [{"expression": f"request.name != '{FLAG_SET}'", "message": "no changes on Fridays"}]}
    binding = {"policyName": name, "validationActions": ["Deny"]}
    await world.api.create(
        "validatingadmissionpolicies",
        {"apiVersion": version, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name}, "spec": policy},
    )
    await world.api.create(
        "validatingadmissionpolicybindings",
        {"apiVersion": version, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name}, "spec": binding},
    )
    try:
        await eventually("writes to the flag set are denied", lambda: is_denied(world), 30)
        yield "no changes on Fridays"
    finally:
        await world.api.delete("validatingadmissionpolicybindings", "", name)
        await world.api.delete("validatingadmissionpolicies", "", name)


async def is_denied(world: World) -> bool:
    path = f"api/v1/namespaces/{world.namespace}/configmaps/{FLAG_SET}?dryRun=All"
    try:
        await world.api.request("PATCH", path, {"metadata": {"annotations": {"tried": "yes"}}}, "application/merge-patch+json")
    except RefusedError as error:
        return "no changes on Fridays" in error.message
    return False


async def shown(world: World, state: str) -> float | None:
    """What Prometheus has scraped of the operator's own word."""
    return await world.instant(f'tidegate_rollout_state{{exported_namespace="{world.namespace}",name="feature",state="{state}"}}')


@pytest.mark.parametrize("obstacle", [immutable, denied])
async def test_a_rollback_that_is_refused_is_told_and_made_when_it_can_be(world: World, obstacle: Any) -> None:
    await exposed(world)
    async with obstacle(world) as sentence:
        await world.set("errors", 1)
        stalled = await world.condition("feature", "Stalled", "FlagNotWritable")
        assert sentence in stalled["message"], stalled["message"]
        assert (await world.condition("feature", "Ready", "FlagNotWritable"))["status"] == "False"
        await world.until(state="ROLLBACK", phase="RollingBack", percent=25, pending=None)
        assert await world.exposure() not in (None, 0), "it is still on"
        told = await world.api.get("featurerollouts", world.namespace, "feature")
        await (await Witness.begin(world)).climbed()  # some seconds, in which it was tried again and again
        assert (await shown(world, "ROLLING_OUT"), await shown(world, "ROLLBACK")) == (None, 1)
        again = await world.api.get("featurerollouts", world.namespace, "feature")
        assert again["metadata"]["resourceVersion"] == told["metadata"]["resourceVersion"], "told once"
        await world.set("errors", 0)  # what fell stays fallen
        await world.queryable("errors", 0)
    await world.until(state="ROLLBACK", phase="RolledBack", percent=0)
    assert await world.exposure() == 0
    await world.condition("feature", "Stalled", "RolledBack")


@pytest.mark.parametrize("epoch", ["9" * 17, "9" * 18, "9" * 19, "9" * 5000], ids=lambda epoch: f"{len(epoch)}-digits")
async def test_no_epoch_that_people_write_keeps_a_rollback_back(world: World, epoch: str) -> None:
    await exposed(world)
    await world.api.patch("configmaps", world.namespace, FLAG_SET, {"metadata": {"annotations": {EPOCH: epoch}}})
    await world.set("errors", 1)
    await world.until(state="ROLLBACK", phase="RolledBack", percent=0)
    assert await world.exposure() == 0


async def test_a_document_that_people_filled_takes_a_rollback_and_no_new_flag(world: World) -> None:
    await exposed(world)
    document = json.loads((await world.api.get("configmaps", world.namespace, FLAG_SET))["data"][DOCUMENT])
    document["metadata"] = {"notes": "x" * 1_010_000}
    await world.api.patch("configmaps", world.namespace, FLAG_SET, {"data": {DOCUMENT: json.dumps(document)}})
    await world.rollout("other", canary=HELD)
    stalled = await world.condition("other", "Stalled", "FlagNotWritable")
    assert "divide it among several ConfigMaps" in stalled["message"]
    await world.set("errors", 1)
    await world.until(state="ROLLBACK", phase="RolledBack", percent=0)
    assert await world.exposure() == 0
