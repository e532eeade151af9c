"""One test's own corner of the cluster: a namespace, a policy, metrics that it sets, rollouts that it watches."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

from tests.e2e.support.api import Api, Json, RefusedError, eventually
from tests.e2e.support.exposure import DOCUMENT, Trace, audience, lease_of, record, sees, share_on

TOOLS = "e2e-tools"
PROMETHEUS = "http://prometheus.monitoring:9090"
FLAG_SET = "flags"


class World:
    """`namespace` is also the name of the policy and the value of the label `test` on every series that the test sets."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.api = api
        self.namespace = namespace
        self._series: dict[str, str] = {}

    async def begin(self, labels: dict[str, str] | None = None) -> None:
        await self.api.create(
            "namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace, "labels": labels or {}}}
        )

    async def end(self) -> None:
        with contextlib.suppress(RefusedError):  # a pod that is gone has forgotten everything already
            await self.api.proxy("DELETE", TOOLS, "exporter:9000", f"set/{self.namespace}")
            await self.api.proxy("DELETE", TOOLS, "fake-prometheus:9090", f"log/{self.namespace}")
        await self.api.delete("rolloutpolicies", "", self.namespace)
        for policy in await self.api.list("rolloutpolicies", selector=f"test={self.namespace}"):
            await self.api.delete("rolloutpolicies", "", policy["metadata"]["name"])
        for rollout in await self.api.list("featurerollouts", self.namespace):
            with contextlib.suppress(Exception):
                await self.api.patch("featurerollouts", self.namespace, rollout["metadata"]["name"], {"metadata": {"finalizers": None}})
        await self.api.delete("namespaces", "", self.namespace)

    def selector(self, metric: str, **labels: str) -> str:
        """PromQL that selects this test's series of a metric."""
        return metric + _labels({"test": self.namespace, **labels})

    async def set(self, metric: str, value: float | str, **labels: str) -> None:
        """Exports one series until it is changed; it is in Prometheus after the next scrape (1 s)."""
        self.stage(metric, value, **labels)
        await self.export()

    def stage(self, metric: str, value: float | str, **labels: str) -> None:
        """What the next export will have of one series."""
        self._series[self.selector(metric, **labels)] = str(value)

    async def unset(self, metric: str, **labels: str) -> None:
        self._series.pop(self.selector(metric, **labels), None)
        await self.export()

    async def queryable(self, metric: str, value: float) -> None:
        """Waits until Prometheus answers with this value, so that a rollout doesn't begin before its metrics."""

        async def check() -> bool:
            return (await self.instant(self.selector(metric))) == value

        await eventually(f"{metric} is {value} in Prometheus", check, 30)

    async def instant(self, query: str) -> float | None:
        """One value from the real Prometheus."""
        from urllib.parse import quote

        answer = await self.api.request(
            "GET", f"api/v1/namespaces/monitoring/services/prometheus:9090/proxy/api/v1/query?query={quote(query)}"
        )
        result = answer["data"]["result"]
        return float(result[0]["value"][1]) if result else None

    async def policy(
        self,
        name: str | None = None,
        *,
        guards: list[Json] | None = None,
        selector: dict[str, str] | None = None,
        annotations: dict[str, str] | None = None,
        templates: list[Json] | None = None,
        baselines: list[Json] | None = None,
        **prometheus: Any,
    ) -> None:
        """A RolloutPolicy of the test's, by default the one that its rollouts name."""
        spec: Json = {"prometheus": {"url": PROMETHEUS, "interval": "1s", "staleness": "10s", **prometheus}, "guards": guards or []}
        spec |= {"gateTemplates": templates or [], "baselines": baselines or []}
        if selector is not None:
            spec["namespaceSelector"] = {"matchLabels": selector}
        metadata = {"name": name or self.namespace, "labels": {"test": self.namespace}, "annotations": annotations or {}}
        body = {"apiVersion": "tidegate.io/v1alpha1", "kind": "RolloutPolicy", "metadata": metadata, "spec": spec}
        await self.api.create("rolloutpolicies", body)

    def gate(self, name: str, *, metric: str | None = None, **fields: Any) -> Json:
        """A gate on the test's own series of `metric` (default: the gate's name with underscores)."""
        return {"name": name, "query": self.selector(metric or name.replace("-", "_"))} | fields

    def rollout_body(self, name: str = "feature", *, flag: str | None = None, **spec: Any) -> Json:
        """A FeatureRollout with three quick steps, unless the test says otherwise."""
        target = {"flag": {"key": flag or name, "configMap": FLAG_SET} | spec.pop("flag_fields", {})}
        strategy = {"canary": spec.pop("canary", {"percents": [25, 50, 100], "dwell": "2s"})}
        full = {"policyRef": {"name": self.namespace}, "target": target, "strategy": strategy, "bake": "3s"} | spec
        metadata = {"name": name, "namespace": self.namespace}
        return {"apiVersion": "tidegate.io/v1alpha1", "kind": "FeatureRollout", "metadata": metadata, "spec": full}

    async def rollout(self, name: str = "feature", **spec: Any) -> Json:
        return await self.api.create("featurerollouts", self.rollout_body(name, **spec))

    async def edit(self, name: str = "feature", **spec: Any) -> None:
        await self.api.patch("featurerollouts", self.namespace, name, {"spec": spec})

    async def hasten(self, name: str = "feature", *, percents: tuple[int, ...], dwell: str = "1s") -> None:
        """A short dwell for a rollout that stood still so far: what a test troubles must be in trouble before it could go on."""
        await self.edit(name, strategy={"canary": {"percents": list(percents), "dwell": dwell}})

    async def status(self, name: str = "feature") -> Json:
        status: Json = (await self.api.get("featurerollouts", self.namespace, name)).get("status") or {}
        return status

    async def until(self, name: str = "feature", seconds: float = 60.0, **wanted: Any) -> Json:
        """The status once it has all of `wanted` (phase=…, state=…, percent=…)."""

        async def check() -> Json | None:
            status = await self.status(name)
            return status if all(status.get(key) == value for key, value in wanted.items()) else None

        try:
            found: Json = await eventually(f"{name} is {wanted}", check, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; its status: {await self.status(name)}") from None
        return found

    async def condition(self, name: str, kind: str, reason: str, seconds: float = 60.0) -> Json:
        """The condition once it carries this reason."""

        async def check() -> Json | None:
            conditions = (await self.status(name)).get("conditions") or []
            return next((one for one in conditions if one["type"] == kind and one["reason"] == reason), None)

        found: Json = await eventually(f"{name} has condition {kind} with reason {reason}", check, seconds)
        return found

    async def policy_condition(self, kind: str, reason: str, name: str | None = None, seconds: float = 60.0) -> Json:
        """The condition of a policy (default: the test's own) once it carries this reason."""

        async def check() -> Json | None:
            status = (await self.api.get("rolloutpolicies", "", name or self.namespace)).get("status") or {}
            return next((one for one in status.get("conditions") or [] if (one["type"], one["reason"]) == (kind, reason)), None)

        found: Json = await eventually(f"policy {name or self.namespace} has condition {kind} with reason {reason}", check, seconds)
        return found

    async def exposure(self, flag: str = "feature") -> float | None:
        """The share of clients that the flag set exposes now."""
        config_map = await self.api.find("configmaps", self.namespace, FLAG_SET)
        return None if config_map is None else share_on(config_map["data"][DOCUMENT], flag)

    async def lease(self, flag: str = "feature") -> int | None:
        """When the flag turns itself off by its lease, in Unix seconds; None where it doesn't."""
        return lease_of((await self.api.get("configmaps", self.namespace, FLAG_SET))["data"][DOCUMENT], flag)

    async def sees(self, targeting_key: str, flag: str = "feature") -> bool:
        """Whether this client sees the feature now."""
        return sees((await self.api.get("configmaps", self.namespace, FLAG_SET))["data"][DOCUMENT], flag, targeting_key)

    async def audience(self, flag: str = "feature") -> frozenset[str]:
        """Which of 1000 clients see the feature now."""
        document = (await self.api.get("configmaps", self.namespace, FLAG_SET))["data"][DOCUMENT]
        return audience(document, flag) or frozenset()

    async def gate_status(self, gate: str, name: str = "feature") -> Json:
        """The gate as status has it; {} before it was first read."""
        gates: list[Json] = (await self.status(name)).get("gates") or []
        return next((one for one in gates if one["name"] == gate), {})

    async def shown(self, gate: str, value: float, name: str = "feature") -> None:
        """Waits until the operator's own /metrics, as Prometheus scraped it, shows this reading of a gate."""
        query = f'tidegate_gate_value{{exported_namespace="{self.namespace}",name="{name}",gate="{gate}"}}'

        async def check() -> bool:
            return (await self.instant(query)) == value

        await eventually(f"the operator shows {value} for gate {gate}", check, 30)

    async def records(self, name: str = "feature") -> list[Json]:
        """All records of all attempts, in order."""
        runs = await self.api.list("rolloutruns", self.namespace, f"tidegate.io/rollout={name}")
        runs.sort(key=lambda run: (run["spec"]["attempt"], run["spec"].get("part", 1)))
        return [record for run in runs for record in (run.get("status") or {}).get("records", [])]

    @contextlib.asynccontextmanager
    async def traced(self, flag: str = "feature", flag_set: str = FLAG_SET) -> AsyncIterator[Trace]:
        """Records every exposure of the flag for as long as the block lasts."""
        trace = Trace(flag)
        task = asyncio.create_task(record(self.api, self.namespace, flag_set, trace))
        await asyncio.wait_for(trace.opened.wait(), 30)
        try:
            yield trace
        finally:
            task.cancel()

    @contextlib.asynccontextmanager
    async def followed(self, name: str = "feature") -> AsyncIterator[list[Json]]:
        """Every version of the rollout for as long as the block lasts, in order."""
        versions: list[Json] = []
        opened = asyncio.Event()

        async def follow() -> None:
            while True:
                with contextlib.suppress(OSError, RefusedError, asyncio.IncompleteReadError):
                    async for _, body in self.api.watch("featurerollouts", self.namespace, name, opened.set):
                        versions.append(body)
                await asyncio.sleep(0.05)

        task = asyncio.create_task(follow())
        await asyncio.wait_for(opened.wait(), 30)
        try:
            yield versions
        finally:
            task.cancel()

    async def export(self) -> None:
        """Hands all series of the test to the exporter."""
        text = "\n".join(f"{series} {value}" for series, value in self._series.items())
        await self.api.proxy("PUT", TOOLS, "exporter:9000", f"set/{self.namespace}", text)


def one_sample(value: float, age: float = 0.0) -> str:
    """A value that stays one and the same sample, taken `age` seconds ago, however often it is scraped."""
    return f"{value} {int((time.time() - age) * 1000)}"


def _labels(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"
