"""Prometheus is upgraded in the middle of a bake: away for a while, then back without anything of what it had stored."""

import time
from datetime import datetime

from tests.e2e.support import own_pods
from tests.e2e.support.api import Json, eventually
from tests.e2e.support.world import HELD, QUICK, World


def violations(world: World) -> Json:
    return {"name": "violations", "count": {"counter": world.selector("violations_total", job="pods")}, "rollback": {"gte": 3}}


async def test_prometheus_upgraded_mid_bake_ends_no_bake_and_loses_no_count(world: World) -> None:
    await world.set("errors", 0.01)
    await world.set("violations_total", 7)
    await world.policy(url=await own_pods.prometheus(world))
    gates = [world.errors(**{"for": "3s"}), violations(world)]
    async with world.traced() as trace:
        await world.rollout(canary=QUICK, gates=gates, bake="12s", noData={"deadline": "2s", "then": "rollback"})
        await world.until(phase="Baking", percent=100)
        await world.set("violations_total", 8)
        await world.shown("violations", 1)
        await own_pods.scaled(world, "prometheus", 0)
        told = await world.condition("feature", "MetricsAvailable", "PrometheusUnreachable", seconds=90)
        assert told["status"] == "False"
        enabled = datetime.fromisoformat((await world.status())["enabledAt"]).timestamp()
        await eventually("the bake's time is over", lambda: time.time() > enabled + 14)
        assert (await world.status())["phase"] == "Baking", "nobody watched: the bake goes on"
        await world.set("violations_total", 9)
        await own_pods.scaled(world, "prometheus", 1)
        await world.succeeded()
    assert trace.percents[-1] == 100
    assert "RolledBack" not in await world.transitions()


async def test_a_count_goes_on_over_an_upgrade(world: World) -> None:
    await world.set("violations_total", 7)
    await world.policy(url=await own_pods.prometheus(world))
    await world.rollout(canary=HELD, gates=[violations(world)])
    await world.until(percent=10)
    await world.set("violations_total", 8)
    await world.shown("violations", 1)
    await own_pods.scaled(world, "prometheus", 0)
    await world.set("violations_total", 9)  # while nobody scrapes
    await own_pods.scaled(world, "prometheus", 1)
    await world.shown("violations", 2)
    assert (await world.status())["state"] == "ROLLING_OUT"
    await world.set("violations_total", 10)
    await world.rolled_back(pending=None)
    assert (await world.told("RolledBack"))["message"].startswith("gate violations: 3 ")
