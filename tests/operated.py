"""The operator without its watcher: everything between the queue and a fake API server, with a Prometheus whose answer a test sets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from tests.builders import raw_gate, raw_spec
from tests.fakes.apiserver import ApiServer
from tidegate.app import Parts, assemble
from tidegate.clients.kubernetes import Kubernetes
from tidegate.clients.prometheus import Endpoint, InstantVector, Prometheus, Series
from tidegate.domain.keys import Key, Kind
from tidegate.levers.flag import DOCUMENT_KEY
from tidegate.settings import OperatorSettings

KEY = Key(Kind.FEATURE_ROLLOUT, "shop", "search")
FLAGS = "shop-flags"


class Dial(Prometheus):
    """Shows `value` to every question, as of now."""

    def __init__(self, value: float) -> None:
        self.value = value

    async def instant(self, endpoint: Endpoint, query: str, at: float) -> InstantVector:
        return InstantVector("vector", (Series((), at if "timestamp(" in query else self.value),), 1)

    async def has_series(self, endpoint: Endpoint, selector: str, since: float, at: float) -> bool:
        return True


class Operated:
    """One rollout, `shop/search`, with one gate that is evaluated every second."""

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

    def shown(self, **labels: str) -> float | None:
        """`tidegate_rollout_<name>` for one pair of name and label."""
        ((name, value),) = labels.items()
        return self.registry.get_sample_value(f"tidegate_rollout_{name}", {"namespace": KEY.namespace, "name": KEY.name, name: value})

    def status_writes(self) -> int:
        return sum(request.subresource == "status" and request.plural == "featurerollouts" for request in self.server.requests)

    def looks(self) -> int:
        return sum(request.plural == "featurerollouts" and request.verb == "get" for request in self.server.requests)

    async def until(self, condition: Callable[[], object], seconds: float = 30.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def looked(self, times: int) -> None:
        before = self.looks()
        await self.until(lambda: self.looks() >= before + times)

    def look(self) -> None:
        """What the watcher does when something changed."""
        self.parts.rollouts.flag_sets.forget((KEY.namespace, FLAGS))
        self.parts.queue.add(KEY)


@asynccontextmanager
async def operated(server: ApiServer, folder: Path) -> AsyncIterator[Operated]:
    """A rollout on its way to 100 %, an hour a step, that has just shown 10 %."""
    prometheus = {"url": "http://prometheus:9090", "interval": "1s", "staleness": "30s"}
    await server.put("rolloutpolicies", "", {"metadata": {"name": "production"}, "spec": {"prometheus": prometheus}})
    spec = raw_spec(dwell="1h", gates=[raw_gate()]) | {"policyRef": {"name": "production"}}
    await server.put("featurerollouts", KEY.namespace, {"metadata": {"name": KEY.name}, "spec": spec})
    registry, dial = CollectorRegistry(), Dial(0.0)
    async with Kubernetes.connect(server.kubeconfig(folder)) as kubernetes:
        settings = OperatorSettings(own_namespace="tidegate", candidate="me", workers=2)
        parts = assemble(kubernetes, dial, registry, lambda: True, settings)
        working, posting = asyncio.create_task(parts.queue.run()), asyncio.create_task(parts.outbox.run())
        world = Operated(server, parts, dial, registry)
        world.look()
        try:
            await world.until(lambda: world.status().get("percent") == 10 and "pending" not in world.status())
            yield world
        finally:
            await parts.queue.drain(5.0)
            await working
            posting.cancel()
            await asyncio.wait([posting])
