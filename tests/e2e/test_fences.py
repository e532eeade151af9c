"""A leader that was deposed while its raise was on the way: the raise never comes into force, whatever held it up."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.e2e.support.api import Api, RefusedError, eventually
from tests.e2e.support.faults import Call, cut, flag_to, held, on
from tests.e2e.support.flag_sets import FLAG_SET
from tests.e2e.support.host_operator import Host, HostOperator
from tests.e2e.support.world import BAND

CANARY = {"percents": [25, 50, 100], "dwell": "2s"}


async def two_replicas(host: Host, **policy: Any) -> tuple[HostOperator, HostOperator]:
    old, new = await host.leading("old"), await host.operator("new")
    await host.world.measured("errors", 0)
    await host.world.policy(**policy)
    new.start()
    return old, new


async def flag_version(host: Host) -> str:
    return str((await host.world.flag_set())["metadata"]["resourceVersion"])


@contextlib.asynccontextmanager
async def deposed(host: Host, old: HostOperator, new: HostOperator) -> AsyncIterator[None]:
    """The old leader can't renew its Lease from now on, and ends; the new one leads when the block is over."""
    with old.proxy.rule(on("PUT", "leases"), before=cut):
        yield
        assert await old.ended(30) == 1
        await host.led_by(new)


async def let_go(host: Host, release: asyncio.Event, calls: list[Call]) -> None:
    """The old leader's requests arrive at last: none of them changes anything."""
    before = await flag_version(host)
    release.set()
    await eventually("the API server answers the late raise", lambda: all(call.status is not None for call in calls), 20)
    print(f"the late raise was answered {[call.status for call in calls]}")
    assert calls
    assert not any(call.applied for call in calls)
    assert await flag_version(host) == before


async def test_a_raise_that_arrives_after_its_leader_was_deposed(host: Host) -> None:
    old, new = await two_replicas(host)
    release = asyncio.Event()
    async with host.world.traced() as trace:
        await host.world.rollout(canary=CANARY, gates=[host.world.errors()])
        with old.proxy.rule(flag_to(50), before=held(release)) as late:
            await eventually("the raise to 50 % is on its way", lambda: late.fired, 30)
            async with deposed(host, old, new):
                await host.world.set("errors", 1)
            await host.world.until(phase="RolledBack", pending=None)
            await let_go(host, release, late.fired)
    assert trace.percents[-3:] == [0, 25, 0]
    await without_its_version(host, late.fired[0])


async def without_its_version(host: Host, raise_: Call) -> None:
    """The same request under the same account, but without resourceVersion: the admission policy on epochs refuses it."""
    body = {**raise_.body, "metadata": {key: value for key, value in raise_.body["metadata"].items() if key != "resourceVersion"}}
    before = await flag_version(host)
    async with Api.connect(host.kubeconfig, host.token) as operator:
        with pytest.raises(RefusedError, match=r"stale writer: epoch \d+, stored \d+"):
            await operator.request("PATCH", raise_.path.lstrip("/"), body, raise_.headers["Content-Type"])
    assert await flag_version(host) == before


async def take_back(host: Host, how: str) -> None:
    match how:
        case "guard in breach":
            await host.world.set("errors", 1)
        case "switched off":
            await host.world.edit(enabled=False)
        case "deleted":
            await host.api.delete("featurerollouts", host.world.namespace, "feature")


async def taken_back(host: Host) -> bool:
    """Whether nothing of the raise is left in status, or nothing of the object at all."""
    found = await host.api.find("featurerollouts", host.world.namespace, "feature")
    return found is None or not ({"raising", "pending"} & set(found["status"]))


@pytest.mark.parametrize("how", [pytest.param("guard in breach", marks=pytest.mark.proof), "switched off", "deleted"])
async def test_a_first_raise_that_arrives_after_it_was_taken_back(host: Host, how: str) -> None:
    """The flag is at 0 % before and after: there is nothing to lower, and still the late raise must not get through."""
    old, new = await two_replicas(host, guards=[host.world.gate("errors", **BAND)])
    release = asyncio.Event()
    async with host.world.traced() as trace:
        with old.proxy.rule(flag_to(25), before=held(release)) as late:
            await host.world.rollout()
            await eventually("the first raise is on its way", lambda: late.fired, 30)
            async with deposed(host, old, new):
                await take_back(host, how)
            await eventually("the new leader takes the raise back", lambda: taken_back(host), 30)
            await let_go(host, release, late.fired)
    assert trace.highest() == 0


async def test_a_leader_stopped_between_decision_and_write(host: Host) -> None:
    """SIGSTOP past the Lease, with the last read before the write answered already: when it wakes up it asks its own clock first."""
    old, new = await two_replicas(host)
    stopped = asyncio.Event()

    def decided(call: Call) -> bool:
        if call.kind != "featurerollouts/status":
            return False
        status = call.body[-1]["value"]
        return (status.get("raising") or {}).get("percent") == 50 and "pending" not in status

    def last_read(call: Call) -> bool:
        return on("GET", "configmaps", FLAG_SET)(call) and any(decided(one) and one.applied for one in old.proxy.writes())

    async def stop(_: Call) -> None:
        old.signal(signal.SIGSTOP)
        stopped.set()

    async with host.world.traced() as trace:
        with old.proxy.rule(last_read, after=stop, times=1):
            await host.world.rollout(canary=CANARY, gates=[host.world.errors()])
            await asyncio.wait_for(stopped.wait(), 30)
        await host.world.set("errors", 1)
        await host.led_by(new)
        await host.world.until(phase="RolledBack", pending=None)
        before, woken = await flag_version(host), time.time()
        old.signal(signal.SIGCONT)
        assert await old.ended(15) == 1
        print(f"woken, it ended after {time.time() - woken:.2f} s and wrote {old.proxy.writes(woken, leases=True)}")
        assert old.proxy.writes(woken, leases=True) == []
        assert await flag_version(host) == before
    assert trace.percents[-3:] == [0, 25, 0]
    assert (await host.world.flag())["metadata"]["state"] == "ROLLBACK"
