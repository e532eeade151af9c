"""Prometheus is upgraded in the middle of a bake: away for a while, then back without anything of what it had stored."""

import time
from datetime import datetime

from tests.e2e.support import own_prometheus
from tests.e2e.support.api import Json, eventually
from tests.e2e.support.records import record_of, transitions
from tests.e2e.support.world import World

CANARY: Json = {"percents": [50, 100], "dwell": "1s"}


async def test_prometheus_upgraded_mid_bake_ends_no_bake_and_loses_no_count(world: World) -> None:
    await world.set("errors", 0.01)
    await world.set("violations_total", 7)
    url = await own_prometheus.deploy(world)
    await world.policy(url=url)
    counter = world.selector("violations_total", job="pods")
    gates = [
        world.gate("errors", advance={"lt": 0.1}, rollback={"gt": 0.5, "for": "3s"}),
        {"name": "violations", "count": {"counter": counter}, "rollback": {"gte": 3}},
    ]
    async with world.traced() as trace:
        await world.rollout(canary=CANARY, gates=gates, bake="12s", noData={"deadline": "2s", "then": "rollback"})
        await world.until(phase="Baking", percent=100)
        await world.set("violations_total", 8)
        await world.shown("violations", 1)
        await own_prometheus.scaled(world, 0)
        told = await world.condition("feature", "MetricsAvailable", "PrometheusUnreachable", seconds=90)
        assert told["status"] == "False"
        enabled = (await world.status())["enabledAt"]

        async def bake_is_over_on_the_clock() -> bool:
            return time.time() > datetime.fromisoformat(enabled).timestamp() + 14

        await eventually("the bake's time is over", bake_is_over_on_the_clock)
        assert (await world.status())["phase"] == "Baking", "nobody watched: the bake goes on"
        await world.set("violations_total", 9)
        await own_prometheus.scaled(world, 1)
        await world.until(phase="Succeeded", state="ENABLED", percent=100)
    assert trace.percents[-1] == 100
    assert "RolledBack" not in transitions(await world.records())


async def test_a_count_goes_on_over_an_upgrade(world: World) -> None:
    await world.set("violations_total", 7)
    url = await own_prometheus.deploy(world)
    await world.policy(url=url)
    counter = world.selector("violations_total", job="pods")
    gate = {"name": "violations", "count": {"counter": counter}, "rollback": {"gte": 3}}
    await world.rollout(canary={"percents": [10, 100], "dwell": "1h"}, gates=[gate])
    await world.until(percent=10)
    await world.set("violations_total", 8)
    await world.shown("violations", 1)
    await own_prometheus.scaled(world, 0)
    await world.set("violations_total", 9)  # while nobody scrapes
    await own_prometheus.scaled(world, 1)
    await world.shown("violations", 2)
    assert (await world.status())["state"] == "ROLLING_OUT"
    await world.set("violations_total", 10)
    await world.until(state="ROLLBACK", percent=0)
    assert record_of(await world.records(), "RolledBack")["message"].startswith("gate violations: 3 ")
