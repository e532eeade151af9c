"""One test's own corner of the cluster: a namespace, a policy, metrics that it sets, rollouts that it watches."""

import asyncio
import contextlib
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.e2e.support.api import Api, Json, RefusedError, eventually
from tests.e2e.support.flag_sets import FLAG_SET, FlagSets

TOOLS = "e2e-tools"
PROMETHEUS = "http://prometheus.monitoring:9090"
BAND: Json = {"advance": {"lt": 0.1}, "rollback": {"gt": 0.5}}
"""What most gates are about: good below, bad above, on two samples in a row."""
HELD: Json = {"percents": [10, 50, 100], "dwell": "1h"}
QUICK: Json = {"percents": [10, 50, 100], "dwell": "1s"}


class World(FlagSets):
    """`namespace` is also the name of the policy and the value of the label `test` on every series that the test sets. `prometheus` is
    the URL that its policies name."""

    def __init__(self, api: Api, namespace: str) -> None:
        super().__init__(api, namespace)
        self.prometheus = PROMETHEUS
        self._series: dict[str, str] = {}

    @classmethod
    def of(cls, api: Api, prefix: str, test: str) -> "World":
        """For a test; which operators look after it is said by the namespace's prefix."""
        slug = re.sub(r"[^a-z0-9]+", "-", test.lower())[:36].strip("-")
        return cls(api, f"{prefix}-{slug}-{secrets.token_hex(3)}")

    @classmethod
    @asynccontextmanager
    async def beside(cls, api: Api, other: "World") -> AsyncIterator["World"]:
        """A second namespace of a test."""
        world = cls(api, f"{other.namespace[:50]}-{secrets.token_hex(3)}")
        await world.begin()
        try:
            yield world
        finally:
            await world.end()

    async def begin(self) -> None:
        await self.api.create("namespaces", {"metadata": {"name": self.namespace}})

    async def end(self) -> None:
        with contextlib.suppress(RefusedError):  # a pod that is gone has forgotten everything already
            await self.api.proxy("DELETE", TOOLS, "exporter:9000", f"set/{self.namespace}")
            await self.api.proxy("DELETE", TOOLS, "fake-prometheus:9090", f"log/{self.namespace}")
        for policy in await self.api.list("rolloutpolicies", selector=f"test={self.namespace}"):
            await self.api.delete("rolloutpolicies", "", policy["metadata"]["name"])
        for rollout in await self.api.list("featurerollouts", self.namespace):
            with contextlib.suppress(Exception):
                await self.api.patch("featurerollouts", self.namespace, rollout["metadata"]["name"], {"metadata": {"finalizers": None}})
        await self.api.delete("namespaces", "", self.namespace)

    # metrics

    def selector(self, metric: str, **labels: str) -> str:
        """PromQL that selects this test's series of a metric."""
        return metric + _labels({"test": self.namespace, **labels})

    async def set(self, metric: str, value: float | str, **labels: str) -> None:
        """Exports one series until it is changed; it is in Prometheus after the next scrape (1 s)."""
        self.stage(metric, value, **labels)
        await self.export()

    async def measured(self, metric: str, value: float | str, **labels: str) -> None:
        """Exports one series, and waits until Prometheus has it, so that a rollout doesn't begin before its metrics."""
        await self.set(metric, value, **labels)
        await self.answers(self.selector(metric, **labels), float(str(value).split()[0]))

    def stage(self, metric: str, value: float | str, **labels: str) -> None:
        """What the next export will have of one series."""
        self._series[self.selector(metric, **labels)] = str(value)

    async def unset(self, metric: str, **labels: str) -> None:
        self._series.pop(self.selector(metric, **labels), None)
        await self.export()

    async def export(self) -> None:
        """Hands all series of the test to the exporter."""
        text = "\n".join(f"{series} {value}" for series, value in self._series.items())
        await self.api.proxy("PUT", TOOLS, "exporter:9000", f"set/{self.namespace}", text)

    async def instant(self, query: str) -> float | None:
        """One value from the real Prometheus."""
        result = await self.api.prometheus(query)
        return float(result[0]["value"][1]) if result else None

    async def answers(self, query: str, value: float | None, seconds: float = 30.0, every: float = 0.1) -> None:
        """Waits until the real Prometheus gives this value; None for nothing."""

        async def check() -> bool:
            return await self.instant(query) == value

        try:
            await eventually(f"{query} is {value} in Prometheus", check, seconds, every)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {await self.instant(query)}") from None

    async def shown(self, gate: str, value: float, name: str = "feature") -> None:
        """Waits until the operator's own /metrics, as Prometheus scraped it, shows this reading of a gate."""
        await self.answers(f'tidegate_gate_value{{exported_namespace="{self.namespace}",name="{name}",gate="{gate}"}}', value)

    # objects

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
        spec: Json = {"prometheus": {"url": self.prometheus, "interval": "1s", "staleness": "10s", **prometheus}, "guards": guards or []}
        spec |= {"gateTemplates": templates or [], "baselines": baselines or []}
        if selector is not None:
            spec["namespaceSelector"] = {"matchLabels": selector}
        metadata = {"name": name or self.namespace, "labels": {"test": self.namespace}, "annotations": annotations or {}}
        await self.api.create("rolloutpolicies", {"metadata": metadata, "spec": spec})

    async def edit_policy(self, name: str | None = None, **spec: Any) -> None:
        await self.api.patch("rolloutpolicies", "", name or self.namespace, {"spec": spec})

    def gate(self, name: str, *, metric: str | None = None, **fields: Any) -> Json:
        """A gate on the test's own series of `metric` (default: the gate's name with underscores)."""
        return {"name": name, "query": self.selector(metric or name.replace("-", "_"))} | fields

    def errors(self, **rollback: Any) -> Json:
        """The gate of most tests, on their metric `errors`; `rollback` adds to its rule."""
        return self.gate("errors", advance=BAND["advance"], rollback=BAND["rollback"] | rollback)

    def rollout_body(self, name: str = "feature", *, flag: str | None = None, **spec: Any) -> Json:
        """A FeatureRollout with three quick steps, unless the test says otherwise."""
        target = {"flag": {"key": flag or name, "configMap": FLAG_SET} | spec.pop("flag_fields", {})}
        strategy = {"canary": spec.pop("canary", {"percents": [25, 50, 100], "dwell": "2s"})}
        full = {"policyRef": {"name": self.namespace}, "target": target, "strategy": strategy, "bake": "3s"} | spec
        return {"metadata": {"name": name, "namespace": self.namespace}, "spec": full}

    async def rollout(self, name: str = "feature", **spec: Any) -> Json:
        return await self.api.create("featurerollouts", self.rollout_body(name, **spec))

    async def exposed(self, name: str = "feature", *, policy: Json | None = None, **spec: Any) -> Json:
        """A rollout of the test's policy, with the gate of most tests in good order, and the first step in force; its status."""
        await self.measured("errors", 0.01)
        await self.policy(**policy or {})
        spec = {"canary": HELD, "gates": [self.errors()]} | spec
        await self.rollout(name, **spec)
        settled: Json = {"pending": None, "raising": None} if spec["canary"]["dwell"] == HELD["dwell"] else {}
        return await self.until(name, percent=spec["canary"]["percents"][0], **settled)

    async def edit(self, name: str = "feature", **spec: Any) -> None:
        await self.api.patch("featurerollouts", self.namespace, name, {"spec": spec})

    async def edited(self, name: str = "feature", **spec: Any) -> Json:
        """Edits a rollout; the status once it is about the edited spec."""
        await self.edit(name, **spec)
        return await self.until(name, observedGeneration=await self.generation(name), pending=None)

    async def generation(self, name: str = "feature") -> int:
        return int((await self.api.get("featurerollouts", self.namespace, name))["metadata"]["generation"])

    async def hasten(self, name: str = "feature", *, percents: tuple[int, ...] = (10, 50, 100), dwell: str = "1s") -> None:
        """A short dwell for a rollout that stood still so far: what a test troubles must be in trouble before it could go on."""
        await self.edit(name, strategy={"canary": {"percents": list(percents), "dwell": dwell}})

    async def delete(self, name: str = "feature") -> None:
        """Deletes a rollout, and waits until it is gone."""
        await self.api.delete("featurerollouts", self.namespace, name)
        await self.gone(name)

    async def gone(self, name: str = "feature") -> None:
        async def check() -> bool:
            return await self.api.find("featurerollouts", self.namespace, name) is None

        await eventually(f"{name} is gone", check)

    # what is told

    async def status(self, name: str = "feature") -> Json:
        status: Json = (await self.api.get("featurerollouts", self.namespace, name)).get("status") or {}
        return status

    async def when(self, what: str, holds: Callable[[Json], Any], name: str = "feature", seconds: float = 60.0) -> Json:
        """The status once something holds of it."""

        async def check() -> Json | None:
            status = await self.status(name)
            return status if holds(status) else None

        try:
            found: Json = await eventually(f"{name} {what}", check, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; its status: {await self.status(name)}") from None
        return found

    async def until(self, name: str = "feature", seconds: float = 60.0, **wanted: Any) -> Json:
        """The status once it has all of `wanted` (phase=…, state=…, percent=…)."""
        return await self.when(f"is {wanted}", lambda status: _has(status, wanted), name, seconds)

    async def rolled_back(self, name: str = "feature", **wanted: Any) -> Json:
        """The status once the rollout is off for everybody because of a verdict."""
        return await self.until(name, state="ROLLBACK", phase="RolledBack", percent=0, **wanted)

    async def succeeded(self, name: str = "feature", **wanted: Any) -> Json:
        """The status once all steps and the bake are over."""
        end: Json = {"state": "ENABLED", "phase": "Succeeded", "percent": 100}
        return await self.until(name, **end | wanted)

    async def condition(self, name: str, kind: str, reason: str, seconds: float = 60.0) -> Json:
        """The condition once it carries this reason."""
        status = await self.when(f"has {kind} for {reason}", lambda status: _condition(status, kind, reason), name, seconds)
        return _condition(status, kind, reason) or {}

    async def policy_condition(self, kind: str, reason: str, name: str | None = None, seconds: float = 60.0) -> Json:
        """The condition of a policy (default: the test's own) once it carries this reason."""

        async def check() -> Json | None:
            return _condition((await self.api.get("rolloutpolicies", "", name or self.namespace)).get("status") or {}, kind, reason)

        found: Json = await eventually(f"policy {name or self.namespace} has condition {kind} with reason {reason}", check, seconds)
        return found

    async def gate_status(self, gate: str, name: str = "feature") -> Json:
        """The gate as status has it; {} before it was first read."""
        return _gate(await self.status(name), gate)

    async def gate_until(self, gate: str, name: str = "feature", seconds: float = 60.0, **wanted: Any) -> Json:
        """The gate as status has it, once it has all of `wanted` (verdict=…, noDataReason=…)."""
        status = await self.when(f"has {wanted} for gate {gate}", lambda status: _has(_gate(status, gate), wanted), name, seconds)
        return _gate(status, gate)

    async def records(self, name: str = "feature") -> list[Json]:
        """All records of all attempts, in order."""
        runs = await self.api.list("rolloutruns", self.namespace, f"tidegate.io/rollout={name}")
        runs.sort(key=lambda run: (run["spec"]["attempt"], run["spec"].get("part", 1)))
        return [record for run in runs for record in (run.get("status") or {}).get("records", [])]

    async def transitions(self, name: str = "feature") -> list[str]:
        """The names of what happened, in order."""
        return [record["transition"] for record in await self.records(name)]

    async def told(self, transition: str, name: str = "feature") -> Json:
        """The newest record of a transition."""
        return [record for record in await self.records(name) if record["transition"] == transition][-1]

    async def events(self, reason: str) -> list[Json]:
        """The Events of a reason, once there is one."""

        async def check() -> list[Json]:
            return [one for one in await self.api.list("events", self.namespace) if one["reason"] == reason]

        found: list[Json] = await eventually(f"an Event tells of {reason}", check)
        return found

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


def one_sample(value: float, age: float = 0.0) -> str:
    """A value that stays one and the same sample, taken `age` seconds ago, however often it is scraped."""
    return f"{value} {int((time.time() - age) * 1000)}"


def _has(found: Json, wanted: Json) -> bool:
    return all(found.get(key) == value for key, value in wanted.items())


def _condition(status: Json, kind: str, reason: str) -> Json | None:
    return next((one for one in status.get("conditions") or [] if (one["type"], one["reason"]) == (kind, reason)), None)


def _gate(status: Json, gate: str) -> Json:
    gates: list[Json] = status.get("gates") or []
    return next((one for one in gates if one["name"] == gate), {})


def _labels(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"
