"""What a tenant's queries and a policy's source may do to everybody else: nothing, neither in memory nor in time."""

import time

import pytest

from tests.e2e.support.fake import FakePrometheus
from tests.e2e.support.pace import paced
from tests.e2e.support.world import HELD, PROMETHEUS, World

TENANTS = 4
GATES = 8
GROWTH = 64 * 2**20
"""Bytes by which the operator may grow: what is remembered of answers is bounded far below, the rest is the allocator's."""


async def memory(world: World) -> float:
    """Resident bytes of the operator's largest process, as Prometheus scraped it."""
    value = await world.instant('max(process_resident_memory_bytes{namespace="tidegate-system"})')
    assert value is not None, "the operator's own metrics are scraped"
    return value


async def the_neighbour_falls_in_time(world: World, beside: str) -> None:
    """Its breach is seen as soon as without the others."""
    async with world.traced("neighbour") as trace, paced(world) as pace:
        await world.set("errors", 0.9)
        await world.answers(f"{world.selector('errors')} > 0.5", 0.9, every=0.05)
        queryable = time.time()
        await world.until("neighbour", state="ROLLBACK", percent=0)
    took = trace.first(0) - queryable
    print(f"\nbeside {beside} the neighbour was at 0 % {took:.2f} s after its bad sample")
    assert took <= 2 * 1.0 + 1 + pace.slack


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
async def test_a_hostile_source_costs_neither_memory_nor_other_rollouts_time(world: World, fake: FakePrometheus, mode: str) -> None:
    await world.policy(timeout="2s")
    neighbours = f"{world.namespace}-neighbour"
    await world.policy(neighbours, url=PROMETHEUS)
    await world.measured("errors", 0.01)
    gate = world.errors(confirm=1)
    gates = [gate | {"name": f"errors-{number}", "query": f"{gate['query']} + 0 * {number}"} for number in range(GATES)]
    tenants = [f"tenant-{number}" for number in range(TENANTS)]
    for name in tenants:
        await world.rollout(name, canary=HELD, gates=gates)
        await world.until(name, percent=10)
    await world.rollout("neighbour", canary=HELD, policyRef={"name": neighbours}, gates=[gate])
    await world.until("neighbour", percent=10)
    await world.shown("errors", 0.01, "neighbour")
    before = await memory(world)
    await fake.answer(mode)
    await world.when("gets no data", lambda status: {gate["verdict"] for gate in status.get("gates", [])} == {"NO_DATA"}, tenants[0])
    await fake.tried(3 * TENANTS)
    await the_neighbour_falls_in_time(world, mode)
    grown = await memory(world) - before
    print(f"the operator grew by {grown / 2**20:.1f} MiB")
    assert grown < GROWTH
    for name in tenants:
        assert (await world.status(name))["percent"] == 10


async def test_slow_queries_of_one_namespace_delay_no_other_under_the_same_policy(world: World, fake: FakePrometheus) -> None:
    """Six rollouts with sixteen queries each, which take longer than anybody waits, at every interval; twenty are evaluated at once."""
    await world.policy(timeout="5s")
    await world.measured("errors", 0.01)
    async with World.beside(world.api, world) as tenant:
        slow = f"{world.selector('errors')} + 0 * scalar({world.selector('errors', weight='heavy')}) + "
        await world.measured("errors", 0.01, weight="heavy")
        gates = [
            {"name": f"heavy-{number}", "query": f"{slow}{number}", "advance": {"lt": 99}, "rollback": {"gt": 99}} for number in range(16)
        ]
        for number in range(6):
            await tenant.rollout(f"tenant-{number}", canary=HELD, policyRef={"name": world.namespace}, gates=gates)
        await world.rollout("neighbour", canary=HELD, gates=[world.errors(confirm=1)])
        await world.until("neighbour", percent=10)
        for number in range(6):
            await tenant.until(f"tenant-{number}", percent=10)
        await fake.answer("slow-heavy")
        await tenant.gate_until("heavy-0", "tenant-0", noDataReason="QuerySlow")
        await fake.evaluated(world.selector("errors"), 8)  # long enough for the slow ones to fail several times in a row
        await the_neighbour_falls_in_time(world, "six rollouts with sixteen slow queries each")
