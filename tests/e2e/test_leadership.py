"""Two replicas, and the leader goes: how long until the other one leads, and nothing is done twice or left out."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.e2e.support.api import eventually
from tests.e2e.support.audit import audited, shortest_dwell
from tests.e2e.support.host_operator import Host, HostOperator
from tests.e2e.support.pace import Pace, paced

LEASE_DURATION, RETRY = 10.0, 1.5
"""Tidegate's defaults, in seconds."""
CLIMB = ["AttemptStarted 0", *(f"{what} {percent}" for percent in (25, 50, 100) for what in ("StepDecided", "StepEffective"))]
DWELL = 3.0


async def two_replicas(host: Host) -> tuple[HostOperator, HostOperator]:
    leader, standby = await host.leading("a"), await host.operator("b")
    await host.world.policy()
    standby.start()
    await eventually("the other replica stands by", lambda: any(call.kind == "leases" for call in standby.proxy.calls), 30)
    return leader, standby


@asynccontextmanager
async def climbing(host: Host, until: int) -> AsyncIterator[Pace]:
    """A climb that has got to a percent. When the block is over it ends well: each step once, each for its whole dwell."""
    async with host.world.traced() as trace, paced(host.world) as pace:
        await host.world.rollout(canary={"percents": [25, 50, 100], "dwell": f"{DWELL:g}s"})
        await host.world.until(percent=until)
        yield pace
        await host.world.until(phase="Succeeded", pending=None)
    assert trace.percents == [None, 0, 25, 50, 100][-len(trace.percents) :]
    assert await audited(host.world, "feature") == [*CLIMB, "Enabled 100", "Succeeded 100"]
    assert shortest_dwell(await host.world.records()) >= DWELL


@pytest.mark.parametrize("at", [25, pytest.param(50, marks=pytest.mark.proof)])
async def test_the_leader_is_killed(host: Host, at: int) -> None:
    leader, standby = await two_replicas(host)
    async with climbing(host, at) as pace:
        killed = leader.kill()
        await host.led_by(standby)
        led = time.time() - killed
    first = standby.proxy.writes(killed)[0].at - killed
    print(f"leader killed at {at} %: the other one led after {led:.2f} s, wrote after {first:.2f} s")
    assert led < LEASE_DURATION + 1.2 * RETRY + 5 + pace.slack
    assert all(call.at > killed for call in standby.proxy.writes())


async def test_the_leader_is_asked_to_stop(host: Host) -> None:
    leader, standby = await two_replicas(host)
    async with climbing(host, 25) as pace:
        leader.signal(signal.SIGTERM)
        asked = time.time()
        await host.led_by(standby)
        led = time.time() - asked
        assert await leader.ended(10) == 0
        ended = time.time() - asked
    print(f"leader asked to stop: the other one led after {led:.2f} s; it ended within {ended:.2f} s")
    assert led < 6 + pace.slack  # a lease that is not released is waited for, 10 s
    taken = next(call.at for call in standby.proxy.writes(leases=True) if call.applied)
    assert all(call.at < taken for call in leader.proxy.writes()), "the old leader wrote after the new one had begun"


async def test_a_leader_that_stands_still_for_a_while_goes_on(host: Host) -> None:
    """Past its deadline, and before the other one may follow."""
    leader, standby = await two_replicas(host)
    holder = await host.holder()
    async with climbing(host, 25) as pace:
        leader.signal(signal.SIGSTOP)
        await asyncio.sleep(LEASE_DURATION - 2.5)
        leader.signal(signal.SIGCONT)
        woken = time.time()
        await eventually(
            "it has renewed the Lease", lambda: any(call.applied for call in leader.proxy.writes(woken, leases=True)), 10, every=0.02
        )
        took = time.time() - woken
    print(f"stopped for {LEASE_DURATION - 2.5:g} s: renewed {took:.2f} s after it woke")
    assert took < 3 + pace.slack
    assert await host.holder() == holder
    assert standby.proxy.writes() == []


async def test_a_container_that_is_started_again_leads_at_once(host: Host) -> None:
    leader = await host.leading("a", "--pod-uid=uid-of-a")
    standby = await host.operator("b", "--pod-uid=uid-of-b")
    await host.world.policy()
    standby.start()
    await eventually("the other replica stands by", lambda: any(call.kind == "leases" for call in standby.proxy.calls), 30)
    holder = await host.holder()
    async with climbing(host, 25) as pace:
        killed = leader.kill()
        leader.start()
        await host.led_by(leader, other_than=holder)
        led = time.time() - killed
    print(f"leader killed and started again: it led after {led:.2f} s")
    assert led < 6 + pace.slack  # the other one would lead after 10 s
    assert standby.proxy.writes() == []
