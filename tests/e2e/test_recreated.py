"""A FeatureRollout that was rolled back, deleted with its flag set, and created again: the rejected revision stays rejected."""

import pytest

from tests.e2e.support.api import Json
from tests.e2e.support.audit import chain_faults, story
from tests.e2e.support.flag_sets import FLAG_SET
from tests.e2e.support.world import HELD, World


@pytest.mark.parametrize("named", [{"revision": "v7"}, pytest.param({}, marks=pytest.mark.proof)], ids=["named", "without a name"])
async def test_rolled_back_deleted_with_its_flag_set_and_created_again(world: World, named: Json) -> None:
    """Where the flag set is kept, test_hostile_writer shows it."""
    async with world.traced() as trace:
        await world.exposed(**named)
        await world.set("errors", 1)
        await world.rolled_back(pending=None)
        await world.measured("errors", 0)
        await world.delete()
        await world.api.delete("configmaps", world.namespace, FLAG_SET)

        await world.rollout(canary=HELD, gates=[world.errors()], **named)
        await world.until(phase="RolledBack", observedGeneration=1, pending=None)
        await world.edit(bake="5s")  # an edit makes it reconcile again
        await world.rolled_back(observedGeneration=2, rejectedRevision=named.get("revision", ""), pending=None)
        assert [shown for shown in trace.percents if shown is not None] == [0, 10, 0]
        flag = await world.flag()
        assert (flag["defaultVariant"], flag.get("targeting"), flag["metadata"]["state"]) == ("off", None, "ROLLBACK")
        records = await world.records()
        assert chain_faults(records) == []
        assert story(records)[2:5] == ["StepEffective 10", "RolledBack 0", "Adopted 0"]

        await world.edit(revision="v8")
        await world.until(percent=10, revision="v8", attempt=3)
    assert [shown for shown in trace.percents if shown is not None] == [0, 10, 0, 10]
