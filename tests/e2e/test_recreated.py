"""A FeatureRollout that was rolled back, deleted and created again: the rejected revision stays rejected, another one starts."""

import json

import pytest

from tests.e2e.support.api import eventually
from tests.e2e.support.audit import chain_faults, story
from tests.e2e.support.exposure import DOCUMENT
from tests.e2e.support.world import FLAG_SET, World

GATE = {"advance": {"lt": 0.1}, "rollback": {"gt": 0.5, "confirm": 1}}


async def is_gone(world: World) -> bool:
    return await world.api.find("featurerollouts", world.namespace, "feature") is None


@pytest.mark.parametrize(
    ("flag_set", "revision"),
    [
        ("kept", "v7"),
        pytest.param("kept", None, marks=pytest.mark.proof),
        pytest.param("deleted too", "v7", marks=pytest.mark.proof),
        ("deleted too", None),
    ],
)
async def test_rolled_back_deleted_and_created_again(world: World, flag_set: str, revision: str | None) -> None:
    named = {"revision": revision} if revision else {}
    body = world.rollout_body(
        gates=[world.gate("errors", advance=GATE["advance"], rollback=GATE["rollback"])],
        canary={"percents": [50, 100], "dwell": "1h"},
        **named,
    )
    await world.policy()
    await world.set("errors", 0)
    await world.queryable("errors", 0)
    async with world.traced() as trace:
        await world.api.create("featurerollouts", body)
        await world.until(percent=50)
        await world.set("errors", 1)
        await world.until(phase="RolledBack", pending=None)
        await world.set("errors", 0)
        await world.queryable("errors", 0)
        await world.api.delete("featurerollouts", world.namespace, "feature")
        await eventually("the rollout is gone", lambda: is_gone(world), 30)
        if flag_set == "deleted too":
            await world.api.delete("configmaps", world.namespace, FLAG_SET)

        await world.api.create("featurerollouts", body)
        await world.until(phase="RolledBack", observedGeneration=1, pending=None)
        await world.edit(bake="5s")  # an edit makes it reconcile again
        again = await world.until(phase="RolledBack", observedGeneration=2, pending=None)
        assert (again["state"], again["percent"], again["rejectedRevision"]) == ("ROLLBACK", 0, revision or "")
        assert [shown for shown in trace.percents if shown is not None] == [0, 50, 0]
        await rejected_once(world)

        await world.edit(revision="v8")
        await world.until(percent=50, revision="v8", attempt=3)
    assert [shown for shown in trace.percents if shown is not None] == [0, 50, 0, 50]


async def rejected_once(world: World) -> None:
    """The flag is off for everybody, and the numbers of the records go on where they ended."""
    flag = json.loads((await world.api.get("configmaps", world.namespace, FLAG_SET))["data"][DOCUMENT])["flags"]["feature"]
    assert (flag["defaultVariant"], flag.get("targeting"), flag["metadata"]["state"]) == ("off", None, "ROLLBACK")
    records = await world.records()
    assert chain_faults(records) == []
    assert story(records)[2:5] == ["StepEffective 50", "RolledBack 0", "Adopted 0"]
