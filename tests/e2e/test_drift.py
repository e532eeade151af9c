"""Other programs write the flag set of a rollout: what is ours is corrected and recorded with its field manager, the rest is left alone."""

import asyncio
import json
from typing import Any

import pytest

from tests.e2e.support.api import Json, eventually
from tests.e2e.support.exposure import DOCUMENT, nearest_percent
from tests.e2e.support.installation import Cluster
from tests.e2e.support.records import transitions
from tests.e2e.support.world import FLAG_SET, World

HELD = {"percents": [25, 100], "dwell": "1h"}
THEIRS: Json = {"state": "ENABLED", "variants": {"a": 1}, "defaultVariant": "a"}
LABEL, EPOCH = "tidegate.io/flag-set", "tidegate.io/epoch"


async def held(world: World) -> None:
    """The rollout stands at 25 %, and has nothing left to write."""
    await world.policy()
    await world.rollout(canary=HELD)
    await world.until(percent=25, phase="Progressing", pending=None, raising=None)


async def config_map(world: World) -> Json:
    return await world.api.get("configmaps", world.namespace, FLAG_SET)


async def document(world: World) -> Json:
    found: Json = json.loads((await config_map(world))["data"][DOCUMENT])
    return found


async def patch(cluster: Cluster, world: World, manager: str, body: Json) -> None:
    """kubectl patch, as a person or a script does it."""
    how = ("--type=merge", f"--field-manager={manager}", "-p", json.dumps(body))
    await asyncio.to_thread(cluster.run, cluster.kubectl, "patch", "configmap", FLAG_SET, "-n", world.namespace, *how)


async def apply(cluster: Cluster, world: World, manager: str, flags: Json) -> None:
    """Server-side apply of the whole document, as a GitOps tool does it."""
    data = {DOCUMENT: json.dumps({"flags": flags})}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": FLAG_SET, "namespace": world.namespace}, "data": data}
    arguments = ("apply", "--server-side", "--force-conflicts", f"--field-manager={manager}", "-f", "-")
    await asyncio.to_thread(cluster.run, cluster.kubectl, *arguments, text=json.dumps(body))


async def edited(world: World, **changes: Any) -> Json:
    """A patch that changes members of the flag and nothing else."""
    content = await document(world)
    flags = content["flags"] | {"feature": content["flags"]["feature"] | changes}
    return {"data": {DOCUMENT: json.dumps(content | {"flags": flags})}}


async def drifts(world: World, number: int) -> list[Json]:
    """The records of what was corrected, once there are so many."""

    async def check() -> list[Json] | None:
        found = [record for record in await world.records() if record["transition"] == "Drifted"]
        return found if len(found) >= number else None

    found: list[Json] = await eventually(f"{number} records of drift", check)
    assert len(found) == number
    return found


async def is_back(world: World) -> None:
    async def check() -> bool:
        return nearest_percent(await world.exposure()) == 25

    await eventually("25 % are exposed again", check)


async def test_a_patch_under_another_name_is_corrected_and_recorded(world: World, cluster: Cluster) -> None:
    await held(world)
    saw = await world.audience()
    await patch(cluster, world, "night-shift", await edited(world, defaultVariant="on", targeting={}))
    (record,) = await drifts(world, 1)
    assert record["actor"] == "night-shift"
    assert record["message"].startswith("changed by night-shift at 2")
    assert "percent 25 → 100, defaultVariant off → on, targeting" in record["message"]
    await is_back(world)
    assert await world.audience() == saw
    assert (await world.status())["drift"]["manager"] == "night-shift"

    async def announced() -> Json | None:
        events = await world.api.list("events", world.namespace)
        return next((event for event in events if event["reason"] == "Drifted"), None)

    event = await eventually("an Event tells of it", announced)
    assert (event["type"], event["regarding"]["name"]) == ("Warning", "feature")
    assert event["note"] == record["message"]

    async def counted() -> bool:
        return (await world.instant(f'tidegate_rollout_drifts_total{{exported_namespace="{world.namespace}",name="feature"}}')) == 1

    await eventually("the metric counts it", counted)


