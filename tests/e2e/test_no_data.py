"""Series and sources that are gone: a dead target, a stopped Prometheus, and the deadline that tells the one from the other."""

import asyncio
import copy
import json
import time
from urllib.parse import quote

import pytest

from tests.e2e.support.api import Json, eventually
from tests.e2e.support.fake import FakePrometheus
from tests.e2e.support.installation import PODS, Cluster, tool_pod
from tests.e2e.support.pace import paced
from tests.e2e.support.records import record_of, transitions
from tests.e2e.support.world import World

ERRORS: Json = {"advance": {"lt": 0.1}, "rollback": {"gt": 0.5}}
RANGE = 10.0


async def scale(world: World, deployment: str, replicas: int) -> None:
    await world.api.patch("deployments", world.namespace, deployment, {"spec": {"replicas": replicas}})

    async def check() -> bool:
        status = (await world.api.get("deployments", world.namespace, deployment)).get("status") or {}
        return bool(status.get("readyReplicas", 0) == replicas)

    await eventually(f"{deployment} has {replicas} ready pods", check, 60)


async def test_a_dead_target_behind_a_range_never_advances(world: World, cluster: Cluster) -> None:
    """rate(x[10s]) goes on answering for as long as its range still holds samples: fresh is what the selector says, not the answer."""
    scripts = {"metadata": {"name": "scripts", "namespace": world.namespace}, "data": {"exporter.py": (PODS / "exporter.py").read_text()}}
    await world.api.create("configmaps", {"apiVersion": "v1", "kind": "ConfigMap"} | scripts)
    deployment, service = tool_pod(cluster.image, "exporter", 9000, scraped=True, namespace=world.namespace)
    await world.api.create("deployments", deployment)
    await world.api.create("services", service)
    await scale(world, "exporter", 1)
    await export_own(world)

    fake = FakePrometheus.of(world)
    await world.policy(url=fake.url)
    rate = f'rate(failures_total{{namespace="{world.namespace}"}}[10s])'
    gate = {"name": "failures", "query": rate, "advance": {"lt": 0.1}}
    async with world.traced() as trace:
        await world.rollout(canary={"percents": [10, 100], "dwell": "1s"}, gates=[gate])
        await world.until(percent=10)
        await world.edit(paused=True)  # nothing may move while the target is still alive
        await eventually("the range lies almost wholly in the step", lambda: is_past(trace.first(10) + RANGE - 1))
        await scale(world, "exporter", 0)

        async def no_data() -> bool:
            return (await world.gate_status("failures")).get("noDataReason") == "Stale"

        await eventually("the gate's series are dead", no_data)
        await world.edit(paused=False)
        await world.until(phase="Progressing")
        since, said = time.time(), []
        while (answer := await world.instant(rate)) is not None:
            said.append((time.time(), answer))
            await asyncio.sleep(0.1)
        tempting = [at for at, value in said if at > max(since, trace.first(10) + RANGE) and value == 0]
        assert tempting, "the dead target must have gone on answering with a good value, from a range that lies in the step"
        print(f"\nthe dead target answered with a good value for {tempting[-1] - tempting[0]:.1f} s")
        await fake.evaluated(rate, 3)
        assert trace.percents == [0, 10]
        assert (await world.status())["state"] == "ROLLING_OUT"

        await scale(world, "exporter", 1)
        await export_own(world)
        await world.until(percent=100)


async def export_own(world: World) -> None:
    """A counter at the test's own target, in Prometheus."""
    await world.api.proxy("PUT", world.namespace, "exporter:9000", "set/own", "failures_total 7")

    async def check() -> bool:
        return await world.instant(f'failures_total{{namespace="{world.namespace}"}}') == 7

    await eventually("the counter is in Prometheus", check, 30)


async def is_past(moment: float) -> bool:
    return time.time() > moment


