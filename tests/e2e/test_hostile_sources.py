"""What a tenant's queries and a policy's source may do to everybody else: nothing, neither in memory nor in time."""

import time

import pytest

from tests.e2e.support.api import Json, eventually
from tests.e2e.support.fake import FakePrometheus
from tests.e2e.support.pace import paced
from tests.e2e.support.world import World

ERRORS: Json = {"advance": {"lt": 0.1}, "rollback": {"gt": 0.5, "confirm": 1}}
HELD: Json = {"percents": [10, 100], "dwell": "1h"}
TENANTS = 4
GATES = 8
GROWTH = 64 * 2**20
"""Bytes by which the operator may grow: what is remembered of answers is bounded far below, the rest is the allocator's."""


async def memory(world: World) -> float:
    """Resident bytes of the operator's largest process, as Prometheus scraped it."""
    value = await world.instant('max(process_resident_memory_bytes{namespace="tidegate-system"})')
    assert value is not None, "the operator's own metrics are scraped"
    return value


@pytest.mark.parametrize(
    "mode",
    [
        pytest.param("10000-series", marks=pytest.mark.proof),
        "100000-series",
        "huge",
        pytest.param("slow-drip", marks=pytest.mark.proof),
        pytest.param("hang", marks=pytest.mark.proof),
        "redirect",
    ],
)
async def test_a_hostile_source_costs_neither_memory_nor_other_rollouts_time(world: World, mode: str) -> None:
    fake = FakePrometheus.of(world)
    await world.policy(url=fake.url, timeout="2s")
    neighbours = f"{world.namespace}-neighbour"
    await world.policy(neighbours)
    await world.set("errors", 0.01)
    await world.queryable("errors", 0.01)
    gates = [
        world.gate(f"errors-{number}", metric="errors", **ERRORS) | {"query": f"{world.selector('errors')} + 0 * {number}"}
        for number in range(GATES)
    ]
    for number in range(TENANTS):
        await world.rollout(f"tenant-{number}", canary=HELD, gates=gates)
        await world.until(f"tenant-{number}", percent=10)
    await world.rollout("neighbour", canary=HELD, policyRef={"name": neighbours}, gates=[world.gate("errors", **ERRORS)])
    await world.until("neighbour", percent=10)
    await world.shown("errors", 0.01, "neighbour")
    before = await memory(world)
    await fake.answer(mode)

    async def is_blind() -> bool:
        return all(gate["verdict"] == "NO_DATA" for gate in (await world.status("tenant-0")).get("gates") or [])

    await eventually("the tenants get no data", is_blind)
    await fake.tried(3 * TENANTS)
    async with world.traced("neighbour") as trace, paced(world) as pace:
        await world.set("errors", 0.9)

        async def is_bad() -> bool:
            return await world.instant(world.selector("errors")) == 0.9

        await eventually("the bad sample is queryable", is_bad, 30, every=0.05)
        queryable = time.time()
        await world.until("neighbour", state="ROLLBACK", percent=0)
    took, grown = trace.first(0) - queryable, await memory(world) - before
    print(f"\n{mode}: the neighbour was at 0 % {took:.2f} s after its bad sample; the operator grew by {grown / 2**20:.1f} MiB")
    assert took <= 2 * 1.0 + 1 + pace.slack
    assert grown < GROWTH
    for number in range(TENANTS):
        assert (await world.status(f"tenant-{number}"))["percent"] == 10


async def test_one_slow_query_of_a_tenant_delays_no_other_under_the_same_policy(world: World) -> None:
    """Three of a tenant's queries hang until their time-out, at every interval: the neighbour's breach is seen as soon as without them."""
    fake = FakePrometheus.of(world)
    await world.policy(url=fake.url, timeout="5s")
    await world.set("errors", 0.01)
    await world.queryable("errors", 0.01)
    heavy = [
        {
            "name": f"heavy-{number}",
            "query": f"{world.selector('errors', weight='heavy')} + {number}",
            "advance": {"lt": 1},
            "startsEmpty": True,
        }
        for number in range(3)
    ]
    await fake.answer("hang-heavy")
    await world.rollout("tenant", canary=HELD, gates=heavy)
    await world.rollout("neighbour", canary=HELD, gates=[world.gate("errors", **ERRORS)])
    for name in ("tenant", "neighbour"):
        await world.until(name, percent=10)

    async def is_slow() -> bool:
        return (await world.gate_status("heavy-0", "tenant")).get("noDataReason") == "PrometheusTimeout"

    await eventually("the tenant's queries are too slow", is_slow)
    await fake.evaluated(world.selector("errors"), 12)  # long enough for the slow ones to fail several times in a row
    async with world.traced("neighbour") as trace, paced(world) as pace:
        await world.set("errors", 0.9)

        async def is_bad() -> bool:
            return await world.instant(f"{world.selector('errors')} > 0.5") == 0.9

        await eventually("the bad sample is queryable", is_bad, 30, every=0.05)
        queryable = time.time()
        await world.until("neighbour", state="ROLLBACK", percent=0)
    took = trace.first(0) - queryable
    print(f"\nbeside three hanging queries the neighbour was at 0 % {took:.2f} s after its bad sample")
    assert took <= 2 * 1.0 + 1 + pace.slack
