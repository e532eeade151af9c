"""What keeps the operator from looking after some objects must not keep it from looking after the others."""

import asyncio
import json

from tests.e2e.support.api import eventually
from tests.e2e.support.faults import answers
from tests.e2e.support.host_operator import Host
from tests.e2e.support.world import QUICK, World

TRIES = 25
"""Refusals of one kind. kopf would end for good after nine in a row."""


async def test_a_namespace_that_may_not_be_read_keeps_no_other_waiting(host: Host) -> None:
    """As after it was deleted with the RoleBinding in it, and the operator was started again."""
    gone = World(host.api, f"{host.world.namespace}-b")
    await gone.begin()
    try:
        operator = await host.operator("a", f"--namespace={gone.namespace}")
        await host.world.policy()
        await gone.rollout("late", canary=QUICK, policyRef={"name": host.world.namespace})
        with operator.proxy.rule(lambda call: call.namespace == gone.namespace, before=answers(403)) as refused:
            operator.start()
            await host.led_by(operator)
            leader = await host.holder()
            await host.world.rollout("first", canary=QUICK)
            await host.world.succeeded("first")
            status, told = await operator.probe("readyz")
            assert status == 503
            assert f"featurerollouts in namespace {gone.namespace} (" in told, told
            assert f"in namespace {host.world.namespace} (" not in told, told
            often = "it was refused again and again"
            await eventually(often, lambda: sum(call.kind == "featurerollouts" for call in refused.fired) >= TRIES, 120)
            await host.world.rollout("second", canary=QUICK)
            await host.world.succeeded("second")
            assert await host.holder() == leader, "it did not end"
        await gone.succeeded("late")

        async def is_ready() -> bool:
            return (await operator.probe("readyz"))[0] == 200

        await eventually("nothing is missing any more", is_ready, 30)
    finally:
        await gone.end()


async def test_large_flag_sets_keep_nothing_from_starting(host: Host) -> None:
    """More than the operator reads of any answer, made by anybody who may create ConfigMaps."""
    large = json.dumps({"flags": {}, "metadata": {"notes": "x" * 1_000_000}})
    await asyncio.gather(*(host.world.make_flag_set(large, f"large-{number}") for number in range(17)))
    operator = await host.leading()
    await host.world.policy()
    await host.world.rollout(canary=QUICK)
    await host.world.succeeded()
    assert (await operator.probe("readyz"))[0] == 200
    resident = next(one.value for one in await operator.samples() if one.name == "process_resident_memory_bytes")
    print(f"beside 17 flag sets of 1 MB the operator has {resident / 1e6:.0f} MB")
    assert resident < 250e6
