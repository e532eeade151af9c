"""Answers that look well and are old: the age is that of the oldest thing that was read, however new the answer is stamped."""

import time

from tests.e2e.support.api import Json, eventually
from tests.e2e.support.fake import FakePrometheus
from tests.e2e.support.installation import PODS, Cluster, tool_pod
from tests.e2e.support.world import World, one_sample

STALENESS = 10.0
GOOD: Json = {"advance": {"lt": 0.1}, "rollback": {"gt": 0.5}}


async def is_stale(world: World, gate: str) -> bool:
    found = await world.gate_status(gate)
    return (found.get("verdict"), found.get("noDataReason")) == ("NO_DATA", "Stale")


async def stays(world: World, fake: FakePrometheus, gate: Json, value: float) -> None:
    """However often the gate is evaluated with this good answer, it stays at 10 %."""
    for _ in range(4):
        assert await world.instant(gate["query"]) == value, "the answer itself must be tempting"
        await fake.evaluated(gate["query"], 1)
    status = await world.status()
    assert (status["state"], status["percent"]) == ("ROLLING_OUT", 10)
    assert f"gate {gate['name']} (no data" in status["waitingFor"]


async def test_a_ratio_with_one_old_side_never_advances(world: World) -> None:
    """Its errors are new, its requests were last exported before it began: a quotient of the two says nothing of now."""
    fake = FakePrometheus.of(world)
    await world.policy(url=fake.url, staleness="10s")
    await world.set("requests", one_sample(100, age=2 * STALENESS))
    await world.set("errors", 1)
    await world.queryable("errors", 1)
    await world.queryable("requests", 100)
    ratio = {"name": "ratio", "query": f"sum({world.selector('errors')}) / sum({world.selector('requests')})", **GOOD}
    async with world.traced() as trace:
        await world.rollout(canary={"percents": [10, 100], "dwell": "1s"}, gates=[ratio])
        await world.until(percent=10)
        await eventually("the gate is stale", lambda: is_stale(world, "ratio"))
        await stays(world, fake, ratio, 0.01)
        assert trace.percents == [0, 10]
        await world.set("requests", 100)
        await world.until(state="ENABLED", percent=100)
    assert trace.percents == [0, 10, 100]


async def test_a_ratio_over_two_exporters_one_of_which_is_dead_never_advances(world: World, cluster: Cluster) -> None:
    """A range goes on answering for the dead one: both numbers are there, and only one of them is news."""
    await own_exporter(world, cluster)
    fake = FakePrometheus.of(world)
    await world.policy(url=fake.url, staleness="10s")
    await world.set("errors", 1)
    await world.queryable("errors", 1)
    requests = f'requests{{namespace="{world.namespace}"}}'
    query = f"sum(avg_over_time({world.selector('errors')}[1m])) / sum(avg_over_time({requests}[1m]))"
    ratio = {"name": "ratio", "query": query, **GOOD}
    async with world.traced() as trace:
        await world.rollout(canary={"percents": [10, 100], "dwell": "1h"}, gates=[ratio])
        await world.until(percent=10)
        await world.api.patch("deployments", world.namespace, "exporter", {"spec": {"replicas": 0}})
        await eventually("the gate is stale", lambda: is_stale(world, "ratio"))
        await world.hasten(percents=(10, 100))
        await stays(world, fake, ratio, 0.01)
        assert trace.percents == [0, 10]


async def own_exporter(world: World, cluster: Cluster) -> None:
    """A second exporter, in the test's namespace, whose gauge `requests` is in Prometheus."""
    scripts = {"metadata": {"name": "scripts", "namespace": world.namespace}, "data": {"exporter.py": (PODS / "exporter.py").read_text()}}
    await world.api.create("configmaps", {"apiVersion": "v1", "kind": "ConfigMap"} | scripts)
    deployment, service = tool_pod(cluster.image, "exporter", 9000, scraped=True, namespace=world.namespace)
    await world.api.create("deployments", deployment)
    await world.api.create("services", service)

    async def ready() -> bool:
        return bool(((await world.api.get("deployments", world.namespace, "exporter")).get("status") or {}).get("readyReplicas"))

    await eventually("the second exporter is ready", ready)
    await world.api.proxy("PUT", world.namespace, "exporter:9000", "set/own", "requests 100")

    async def scraped() -> bool:
        return await world.instant(f'requests{{namespace="{world.namespace}"}}') == 100

    await eventually("its gauge is in Prometheus", scraped, 30)


async def test_a_gauge_that_outlives_the_staleness_never_advances(world: World) -> None:
    """Exported with a timestamp of its own, it is neither renewed nor marked as gone: Prometheus gives it for five minutes."""
    fake = FakePrometheus.of(world)
    await world.policy(url=fake.url, staleness="10s")
    await world.set("errors", one_sample(0.01))
    await world.queryable("errors", 0.01)
    gate = world.gate("errors", **GOOD)
    async with world.traced() as trace:
        await world.rollout(canary={"percents": [10, 100], "dwell": "1h"}, gates=[gate])
        await world.until(percent=10)
        await world.set("errors", one_sample(0.02))
        written = time.time()
        await world.shown("errors", 0.02)

        async def fresh() -> bool:
            return bool((await world.gate_status("errors"))["verdict"] == "ADVANCE")

        await eventually("while it is fresh it lets the rollout advance", fresh, STALENESS)
        await eventually("the gate is stale", lambda: is_stale(world, "errors"))
        assert time.time() - written > STALENESS - 1, "not before its time"
        await world.hasten(percents=(10, 100))
        await stays(world, fake, gate, 0.02)
        assert trace.percents == [0, 10]
        await world.set("errors", 0.03)
        await world.until(state="ENABLED", percent=100)
    assert trace.percents == [0, 10, 100]
