"""Flag sets that take no writes: status says so once, and the rollback stands, and follows when it can, whatever the readings are then."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.e2e.support import witness
from tests.e2e.support.admission import refusing
from tests.e2e.support.flag_sets import EPOCH, FLAG_SET
from tests.e2e.support.world import HELD, World


@contextlib.asynccontextmanager
async def immutable(world: World) -> AsyncIterator[str]:
    """Until the ConfigMap is deleted: an immutable one stays so."""
    await world.change_flag_set({"immutable": True})
    try:
        yield "field is immutable when `immutable` is set"
    finally:
        await world.api.delete("configmaps", world.namespace, FLAG_SET)


@contextlib.asynccontextmanager
async def denied(world: World) -> AsyncIterator[str]:
    """By an admission policy of somebody else's."""
    what, tried = ("configmaps", world.namespace, FLAG_SET), {"metadata": {"annotations": {"tried": "yes"}}}
    async with refusing(world.api, world.api, *what, tried, "no changes on Fridays", unless=f"request.name != '{FLAG_SET}'"):
        yield "no changes on Fridays"


async def shown(world: World, state: str) -> float | None:
    """What Prometheus has scraped of the operator's own word."""
    return await world.instant(f'tidegate_rollout_state{{exported_namespace="{world.namespace}",name="feature",state="{state}"}}')


@pytest.mark.parametrize("obstacle", [immutable, denied])
async def test_a_rollback_that_is_refused_is_told_and_made_when_it_can_be(world: World, obstacle: Any) -> None:
    await world.exposed()
    async with obstacle(world) as sentence:
        await world.set("errors", 1)
        stalled = await world.condition("feature", "Stalled", "NotWritable")
        assert sentence in stalled["message"], stalled["message"]
        assert (await world.condition("feature", "Ready", "NotWritable"))["status"] == "False"
        await world.until(state="ROLLBACK", phase="RollingBack", percent=10, pending=None)
        assert await world.exposure() not in (None, 0), "it is still on"
        told = await world.api.get("featurerollouts", world.namespace, "feature")
        await witness.climbs(world)  # some seconds, in which it was tried again and again
        assert (await shown(world, "ROLLING_OUT"), await shown(world, "ROLLBACK")) == (None, 1)
        again = await world.api.get("featurerollouts", world.namespace, "feature")
        assert again["metadata"]["resourceVersion"] == told["metadata"]["resourceVersion"], "told once"
        await world.measured("errors", 0)  # what fell stays fallen
    await world.rolled_back()
    assert await world.exposure() == 0
    await world.condition("feature", "Stalled", "RolledBack")


@pytest.mark.parametrize("digits", [pytest.param(17, marks=pytest.mark.proof), 18, pytest.param(19, marks=pytest.mark.proof), 5000])
async def test_no_epoch_that_people_write_keeps_a_rollback_back(world: World, digits: int) -> None:
    await world.exposed()
    await world.change_flag_set({"metadata": {"annotations": {EPOCH: "9" * digits}}})
    await world.set("errors", 1)
    await world.rolled_back()
    assert await world.exposure() == 0


async def test_a_document_that_people_filled_takes_a_rollback_and_no_new_flag(world: World) -> None:
    await world.exposed()
    await world.rewrite(await world.document() | {"metadata": {"notes": "x" * 1_010_000}})
    await world.rollout("other", canary=HELD)
    stalled = await world.condition("other", "Stalled", "NotWritable")
    assert "divide it among several ConfigMaps" in stalled["message"]
    await world.set("errors", 1)
    await world.rolled_back()
    assert await world.exposure() == 0