async def own_prometheus(world: World) -> str:
    """A Prometheus of the test's, made as the cluster's own is, that reads the tests' exporter. Returns its URL."""
    shared = await world.api.get("deployments", "monitoring", "prometheus")
    pod: Json = copy.deepcopy(shared["spec"]["template"]["spec"])
    for field in ("serviceAccountName", "serviceAccount"):
        pod.pop(field, None)
    text = (
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
        "scrape_configs: [{job_name: exporter, static_configs: [{targets: ['exporter.e2e-tools:9000']}]}]\n"
    )
    config = {"metadata": {"name": "prometheus", "namespace": world.namespace}, "data": {"prometheus.yml": text}}
    labels = {"app": "prometheus"}
    spec = {"replicas": 1, "strategy": {"type": "Recreate"}, "selector": {"matchLabels": labels}}
    template = {"metadata": {"labels": labels}, "spec": pod | {"terminationGracePeriodSeconds": 1}}
    place = {"name": "prometheus", "namespace": world.namespace}
    ports = [{"name": "http", "port": 9090, "targetPort": 9090}]
    await world.api.create("configmaps", {"apiVersion": "v1", "kind": "ConfigMap"} | config)
    await world.api.create(
        "deployments", {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": place, "spec": spec | {"template": template}}
    )
    await world.api.create(
        "services", {"apiVersion": "v1", "kind": "Service", "metadata": place, "spec": {"selector": labels, "ports": ports}}
    )
    await scale(world, "prometheus", 1)
    await answers(world, "errors")
    return f"http://prometheus.{world.namespace}:9090"


async def answers(world: World, metric: str) -> None:
    """Waits until the test's own Prometheus has a metric."""

    async def check() -> bool:
        path = f"api/v1/query?query={quote(world.selector(metric))}"
        return bool(json.loads(await world.api.proxy("GET", world.namespace, "prometheus:9090", path))["data"]["result"])

    await eventually(f"the test's own Prometheus has {metric}", check)


async def test_a_stopped_prometheus_holds_everything_and_rolls_nothing_back(world: World) -> None:
    deadline = {"deadline": "8s", "then": "rollback"}  # longer than a Prometheus that starts anew takes to its first scrape
    await world.set("errors", 0.01)
    await world.policy(url=await own_prometheus(world), timeout="1s")
    gates = [world.gate("errors", **ERRORS)]
    await world.rollout("climbing", canary={"percents": [10, 100], "dwell": "10s"}, gates=gates, noData=deadline)
    await world.rollout("baking", canary={"percents": [100], "dwell": "1s"}, gates=gates, noData=deadline, bake="1h")
    await world.until("baking", phase="Baking", percent=100)
    await world.until("climbing", percent=10)
    async with world.traced("climbing") as climbing, world.traced("baking") as baking:
        await scale(world, "prometheus", 0)
        for name in ("climbing", "baking"):
            told = await world.condition(name, "MetricsAvailable", "PrometheusUnreachable")
            assert told["status"] == "False"
        # The time that passes is told by a rollout beside them, whose three dwells take longer than the deadline and their own dwell.
        neighbour = f"{world.namespace}-neighbour"
        await world.policy(neighbour)
        await world.rollout("neighbour", policyRef={"name": neighbour}, canary={"percents": [10, 50, 100], "dwell": "4s"}, gates=gates)
        await world.until("neighbour", state="ENABLED")
        for name, state in (("climbing", "ROLLING_OUT"), ("baking", "ENABLED")):
            assert (await world.status(name))["state"] == state
            gate = await world.gate_status("errors", name)
            assert (gate["verdict"], gate["noDataReason"], gate.get("noDataSince")) == ("NO_DATA", "PrometheusUnreachable", None)
        await scale(world, "prometheus", 1)
        await world.until("climbing", state="ENABLED", percent=100)
        assert climbing.percents == [10, 100]
        assert baking.percents == [100]
    for name in ("climbing", "baking"):
        await world.condition(name, "MetricsAvailable", "Answering")
        assert not {"RolledBack", "NoDataDeadline"} & set(transitions(await world.records(name)))


async def test_missing_series_roll_back_at_the_deadline_where_that_is_asked_for(world: World) -> None:
    fake = FakePrometheus.of(world)
    await world.policy(url=fake.url)
    await world.set("errors", 0.01)
    await world.queryable("errors", 0.01)
    gates = [world.gate("errors", **ERRORS)]
    held = {"percents": [10, 100], "dwell": "1h"}
    await world.rollout("goes", canary=held, gates=gates, noData={"deadline": "4s", "then": "rollback"})
    await world.rollout("stays", canary=held, gates=gates, noData={"deadline": "4s", "then": "hold"})
    await world.rollout("full", canary={"percents": [100], "dwell": "1h"}, gates=gates, noData={"deadline": "4s", "then": "rollback"})
    for name in ("goes", "stays"):
        await world.until(name, percent=10)
    await world.until("full", percent=100)
    async with world.traced("goes") as goes, world.traced("stays") as stays, world.traced("full") as full, paced(world) as pace:
        await world.unset("errors")

        async def gone() -> bool:
            return await world.instant(world.selector("errors")) is None

        await eventually("the series is gone from Prometheus", gone, every=0.05)
        since = time.time()
        await world.until("goes", state="ROLLBACK", phase="RolledBack", percent=0)
        lasted = goes.first(0) - since
        print(f"\nrolled back {lasted:.2f} s after the series were gone (deadline: 4s)")
        assert 4 - 1 <= lasted <= 4 + 3 + pace.slack, "the clock starts at the first reconcile without data, within an interval"
        await fake.evaluated(gates[0]["query"], 3)
        assert (stays.percents, full.percents) == ([10], [100])
    assert "longer than noData.deadline" in record_of(await world.records("goes"), "RolledBack")["message"]
    assert "past noData.deadline, held" in record_of(await world.records("stays"), "NoDataDeadline")["message"]
    assert "NoDataDeadline" not in transitions(await world.records("full")), "at 100 % the clock stands still"


@pytest.mark.parametrize("then", ["hold", "rollback"])
async def test_series_that_come_back_in_time_change_nothing(world: World, then: str) -> None:
    await world.policy()
    await world.set("errors", 0.01)
    await world.queryable("errors", 0.01)
    gate = world.gate("errors", **ERRORS)
    await world.rollout(canary={"percents": [10, 100], "dwell": "6s"}, gates=[gate], noData={"deadline": "30s", "then": then})
    await world.until(percent=10)
    await world.unset("errors")

    async def no_data() -> bool:
        return "noDataSince" in await world.gate_status("errors")

    await eventually("the gate has no data", no_data)
    await world.set("errors", 0.02)
    await world.until(state="ENABLED", percent=100)
    assert "noDataSince" not in await world.gate_status("errors")
