"""Other programs write the flag set of a rollout: what is ours is corrected and recorded with its field manager, the rest is left alone."""

import asyncio
import json
from typing import Any

import pytest

from tests.e2e.support.api import Json, eventually
from tests.e2e.support.exposure import DOCUMENT
from tests.e2e.support.flag_sets import EPOCH, FLAG_SET, LABEL
from tests.e2e.support.installation import Cluster
from tests.e2e.support.world import World

THEIRS: Json = {"state": "ENABLED", "variants": {"a": 1}, "defaultVariant": "a"}


async def apply(cluster: Cluster, world: World, manager: str, flags: Json) -> None:
    """Server-side apply of the whole document, as a GitOps tool does it."""
    data = {DOCUMENT: json.dumps({"flags": flags})}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": FLAG_SET, "namespace": world.namespace}, "data": data}
    arguments = ("apply", "--server-side", "--force-conflicts", f"--field-manager={manager}", "-f", "-")
    await asyncio.to_thread(cluster.run, cluster.kubectl, *arguments, text=json.dumps(body))


async def changed(world: World, **changes: Any) -> None:
    """Another program changes members of the flag and nothing else."""
    content = await world.document()
    content["flags"]["feature"] |= changes
    await world.rewrite(content, "night-shift")


async def drift(world: World) -> Json:
    """The record of what was corrected, once there is one."""

    async def check() -> list[Json]:
        return [record for record in await world.records() if record["transition"] == "Drifted"]

    (found,) = await eventually("a record of drift", check)
    return dict(found)


async def test_a_patch_under_another_name_is_corrected_and_recorded(world: World) -> None:
    await world.exposed()
    saw = await world.audience()
    await changed(world, defaultVariant="on", targeting={})
    record = await drift(world)
    assert record["actor"] == "night-shift"
    assert record["message"].startswith("changed by night-shift at 2")
    assert "percent 10 → 100, defaultVariant off → on, targeting" in record["message"]
    await world.exposes(10)
    assert await world.audience() == saw
    assert (await world.status())["drift"]["manager"] == "night-shift"
    (event,) = await world.events("Drifted")
    assert (event["type"], event["regarding"]["name"]) == ("Warning", "feature")
    assert event["note"] == record["message"]
    await world.answers(f'tidegate_rollout_drifts_total{{exported_namespace="{world.namespace}",name="feature"}}', 1)


async def test_a_document_that_is_applied_without_the_flag_gets_it_back_and_keeps_what_it_has(world: World, cluster: Cluster) -> None:
    await world.exposed()
    await apply(cluster, world, "argocd-controller", {"theirs": THEIRS})
    record = await drift(world)
    assert record["actor"] == "argocd-controller"
    assert "flag feature removed" in record["message"]
    await world.exposes(10)
    assert await world.flag("theirs") == THEIRS
    await apply(cluster, world, "argocd-controller", {"theirs": THEIRS, "feature": THEIRS})
    status = await world.when("counts the second change", lambda now: now["drift"]["total"] == 2)
    assert "mark removed" in status["drift"]["difference"]
    assert status["drift"]["unrecorded"] == 1, "within a minute it has no record of its own"
    await world.exposes(10)
    assert status["phase"] == "Progressing"


@pytest.mark.parametrize(
    ("patch_of_metadata", "words"),
    [({"labels": {LABEL: None}}, "label removed"), ({"annotations": {EPOCH: "1"}}, "epoch"), ({"annotations": {EPOCH: None}}, "epoch")],
)
async def test_our_label_and_epoch_come_back(world: World, patch_of_metadata: Json, words: str) -> None:
    await world.exposed()
    before = int((await world.flag_set())["metadata"]["annotations"][EPOCH])
    await world.change_flag_set({"metadata": patch_of_metadata})
    assert words in (await drift(world))["message"]
    metadata = (await world.flag_set())["metadata"]
    assert metadata["labels"][LABEL] == "true"
    assert int(metadata["annotations"][EPOCH]) > before


async def test_what_others_own_is_left_alone(world: World) -> None:
    await world.exposed()
    content = await world.document()
    with_theirs = content | {"flags": {"theirs": THEIRS, **content["flags"]}}
    await world.change_flag_set({"data": {DOCUMENT: json.dumps(with_theirs, indent=2), "other.txt": "x"}})
    await world.change_flag_set({"metadata": {"labels": {"team": "shop"}, "annotations": {"note": "mine"}}})
    version = (await world.flag_set())["metadata"]["resourceVersion"]
    await world.rollout("second", canary={"percents": [100], "dwell": "1s"}, flag_fields={"configMap": "other-flags"})
    await world.until("second", phase="Succeeded")  # time was given
    assert (await world.flag_set())["metadata"]["resourceVersion"] == version
    assert "Drifted" not in await world.transitions()
    assert "drift" not in await world.status()
