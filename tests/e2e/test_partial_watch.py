"""What keeps the operator from looking after some objects must not keep it from looking after the others."""

import asyncio
import json

from tests.e2e.support.api import Api, eventually
from tests.e2e.support.exposure import DOCUMENT
from tests.e2e.support.faults import Call, answers
from tests.e2e.support.host_operator import Host
from tests.e2e.support.world import World

QUICK = {"percents": [25, 100], "dwell": "1s"}
TRIES = 25
"""Refusals of one kind. kopf would end for good after nine in a row."""


async def test_a_namespace_that_may_not_be_read_keeps_no_other_waiting(host: Host) -> None:
    """As after it was deleted with the RoleBinding in it, and the operator was started again."""
    gone = World(host.api, f"{host.world.namespace}-b")
    await gone.begin()
    try:
        operator = await host.operator("a", f"--namespace={gone.namespace}")
        await host.policy(operator)
        await gone.rollout("late", canary=QUICK, policyRef={"name": host.world.namespace})

        def in_gone(call: Call) -> bool:
            return call.namespace == gone.namespace

        with operator.proxy.rule(in_gone, before=answers(403)) as refused:
            operator.start()
            await host.led_by(operator)
            leader = await host.holder()
            await host.world.rollout("first", canary=QUICK)
            await host.world.until("first", phase="Succeeded", percent=100)
            status, told = await operator.probe("readyz")
            assert status == 503
            assert f"featurerollouts in namespace {gone.namespace} (" in told, told
            assert f"in namespace {host.world.namespace} (" not in told, told

            async def long_enough() -> bool:
                return sum(call.kind == "featurerollouts" for call in refused.fired) >= TRIES

            await eventually("it was refused again and again", long_enough, 120)
            await host.world.rollout("second", canary=QUICK)
            await host.world.until("second", phase="Succeeded", percent=100)
            assert await host.holder() == leader, "it did not end"
        await gone.until("late", phase="Succeeded", percent=100)

        async def is_ready() -> bool:
            return (await operator.probe("readyz"))[0] == 200

        await eventually("nothing is missing any more", is_ready, 30)
    finally:
        await gone.end()


async def test_large_flag_sets_keep_nothing_from_starting(host: Host) -> None:
    """More than the operator reads of any answer, made by anybody who may create ConfigMaps."""
    await asyncio.gather(*(large(host.api, host.world.namespace, f"large-{number}") for number in range(17)))
    operator = await host.operator()
    await host.policy(operator)
    await host.world.rollout(canary=QUICK)
    operator.start()
    await host.led_by(operator)
    await host.world.until(phase="Succeeded", percent=100)
    assert (await operator.probe("readyz"))[0] == 200
    resident = next(one.value for one in await operator.samples() if one.name == "process_resident_memory_bytes")
    print(f"beside 17 flag sets of 1 MB the operator has {resident / 1e6:.0f} MB")
    assert resident < 250e6


async def large(api: Api, namespace: str, name: str) -> None:
    metadata = {"name": name, "namespace": namespace, "labels": {"tidegate.io/flag-set": "true"}}
    data = {DOCUMENT: json.dumps({"flags": {}, "metadata": {"notes": "x" * 1_000_000}})}
    await api.create("configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