async def test_a_document_that_is_applied_without_the_flag_gets_it_back_and_keeps_what_it_has(world: World, cluster: Cluster) -> None:
    await held(world)
    await apply(cluster, world, "argocd-controller", {"theirs": THEIRS})
    (record,) = await drifts(world, 1)
    assert record["actor"] == "argocd-controller"
    assert "flag feature removed" in record["message"]
    await is_back(world)
    assert (await document(world))["flags"]["theirs"] == THEIRS
    await apply(cluster, world, "argocd-controller", {"theirs": THEIRS, "feature": THEIRS})

    async def counted() -> Json | None:
        status = await world.status()
        return status if status["drift"]["total"] == 2 else None

    status = await eventually("the second change is counted; within a minute it has no record of its own", counted)
    assert "mark removed" in status["drift"]["difference"]
    assert status["drift"]["unrecorded"] == 1
    await is_back(world)
    assert status["phase"] == "Progressing"


@pytest.mark.parametrize(
    ("patch_of_metadata", "words"),
    [({"labels": {LABEL: None}}, "label removed"), ({"annotations": {EPOCH: "1"}}, "epoch"), ({"annotations": {EPOCH: None}}, "epoch")],
)
async def test_our_label_and_epoch_come_back(world: World, cluster: Cluster, patch_of_metadata: Json, words: str) -> None:
    await held(world)
    before = int((await config_map(world))["metadata"]["annotations"][EPOCH])
    await patch(cluster, world, "night-shift", {"metadata": patch_of_metadata})
    (record,) = await drifts(world, 1)
    assert words in record["message"]
    metadata = (await config_map(world))["metadata"]
    assert metadata["labels"][LABEL] == "true"
    assert int(metadata["annotations"][EPOCH]) > before


async def test_what_others_own_is_left_alone(world: World, cluster: Cluster) -> None:
    await held(world)
    content = await document(world)
    with_theirs = content | {"flags": {"theirs": THEIRS, **content["flags"]}}
    await patch(cluster, world, "night-shift", {"data": {DOCUMENT: json.dumps(with_theirs, indent=2), "other.txt": "x"}})
    await patch(cluster, world, "night-shift", {"metadata": {"labels": {"team": "shop"}, "annotations": {"note": "mine"}}})
    version = (await config_map(world))["metadata"]["resourceVersion"]
    await world.rollout("second", canary={"percents": [100], "dwell": "1s"}, flag_fields={"configMap": "other-flags"})
    await world.until("second", phase="Succeeded")  # time was given
    assert (await config_map(world))["metadata"]["resourceVersion"] == version
    assert "Drifted" not in transitions(await world.records())
    assert "drift" not in await world.status()


async def test_turned_down_by_another_program_stays_down_and_names_it(world: World, cluster: Cluster) -> None:
    await held(world)
    await patch(cluster, world, "night-shift", await edited(world, targeting={}))
    await world.condition("feature", "Stalled", "LoweredElsewhere")
    await world.until(pending=None)
    assert await world.exposure() == 0
    told = [record for record in await world.records() if record["transition"] == "LoweredElsewhere"]
    assert [record["actor"] for record in told] == ["night-shift"]
    assert "Drifted" not in transitions(await world.records())


async def test_a_program_that_fights_back_is_named_and_does_not_keep_a_rollback_from_coming(world: World, cluster: Cluster) -> None:
    await world.set("errors", 0)
    await world.queryable("errors", 0)
    await world.policy()
    gate = world.gate("errors", advance={"lt": 0.1}, rollback={"gt": 0.5})
    await world.rollout(canary=HELD, gates=[gate])
    await world.until(percent=25, phase="Progressing", pending=None, raising=None)
    over = asyncio.Event()

    async def fight() -> None:
        """Until it is over, the flag is on for everybody whenever somebody looks."""
        while not over.is_set():
            if (await document(world))["flags"]["feature"]["defaultVariant"] != "on":
                body = await edited(world, defaultVariant="on", targeting={})
                path = f"api/v1/namespaces/{world.namespace}/configmaps/{FLAG_SET}?fieldManager=other-operator"
                await world.api.request("PATCH", path, body, "application/merge-patch+json")
            await asyncio.sleep(0.2)

    fighting = asyncio.create_task(fight())
    try:
        stalled = await world.condition("feature", "Stalled", "Contested", 120)
        assert "other-operator keeps changing flag feature" in stalled["message"]
        records = [record for record in await world.records() if record["transition"] == "Drifted"]
        assert {record["actor"] for record in records} == {"other-operator"}
        assert len(records) <= 3
        await world.set("errors", 1)
        await world.until(state="ROLLBACK", seconds=30)
    finally:
        over.set()
        await fighting

    async def off() -> bool:
        return await world.exposure() == 0

    await eventually("its last word is corrected too", off, 10)
    await world.until(phase="RolledBack", percent=0)
