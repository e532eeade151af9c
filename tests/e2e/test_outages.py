"""The API server can't be reached for a while, in mid-climb."""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from tests.e2e.support.api import eventually
from tests.e2e.support.audit import audited, shortest_dwell
from tests.e2e.support.exposure import Trace
from tests.e2e.support.faults import answers, cut, held, on
from tests.e2e.support.host_operator import Host, HostOperator
from tests.e2e.support.pace import paced

DWELL = 3.0


@pytest.mark.parametrize(
    ("what", "effect"), [("answers 503", answers(503)), pytest.param("cuts every connection", cut, marks=pytest.mark.proof)]
)
async def test_shorter_than_the_lease(host: Host, what: str, effect: Any) -> None:
    """Nothing rises while it is blind, and all goes on after. The next step is due within the outage."""
    operator = await host.leading("a", "--lease-duration=20", "--log-format=json")
    async with climbing(host) as trace, paced(host.world) as pace:
        leader = await host.holder()
        began, over = await outage(operator, effect, 5)
        await host.world.until(seconds=40, phase="Succeeded", pending=None)
    late = trace.first(50) - over
    print(f"API server {what} for {over - began:.1f} s: 50 % came {late:.2f} s after its end; slack of this machine: {pace.slack:.2f} s")
    assert 0 < late < 10 + pace.slack
    await climbed_in_order(host, trace)
    assert await host.holder() == leader
    await told_in_json(host, operator)


async def told_in_json(host: Host, operator: HostOperator) -> None:
    """Every line is one object, and each about the rollout carries its key: transitions with their place in the chain, failures in full."""
    lines = operator.lines()
    assert [line for line in lines if not {"time", "level", "logger", "message"} <= line.keys()] == []
    key = f"FeatureRollout/{host.world.namespace}/feature"
    about = [line for line in lines if line.get("key") == key]
    named = re.compile(rf"{host.world.namespace}/(featurerollouts/)?feature(?![a-z-])")
    assert [line for line in lines if named.search(json.dumps(line)) and line not in about] == []
    recorded = [(record["transition"], record["seq"], record["hash"]) for record in await host.world.records()]
    told = [(line["message"].partition(":")[0], line["seq"], line["head"]) for line in about if "head" in line]
    assert told == recorded
    failed = [line for line in about if line["message"].startswith("the reconcile ")]
    assert failed, "no reconcile failed while the API server was away"
    for line in failed:
        assert (line["level"], line["logger"]) == ("ERROR", "tidegate.loop.queue")
        assert line["exception"].startswith("Traceback (most recent call last):")
        assert line["exception"].splitlines()[-1].startswith("tidegate."), "all of it, down to what went wrong"


async def test_longer_than_the_lease(host: Host) -> None:
    """The leader writes nothing until it has renewed it, and goes on: nobody has followed it."""
    operator = await host.leading()
    async with climbing(host) as trace:
        leader = await host.holder()
        began, over = await outage(operator, answers(503), 12)
        assert all(call.at < began or not call.applied for call in operator.proxy.writes(leases=True) if call.at < over)
        await host.world.until(seconds=40, phase="Succeeded", pending=None)
    print(f"API server away for {over - began:.1f} s: 50 % came {trace.first(50) - over:.2f} s after its end")
    assert trace.first(50) > over
    assert await host.holder() == leader
    assert "nothing is written until it is" in operator.log.read_text()
    await climbed_in_order(host, trace)


SILENT = (503, "the API server has not answered about the Lease lately\n")
LISTING = (503, "the first listing is under way\n")
OK = (200, "ok\n")


@pytest.mark.parametrize("effect", [pytest.param(answers(503), marks=pytest.mark.proof), cut], ids=["answers 503", "cuts every connection"])
async def test_a_replica_that_hears_nothing_is_alive_but_not_ready(host: Host, effect: Any) -> None:
    """One that stands by: a leader has ended by itself before that. It leads nothing meanwhile, and nothing waits for it."""
    leader, standby = await host.leading("a"), await host.operator("b")
    await host.world.policy()
    standby.start()
    await becomes(standby, OK)
    with standby.proxy.rule(lambda _: True, before=effect):
        standby.proxy.cut_streams()
        await becomes(standby, SILENT)
        assert await leader.probe("readyz") == OK
        await host.world.rollout(canary={"percents": [50, 100], "dwell": "1s"}, bake="1s")
        await host.world.until(phase="Succeeded", pending=None)
        assert await standby.probe("readyz") == SILENT
    await becomes(standby, OK)
    assert (await host.holder()).startswith("a_")


async def test_a_leader_is_ready_once_it_has_listed_everything(host: Host) -> None:
    operator = await host.operator()
    release = asyncio.Event()
    with operator.proxy.rule(on("GET", "featurerollouts", where=lambda call: not call.watches and not call.name), before=held(release)):
        operator.start()
        await host.led_by(operator)
        await becomes(operator, LISTING)
        release.set()
        await becomes(operator, OK)


async def becomes(operator: HostOperator, ready: tuple[int, str]) -> None:
    """Waits for this answer to /readyz; /healthz says ok all the while."""

    async def check() -> bool:
        with contextlib.suppress(aiohttp.ClientConnectionError):  # it may be about to start
            assert await operator.probe("healthz") == OK
            return await operator.probe("readyz") == ready
        return False

    await eventually(f"{operator.candidate} answers {ready}", check, 60)


@asynccontextmanager
async def climbing(host: Host) -> AsyncIterator[Trace]:
    """A climb that has just reached its first step."""
    await host.world.policy()
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
            with contextlib.suppress(aiohttp.ClientConnectionError):  # a leader that lost its Lease has ended
                assert await operator.probe("healthz") == (200, "ok\n"), "restarting would help nobody"
            return time.time() > began + seconds and any(call.kind == "leases" for call in away.fired)

        await eventually("the outage has lasted", lasted, 30, every=0.02)
    return began, time.time()


async def climbed_in_order(host: Host, trace: Trace) -> None:
    assert [percent for percent in trace.percents if percent is not None] == [0, 25, 50, 100]
    assert shortest_dwell(await host.world.records()) >= DWELL
    assert len(await audited(host.world, "feature")) == 9
