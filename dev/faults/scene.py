"""What all trials share: the witness, the applications, the kubelet's part."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode

import aiohttp
from tests.e2e.support.api import Api, RefusedError, eventually

from demo.beforehand import OPERATOR_NAMESPACE
from faults.exporter import METRIC, Exporter
from faults.plant import LEASE, Plant
from faults.witness import Stored

PATIENCE = 60.0
POLL_SECONDS = 0.05
LOOK_SECONDS = 0.5
WRITTEN = ("configmaps", "leases", "featurerollouts", "rolloutruns")


@dataclass
class Scene:
    """One plant, and who looks at it."""

    plant: Plant
    api: Api
    stored: Stored
    exporter: Exporter
    session: aiohttp.ClientSession
    queryable: dict[str, float] = field(default_factory=dict)
    """By lane: when the query was sent whose answer had its first bad sample."""

    async def series(self, query: str) -> list[str]:
        """The lanes that Prometheus answers with; none where it doesn't answer."""
        url = f"{self.plant.prometheus}/api/v1/query?{urlencode({'query': query})}"
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with self.session.get(url, timeout=aiohttp.ClientTimeout(total=0.5)) as answer:
                return [one["metric"]["test"] for one in (await answer.json())["data"]["result"]]
        return []

    async def poll(self) -> None:
        """Asks until cancelled."""
        while True:
            sent = time.time()
            for lane in await self.series(f"{METRIC} > 0.5"):
                self.queryable.setdefault(lane, sent)
            await asyncio.sleep(max(0.0, sent + POLL_SECONDS - time.time()))

    async def reached(self) -> float:
        """When the API server, which was away or has lost its etcd, reaches what it stores of each kind that Tidegate writes. It says that
        it is ready before: it has a connection to etcd for each kind, and some come back seconds after others."""
        return max(await asyncio.gather(*(self._reached(kind) for kind in WRITTEN)))

    async def _reached(self, kind: str) -> float:
        async def is_looked_up() -> bool:
            with contextlib.suppress(aiohttp.ClientError, RefusedError, TimeoutError, OSError):
                async with asyncio.timeout(LOOK_SECONDS):
                    return await self.api.find(kind, "default", "nothing") is None
            return False

        await eventually(f"the API server looks {kind} up", is_looked_up, PATIENCE, every=0.02)
        return time.time()

    async def scraped_since(self, moment: float) -> float:
        """When Prometheus, which has just been started, has its first new samples; its scrapes begin seconds after it answers."""
        await eventually("Prometheus scrapes", lambda: self.series(f"timestamp({METRIC}) > {moment:.3f}"), PATIENCE, every=POLL_SECONDS)
        return time.time()

    async def leader(self) -> str:
        """The name of the operator that holds the Lease, once one does."""

        async def check() -> str:
            holder = str((await self.api.get("leases", OPERATOR_NAMESPACE, LEASE))["spec"].get("holderIdentity") or "")
            return holder.partition("_")[0]

        return str(await eventually("somebody leads", check, PATIENCE))


@asynccontextmanager
async def watched(plant: Plant) -> AsyncIterator[Scene]:
    """The witness, the applications and the kubelet's part, for as long as the block lasts."""
    exporter, stored = Exporter(plant.exporters), Stored(plant.etcd)
    async with Api.connect(plant.kubeconfig) as api, aiohttp.ClientSession() as session, exporter.running():
        found = Scene(plant, api, stored, exporter, session)
        tasks = [asyncio.create_task(work) for work in (stored.follow(), found.poll(), plant.kept_alive())]
        try:
            yield found
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
