"""Two replicas, and the leader goes: how long until the other one leads, and nothing is done twice or left out."""

import signal
import time

import pytest

from tests.e2e.support.api import eventually
from tests.e2e.support.audit import audited, shortest_dwell
from tests.e2e.support.host_operator import Host, HostOperator
from tests.e2e.support.pace import paced

LEASE_DURATION, RETRY = 10.0, 1.5
"""Tidegate's defaults, in seconds."""
CLIMB = [
    "AttemptStarted 0",
    "StepDecided 25",
    "StepEffective 25",
    "StepDecided 50",
    "StepEffective 50",
    "StepDecided 100",
    "StepEffective 100",
]
DWELL = 3.0


async def two_replicas(host: Host) -> tuple[HostOperator, HostOperator]:
    leader, standby = await host.operator("a"), await host.operator("b")
    await host.policy(leader)
    leader.start()
    await host.led_by(leader)
    standby.start()

    async def stands_by() -> bool:
        return any(call.kind == "leases" for call in standby.proxy.calls)

    await eventually("the other replica stands by", stands_by, 30)
    return leader, standby


async def climbed(host: Host) -> None:
    """The rollout's end, and its records: each step once, each for its whole dwell."""
    await host.world.until(phase="Succeeded", pending=None)
    assert await audited(host.world, "feature") == [*CLIMB, "Enabled 100", "Succeeded 100"]
    assert shortest_dwell(await host.world.records()) >= DWELL


@pytest.mark.parametrize("at", [25, pytest.param(50, marks=pytest.mark.proof)])
async def test_the_leader_is_killed(host: Host, at: int) -> None:
    leader, standby = await two_replicas(host)
    async with host.world.traced() as trace, paced(host.world) as pace:
        await host.world.rollout(canary={"percents": [25, 50, 100], "dwell": f"{DWELL:g}s"})
        await host.world.until(percent=at)
        killed = leader.kill()
        await host.led_by(standby)
        led = time.time() - killed
        await climbed(host)
    first = standby.proxy.writes(killed)[0].at - killed
    print(f"leader killed at {at} %: the other one led after {led:.2f} s, wrote after {first:.2f} s")
    assert trace.percents == [None, 0, 25, 50, 100][-len(trace.percents) :]
    assert led < LEASE_DURATION + 1.2 * RETRY + 5 + pace.slack
    assert all(call.at > killed for call in standby.proxy.writes())


async def test_the_leader_is_asked_to_stop(host: Host) -> None:
    leader, standby = await two_replicas(host)
    async with host.world.traced() as trace, paced(host.world) as pace:
        await host.world.rollout(canary={"percents": [25, 50, 100], "dwell": f"{DWELL:g}s"})
        await host.world.until(percent=25)
        leader.signal(signal.SIGTERM)
        asked = time.time()
        await host.led_by(standby)
        led = time.time() - asked
        assert await leader.ended(10) == 0
        ended = time.time() - asked
        await climbed(host)
    print(f"leader asked to stop: the other one led after {led:.2f} s; it ended within {ended:.2f} s")
    assert trace.percents == [None, 0, 25, 50, 100][-len(trace.percents) :]
    assert led < 6 + pace.slack  # a lease that is not released is waited for, 10 s
    taken = next(call.at for call in standby.proxy.writes(leases=True) if call.applied)
    assert all(call.at < taken for call in leader.proxy.writes()), "the old leader wrote after the new one had begun"
