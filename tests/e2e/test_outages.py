"""The API server can't be reached for a while, in mid-climb."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.e2e.support.api import eventually
from tests.e2e.support.audit import audited, shortest_dwell
from tests.e2e.support.exposure import Trace
from tests.e2e.support.faults import answers, cut
from tests.e2e.support.host_operator import Host, HostOperator

DWELL = 3.0


@pytest.mark.parametrize(("what", "effect"), [("answers 503", answers(503)), ("cuts every connection", cut)])
async def test_shorter_than_the_lease(host: Host, what: str, effect: Any) -> None:
    """Nothing rises while it is blind, and all goes on after. The next step is due within the outage."""
    operator = await host.operator("a", "--lease-duration=20")
    async with climbing(host, operator) as trace:
        leader = await host.holder()
        began, over = await outage(operator, effect, 5)
        await host.world.until(seconds=40, phase="Succeeded", pending=None)
    print(f"API server {what} for {over - began:.1f} s: 50 % came {trace.first(50) - over:.2f} s after its end")
    assert 0 < trace.first(50) - over < 10
    await climbed_in_order(host, trace)
    assert await host.holder() == leader


async def test_longer_than_the_lease(host: Host) -> None:
    """The leader ends, since another one may lead by now; the kubelet starts it again."""
    operator = await host.operator()
    async with climbing(host, operator) as trace:
        leader = await host.holder()
        began, over = await outage(operator, answers(503), 8)
        assert await operator.ended(10) == 1
        assert all(call.at < began or call.status is None for call in operator.proxy.writes())
        operator.start()
        await host.led_by(operator, other_than=leader)
        await host.world.until(seconds=40, phase="Succeeded", pending=None)
    print(f"API server away for {over - began:.1f} s: 50 % came {trace.first(50) - over:.2f} s after its end")
    assert trace.first(50) > over
    await climbed_in_order(host, trace)


@asynccontextmanager
async def climbing(host: Host, operator: HostOperator) -> AsyncIterator[Trace]:
    """A climb that has just reached its first step."""
    await host.policy(operator)
    operator.start()
    await host.led_by(operator)
    async with host.world.traced() as trace:
        await host.world.rollout(canary={"percents": [25, 50, 100], "dwell": f"{DWELL:g}s"})
        await host.world.until(percent=25, pending=None)
        yield trace


async def outage(operator: HostOperator, effect: Any, seconds: float) -> tuple[float, float]:
    """When it began and ended. Longer than the dwell and than several renewals of the Lease."""
    began = time.time()
    with operator.proxy.rule(lambda _: True, before=effect) as away:
        operator.proxy.cut_streams()

        async def lasted() -> bool:
            return time.time() > began + seconds and any(call.kind == "leases" for call in away.fired)

        await eventually("the outage has lasted", lasted, 30, every=0.02)
    return began, time.time()


async def climbed_in_order(host: Host, trace: Trace) -> None:
    assert [percent for percent in trace.percents if percent is not None] == [0, 25, 50, 100]
    assert shortest_dwell(await host.world.records()) >= DWELL
    assert len(await audited(host.world, "feature")) == 9
