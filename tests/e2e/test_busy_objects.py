"""Objects that other programs write to many times a second: nothing waits for them."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from datetime import datetime

from tests.e2e.support.api import Json
from tests.e2e.support.flag_sets import FLAG_SET
from tests.e2e.support.host_operator import Host
from tests.e2e.support.pace import paced
from tests.e2e.support.world import World

DWELL = 3.0
INTERVAL = 1.0
A_SECOND = 20
"""Writes."""


@contextlib.asynccontextmanager
async def noted(world: World, kind: str, name: str) -> AsyncIterator[list[float]]:
    """Another program keeps notes in an annotation; when each was written."""
    written: list[float] = []

    async def keep_noting() -> None:
        for number in itertools.count(1):
            patch = {"metadata": {"annotations": {"notes.example.com/seen": str(number)}}}
            await world.api.patch(kind, world.namespace, name, patch, fieldManager="notes")
            written.append(time.time())
            await asyncio.sleep(1 / A_SECOND)

    noting = asyncio.create_task(keep_noting())
    try:
        yield written
    finally:
        noting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await noting


def late(records: list[Json]) -> list[float]:
    """By how many seconds each step was decided later than its dwell ended, and by how many it was in force later than that."""
    at = {"StepEffective": 0.0, "StepDecided": 0.0}
    out: list[float] = []
    for record in records:
        transition, moment = record["transition"], datetime.fromisoformat(record["time"]).timestamp()
        if transition == "StepDecided" and at["StepEffective"]:
            out.append(moment - at["StepEffective"] - DWELL)
        if transition == "StepEffective" and at["StepDecided"]:
            out.append(moment - at["StepDecided"])
        if transition in at:
            at[transition] = moment
    return out


async def test_notes_that_others_write_all_the_time_delay_no_step(host: Host) -> None:
    world = host.world
    operator = await host.leading()
    await world.exposed(canary={"percents": [10, 30, 50, 70, 100], "dwell": f"{DWELL:g}s"}, bake="1h")
    async with paced(world) as pace, noted(world, "featurerollouts", "feature") as notes, noted(world, "configmaps", FLAG_SET):
        began = time.time()
        await world.until(state="ENABLED", percent=100, pending=None)
        over = time.time()
    waited = late(await world.records())
    asked = sum(call.method == "GET" and call.kind == "featurerollouts" and began < call.at < over for call in operator.proxy.calls)
    print(f"\n{len(notes)} notes in {over - began:.1f} s; late by {max(waited):.2f} s at most; {asked} reads; slack: {pace.slack:.2f} s")
    assert len(waited) == 9
    assert max(waited) <= INTERVAL + 1 + pace.slack
