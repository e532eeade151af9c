"""Each alert of the chart fires once in a real Prometheus, which scrapes a release of the chart, for the trouble that it is about.

Not here: TidegateReconcilesLate, since no trouble makes a small release late.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from tests.e2e.support import own_pods
from tests.e2e.support.api import Api, Json, eventually
from tests.e2e.support.exposure import DOCUMENT, lease_of
from tests.e2e.support.flag_sets import ON_OFF
from tests.e2e.support.host_operator import grant
from tests.e2e.support.installation import Cluster
from tests.e2e.support.leases import leased
from tests.e2e.support.release import CHART, Release, installed
from tests.e2e.support.world import BAND, HELD, World

NOBODY_LISTENS = "http://127.0.0.1:9"
NOT_HERE = {"TidegateReconcilesLate"}
BROKEN: Json = {"state": "ENABLED"}
PODS = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]
CONFIG = """
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [/etc/prometheus/alerts.json]
scrape_configs:
  - job_name: tidegate
    honor_labels: true
    kubernetes_sd_configs: [{role: pod, namespaces: {names: [NAMESPACE]}}]
    relabel_configs:
      - {source_labels: [__meta_kubernetes_pod_container_port_name], regex: http, action: keep}
      - {source_labels: [__meta_kubernetes_pod_label_app_kubernetes_io_component], target_label: job}
      - {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
      - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
"""


class Watched(World):
    """The namespace that the release looks after, and the Prometheus in it that has the chart's alerts."""

    def __init__(self, api: Api, release: Release) -> None:
        super().__init__(api, release.watched)
        self.release = release
        self.groups = _groups(release)
        self.fired: set[str] = set()

    async def scrape(self) -> None:
        await grant(self.api, self.release.namespace, self.namespace, "default", PODS)
        files = {"prometheus.yml": CONFIG.replace("NAMESPACE", self.release.namespace), "alerts.json": json.dumps({"groups": self.groups})}
        await own_pods.prometheus(self, files)

    async def asked(self, query: str) -> list[Json]:
        answer = await self.api.proxy("GET", self.namespace, f"prometheus:{own_pods.PORT}", f"api/v1/query?query={quote(query)}")
        result: list[Json] = json.loads(answer)["data"]["result"]
        return result

    async def scraped(self, query: str) -> None:
        """Waits until Prometheus has something that this selects."""

        async def check() -> bool:
            return bool(await self.asked(query))

        await eventually(f"{query} is scraped", check, 60)

    async def firing(self) -> set[str]:
        """The alerts, each followed by what it is about."""
        series = [one["metric"] for one in await self.asked('ALERTS{alertstate="firing"}')]
        return {" ".join([one["alertname"], *([one["name"]] if "name" in one else [])]) for one in series}

    async def fires(self, *alerts: str) -> None:
        """Waits until all of these fire at a time."""

        async def check() -> bool:
            return set(alerts) <= await self.firing()

        try:
            await eventually(f"{alerts} fire", check, 60)
        except AssertionError as error:
            raise AssertionError(f"{error}; {await self.firing()} do") from None
        self.fired |= {one.partition(" ")[0] for one in alerts}

    async def begun(self, name: str, **spec: Any) -> None:
        """A rollout at its first step, with a gate on a metric of its own."""
        await self.measured(name, 0.01)
        gate = self.gate(name, advance=BAND["advance"], rollback=BAND["rollback"])
        await self.rollout(name, **{"canary": HELD, "gates": [gate]} | spec)
        await self.until(name, percent=10, pending=None)

    async def let_go(self) -> None:
        """The operator has no rights any more by which it would."""
        for rollout in await self.api.list("featurerollouts", self.namespace):
            await self.api.patch("featurerollouts", self.namespace, rollout["metadata"]["name"], {"metadata": {"finalizers": None}})

    def kubectl(self, *arguments: str) -> None:
        """In the release's own namespace."""
        answer = self.release.kubectl("-n", self.release.namespace, *arguments)
        assert answer.accepted, answer.text


def _groups(release: Release) -> list[Json]:
    """The alerts as the chart renders them, but none waits before it fires."""
    values = release.cluster.values(release.watched) | {"metrics": {"prometheusRule": {"enabled": True, "renderMode": "alwaysRender"}}}
    arguments = ("template", "tidegate", str(CHART), f"--namespace={release.namespace}", "--values=-")
    rendered = yaml.safe_load_all(release.cluster.run(release.cluster.helm, *arguments, text=json.dumps(values)))
    groups: list[Json] = next(each for each in rendered if each and each["kind"] == "PrometheusRule")["spec"]["groups"]
    return [group | {"rules": [rule | {"for": "0s"} for rule in group["rules"]]} for group in groups]


@pytest.fixture
async def watched(api: Api, cluster: Cluster) -> AsyncIterator[Watched]:
    """The namespace outlives the release, which cleans up in it."""
    with installed(cluster) as release:
        watched = Watched(api, release)
        try:
            await watched.scrape()
            await watched.policy()
            yield watched
        finally:
            await watched.let_go()
    await watched.end()


async def test_each_alert_fires_for_its_trouble_and_for_no_other(watched: Watched) -> None:
    await pending_is_silent(watched)
    await asyncio.gather(rollouts_in_trouble(watched), a_silent_source(watched), a_contest(watched), begun_with_a_lease(watched))
    await records_refused(watched)
    await asyncio.gather(flag_servers_in_trouble(watched), no_operator(watched))
    await an_operator_without_rights(watched)
    assert watched.fired == {rule["alert"] for group in watched.groups for rule in group["rules"]} - NOT_HERE


async def pending_is_silent(watched: Watched) -> None:
    await watched.rollout("pending", policyRef={"name": "none"})
    await watched.condition("pending", "Stalled", "PolicyMissing")

    async def scraped() -> bool:
        shown = await watched.asked('tidegate_rollout_phase{phase="Pending"}==1')
        return bool(shown) and await watched.firing() == set()

    await eventually("the pending rollout is scraped, and nothing fires", scraped, 60)


async def rollouts_in_trouble(watched: Watched) -> None:
    await watched.begun("fallen")
    await watched.begun("refused", flag_fields={"configMap": "frozen"})
    await watched.begun("blind")
    await watched.begun("edited")
    await watched.api.patch("configmaps", watched.namespace, "frozen", {"immutable": True})
    await watched.set("fallen", 0.9)
    await watched.set("refused", 0.9)
    await watched.unset("blind")
    await watched.edit("edited", gates=[{"name": "broken", "query": "sum(", "rollback": {"gt": 1}}])
    await watched.fires(
        "TidegateRolledBack fallen",
        "TidegateRollbackNotMade refused",
        "TidegateReconcilesFail",
        "TidegateGateWithoutData blind",
        "TidegateRolloutStuck edited",
    )


async def records_refused(watched: Watched) -> None:
    """The RolloutRun of one that climbs is deleted, and a quota leaves no room for another."""
    await watched.begun("unrecorded")
    hard = {"count/rolloutruns.tidegate.io": "0"}
    await watched.api.create("resourcequotas", {"metadata": {"name": "full", "namespace": watched.namespace}, "spec": {"hard": hard}})

    async def counted() -> bool:
        return "status" in await watched.api.get("resourcequotas", watched.namespace, "full")

    await eventually("the quota is counted", counted, 60)
    await watched.api.delete("rolloutruns", watched.namespace, "unrecorded-1")
    await watched.edit("unrecorded", bake="2h")
    await watched.fires("TidegateNotRecorded unrecorded")
    await watched.api.delete("resourcequotas", watched.namespace, "full")


async def a_silent_source(watched: Watched) -> None:
    name = f"{watched.namespace}-silent"
    spec = {"prometheus": {"url": NOBODY_LISTENS, "interval": "1s", "staleness": "10s"}}
    await watched.api.create("rolloutpolicies", {"metadata": {"name": name, "labels": {"test": watched.namespace}}, "spec": spec})
    await watched.fires("TidegateSourceSilent")


async def a_contest(watched: Watched) -> None:
    await watched.begun("contested", flag_fields={"configMap": "shared"})
    await watched.scraped('tidegate_rollout_drifts_total{name="contested"} == 0')  # what has risen before it was scraped has not risen
    for number in range(1, 4):
        document = await watched.document("shared")
        document["flags"]["contested"]["defaultVariant"] = "on"
        data = {"data": {DOCUMENT: json.dumps(document)}}
        await watched.api.patch("configmaps", watched.namespace, "shared", data, fieldManager="night-shift")
        await corrected(watched, number)
    await watched.fires("TidegateDrifted contested", "TidegateContested contested")


async def corrected(watched: Watched, times: int) -> None:
    def so_often(status: Json) -> bool:
        return bool(status.get("drift", {}).get("total") == times)

    await watched.when(f"is corrected {times} times", so_often, "contested")


async def begun_with_a_lease(watched: Watched) -> None:
    await leased(watched, "leased", flag_fields={"configMap": "leases"})
    await watched.until("leased", percent=50, pending=None)


async def flag_servers_in_trouble(watched: Watched) -> None:
    """A flag breaks; then one of the two servers is started anew, and then both, without the right to list."""
    sound = {"flags": {"colour": ON_OFF | {"defaultVariant": "on"}}}
    await watched.make_flag_set(json.dumps(sound), "by-hand")

    async def served() -> bool:
        return len(await watched.asked('tidegate_flags_document_hash{name="by-hand"}')) == 2

    await eventually("both serve it", served, 60)
    broken = {"data": {DOCUMENT: json.dumps({"flags": {"colour": BROKEN}})}}
    await watched.api.patch("configmaps", watched.namespace, "by-hand", broken)
    await watched.fires("TidegateFlagSetBroken by-hand")
    first, _ = await servers(watched)
    watched.kubectl("delete", "pod", first)
    await watched.fires("TidegateFlagsDiffer by-hand")
    taken = watched.release.kubectl("-n", watched.namespace, "delete", "rolebinding", f"tidegate-flags.{watched.release.namespace}")
    assert taken.accepted, taken.text
    for pod in await servers(watched):
        watched.kubectl("delete", "pod", pod)
    await watched.fires("TidegateFlagServerBehind", "TidegateFlagsNotServed")


async def servers(watched: Watched) -> list[str]:
    found = watched.release.get("pods", "-n", watched.release.namespace, "-l", "app.kubernetes.io/component=flags")["items"]
    return [pod["metadata"]["name"] for pod in found if "deletionTimestamp" not in pod["metadata"]]


async def no_operator(watched: Watched) -> None:
    watched.kubectl("scale", "deployment", "tidegate-operator", "--replicas=0")
    await watched.fires("TidegateNoLeader")
    end = lease_of(await watched.text("leases"), "leased")
    assert end is not None
    await eventually("the lease is over", lambda: time.time() > end, 75, every=0.5)
    watched.kubectl("scale", "deployment", "tidegate-operator", "--replicas=1")
    await watched.fires("TidegateLeaseExpired leased")


async def an_operator_without_rights(watched: Watched) -> None:
    taken = watched.release.kubectl("-n", watched.namespace, "delete", "rolebinding", f"tidegate-operator.{watched.release.namespace}")
    assert taken.accepted, taken.text
    watched.kubectl("delete", "pod", "-l", "app.kubernetes.io/component=operator")
    await watched.fires("TidegateNotLookingAfter")
