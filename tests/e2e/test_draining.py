"""SIGTERM while a write is on its way."""

import asyncio
import signal
import time

from tests.e2e.support.api import eventually
from tests.e2e.support.audit import audited
from tests.e2e.support.faults import Rule, flag_to, held, on
from tests.e2e.support.host_operator import Host, HostOperator
from tests.e2e.support.pace import paced


async def asked_to_stop(operator: HostOperator) -> float:
    """The time of the SIGTERM, once the operator has noticed it."""
    asked = time.time()
    operator.signal(signal.SIGTERM)
    await eventually("the operator drains", lambda: "draining: asked to stop" in operator.said(), 10, every=0.02)
    return asked


async def stopped_in_a_raise(host: Host, operator: HostOperator, raise_: Rule) -> float:
    await host.world.policy()
    await host.world.rollout(canary={"percents": [25, 50, 100], "dwell": "1s"})
    await eventually("the raise is on its way", lambda: raise_.fired, 30, every=0.02)
    return await asked_to_stop(operator)


async def test_a_write_under_way_is_completed(host: Host) -> None:
    operator = await host.leading("a", "--grace=10")
    release = asyncio.Event()
    async with host.world.traced() as trace:
        with operator.proxy.rule(flag_to(25), before=held(release)) as raise_:
            asked = await stopped_in_a_raise(host, operator, raise_)
            assert trace.highest() == 0
            release.set()
            assert await operator.ended(10) == 0
        took = time.time() - asked
        assert [call.status for call in raise_.fired] == [200]
        assert await host.holder() == "", "the Lease is given back"
        assert all(call.at < asked or call.status is not None for call in operator.proxy.writes(leases=True)), "nothing was left half-way"
        operator.start()
        await host.world.until(phase="Succeeded", pending=None)
    print(f"drained in {took:.2f} s")
    assert [percent for percent in trace.percents if percent is not None] == [0, 25, 50, 100]
    assert len(await audited(host.world, "feature")) == 9


async def test_a_write_that_hangs_does_not_outlast_the_grace(host: Host) -> None:
    operator = await host.leading("a", "--grace=1")
    async with paced(host.world) as pace:
        with operator.proxy.rule(flag_to(25), before=held(asyncio.Event())) as raise_:
            asked = await stopped_in_a_raise(host, operator, raise_)
            assert await operator.ended(20) == 0
            took = time.time() - asked
    print(f"with a write that hung, ended after {took:.2f} s, 1 s of grace included; slack of this machine: {pace.slack:.2f} s")
    assert took < 4 + pace.slack, "the write itself would be waited for five seconds"
    assert await host.holder() == ""


async def test_events_that_wait_are_posted_before_the_end(host: Host) -> None:
    operator = await host.leading("a", "--grace=10")
    release = asyncio.Event()
    with operator.proxy.rule(on("POST", "events"), before=held(release)):
        await host.world.exposed()  # no reconcile waits for an Event
        await asked_to_stop(operator)
        assert await host.api.list("events", host.world.namespace) == []
        release.set()
        assert await operator.ended(15) == 0
    announced = [one["reason"] for one in await host.api.list("events", host.world.namespace)]
    assert sorted(announced) == sorted(await host.world.transitions())
