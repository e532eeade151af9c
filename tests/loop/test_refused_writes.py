"""A flag that can't be written keeps a rollback back, and status says so."""

import pytest

from tests.fakes.apiserver import Fault
from tests.operated import FLAGS, Operated

DENIED = 'admission webhook "flags.example.com" denied the request: no changes on Fridays'


async def refuse(world: Operated, how: str) -> str:
    """The sentence of the API server."""
    if how == "immutable":
        await world.server.put("configmaps", "shop", {"metadata": {"name": FLAGS}, "immutable": True})
        world.wake()
        return "data: Forbidden: field is immutable when `immutable` is set"
    world.server.faults.append(Fault("patch", "configmaps", status=403, reason="Forbidden", message=DENIED, times=1000))
    return DENIED


async def allow(world: Operated, how: str) -> None:
    """What a person does about it. An immutable ConfigMap has to be made anew."""
    world.server.faults.clear()
    if how == "immutable":
        before = world.flag_set()
        await world.server.remove("configmaps", "shop", FLAGS)
        metadata = {key: before["metadata"][key] for key in ("name", "labels", "annotations")}
        await world.server.put("configmaps", "shop", {"metadata": metadata, "data": before["data"]})
    world.wake()


@pytest.mark.thorough
@pytest.mark.parametrize("recovers", [False, True], ids=["still bad", "recovered"])
@pytest.mark.parametrize("how", ["immutable", "admission"])
async def test_a_rollback_that_is_refused_is_reported_once_and_made_when_it_can_be(world: Operated, how: str, recovers: bool) -> None:
    before = world.status()
    sentence = await refuse(world, how)
    world.dial.value = 1.0
    await world.until(lambda: world.condition("Stalled").get("reason") == "NotWritable")
    assert sentence in world.condition("Stalled")["message"]
    assert world.condition("Ready") | {"status": "False", "reason": "NotWritable"} == world.condition("Ready")
    await world.until(lambda: "pending" not in world.status())
    told, writes = world.status(), world.status_writes()
    assert (told["state"], told["phase"], told["percent"]) == ("ROLLBACK", "RollingBack", before["percent"])
    assert (world.shown(state="ROLLING_OUT"), world.shown(state="ROLLBACK")) == (None, 1)
    assert not world.is_off()
    await world.reconciled(4)
    assert world.status_writes() == writes
    if recovers:
        world.dial.value = 0.0
        await world.reconciled(4)
    await allow(world, how)
    await world.until(world.is_rolled_back)
    assert world.is_off()
    assert world.condition("Stalled")["reason"] == "RolledBack"
    assert world.shown(state="ROLLBACK") == 1
