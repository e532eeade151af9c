"""The operator without its watcher: everything between the queue and a fake API server, with a Prometheus whose answer a test sets."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from tests.builders import KEY as FLAG
from tests.builders import raw_gate, raw_spec
from tests.fakes.apiserver import ApiServer
from tidegate.app import Parts, assemble
from tidegate.clients.kubernetes import Kubernetes
from tidegate.clients.prometheus import Endpoint, InstantVector, Prometheus, Series
from tidegate.domain.keys import Key, Kind, Ref, RefKind
from tidegate.levers.flag.flag_set import DOCUMENT_KEY
from tidegate.settings import OperatorSettings

KEY = Key(Kind.FEATURE_ROLLOUT, "shop", "search")
FLAGS = "shop-flags"


class Dial(Prometheus):
    """Shows `value` to every question, as of now."""

    def __init__(self, value: float) -> None:
        self.value = value

    async def instant(self, endpoint: Endpoint, query: str, at: float, keep: int = 0) -> InstantVector:
        ages = tuple(Series((("selector", number),), at) for number in re.findall(r'"selector", "([0-9]+)"', query))
        return InstantVector("vector", ages or (Series((), self.value),), len(ages) or 1)

    async def has_series(self, endpoint: Endpoint, selector: str, since: float, at: float) -> bool:
        return True


class Operated:
    """One rollout, `shop/search`, with one gate that is evaluated every second. Others may come beside it."""

    def __init__(self, server: ApiServer, parts: Parts, dial: Dial, registry: CollectorRegistry) -> None:
        self.server, self.parts, self.dial, self.registry = server, parts, dial, registry

    def status(self, name: str = KEY.name) -> dict[str, Any]:
        return dict(self.server.store.objects["featurerollouts", KEY.namespace, name].get("status") or {})

    def condition(self, kind: str, name: str = KEY.name) -> dict[str, Any]:
        return next((one for one in self.status(name).get("conditions", []) if one["type"] == kind), {})

    def flag_set(self) -> dict[str, Any]:
        return self.server.store.objects["configmaps", KEY.namespace, FLAGS]

    def document(self) -> str:
        return str(self.flag_set()["data"][DOCUMENT_KEY])

    def flag(self, key: str = FLAG) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.document())["flags"][key]
        return found

    def is_off(self, key: str = FLAG) -> bool:
        return self.flag(key)["defaultVariant"] == "off" and not self.flag(key).get("targeting")

    def is_at(self, percent: int, name: str = KEY.name) -> bool:
        status = self.status(name)
        return status.get("percent") == status.get("stepPercent") == percent and "pending" not in status

    def is_rolled_back(self) -> bool:
        return self.status().get("phase") == "RolledBack" and "pending" not in self.status()

    def shown(self, **labels: str) -> float | None:
        """`tidegate_rollout_<name>` for one pair of name and label."""
        ((name, value),) = labels.items()
        return self.registry.get_sample_value(f"tidegate_rollout_{name}", {"namespace": KEY.namespace, "name": KEY.name, name: value})

    def status_writes(self) -> int:
        return sum(request.subresource == "status" and request.plural == "featurerollouts" for request in self.server.requests)

    def reconciles(self) -> int:
        return sum(request.plural == "featurerollouts" and request.verb == "get" for request in self.server.requests)

    async def until(self, condition: Callable[[], object], seconds: float = 30.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def reconciled(self, times: int) -> None:
        before = self.reconciles()
        await self.until(lambda: self.reconciles() >= before + times)

    def wake(self, name: str = KEY.name) -> None:
        """What the watcher does when something changed."""
        self.parts.forget(Ref(RefKind.FLAG_SET, KEY.namespace, FLAGS))
        self.parts.forget(Ref(RefKind.ROLLOUT_POLICY, "", "production"))
        self.parts.enqueue(replace(KEY, name=name))

    async def tick(self, condition: Callable[[], object]) -> None:
        """Wakes it as often as its gate is evaluated, whenever it would come by itself."""
        async with asyncio.timeout(30.0):
            while not condition():
                self.wake()
                await asyncio.sleep(0.2)

    async def put(self, name: str = KEY.name, flag: str = FLAG, **fields: Any) -> None:
        """A person creates a rollout, or changes its spec."""
        where = ("featurerollouts", KEY.namespace, name)
        before = self.server.store.objects.get(where)
        spec = fields if before else rollout_spec(flag) | fields
        await self.server.put("featurerollouts", KEY.namespace, {"metadata": {"name": name}, "spec": spec})
        self.wake(name)

    async def delete(self, name: str = KEY.name) -> None:
        """A person deletes a rollout, and the watcher tells when it is gone."""
        key = replace(KEY, name=name)
        await self.server.remove("featurerollouts", key.namespace, name)
        self.wake(name)
        await self.until(lambda: ("featurerollouts", key.namespace, name) not in self.server.store.objects)
        self.parts.gone(key)
        self.wake(name)

    async def edit(self, name: str = KEY.name, **metadata: Any) -> None:
        await self.server.put("featurerollouts", KEY.namespace, {"metadata": {"name": name} | metadata})
        self.wake(name)

    async def edit_document(self, change: Callable[[dict[str, Any]], object], **metadata: Any) -> None:
        """A person changes the flags of the document; a number that is too large for JSON may be written as infinity."""
        document = json.loads(self.document())
        change(document["flags"])
        text = json.dumps(document).replace("Infinity", "1e400")
        await self.server.put("configmaps", KEY.namespace, {"metadata": {"name": FLAGS} | metadata, "data": {DOCUMENT_KEY: text}})
        self.wake()


def rollout_spec(flag: str = FLAG, **fields: Any) -> dict[str, Any]:
    """On its way to 100 %, an hour a step."""
    spec = raw_spec(dwell="1h", flag={"key": flag}, gates=[raw_gate()])
    return spec | {"policyRef": {"name": "production"}} | fields


@asynccontextmanager
async def operated(server: ApiServer, folder: Path, dial: Dial | None = None, **options: Any) -> AsyncIterator[Operated]:
    """A rollout that has just shown 10 %."""
    prometheus = {"url": "http://prometheus:9090", "interval": "1s", "staleness": "30s"}
    await server.put("namespaces", "", {"metadata": {"name": KEY.namespace}})
    await server.put("rolloutpolicies", "", {"metadata": {"name": "production"}, "spec": {"prometheus": prometheus}})
    registry, dial = CollectorRegistry(), dial or Dial(0.0)
    async with Kubernetes.connect(server.kubeconfig(folder)) as kubernetes:
        settings = OperatorSettings(own_namespace="tidegate", candidate="me", **({"workers": 2} | options))
        parts = assemble(kubernetes, dial, registry, lambda: True, settings)
        working, posting = asyncio.create_task(parts.queue.run()), asyncio.create_task(parts.outbox.run())
        world = Operated(server, parts, dial, registry)
        try:
            await world.put()
            await world.until(lambda: world.is_at(10))
            yield world
        finally:
            await parts.queue.drain(5.0)
            await working
            posting.cancel()
            await asyncio.wait([posting])
