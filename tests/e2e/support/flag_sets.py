"""The flag sets of a namespace: what clients would see in them, and what other programs write there."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

from tests.e2e.support.api import Api, Json, eventually
from tests.e2e.support.exposure import DOCUMENT, Trace, audience, lease_of, nearest_percent, record, sees, share_on

FLAG_SET = "flags"
EPOCH, LABEL = "tidegate.io/epoch", "tidegate.io/flag-set"
ON_OFF: Json = {"state": "ENABLED", "variants": {"on": True, "off": False}}
"""A boolean flag, but for its default."""


class FlagSets:
    """Of one namespace; what doesn't name one is about `flags`."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.api = api
        self.namespace = namespace

    async def make_flag_set(self, text: str, name: str = FLAG_SET, **labels: str) -> None:
        """A flag set by hand."""
        metadata = {"name": name, "namespace": self.namespace, "labels": {LABEL: "true"} | labels}
        await self.api.create("configmaps", {"metadata": metadata, "data": {DOCUMENT: text}})

    async def flag_set(self, name: str = FLAG_SET) -> Json:
        """The ConfigMap."""
        return await self.api.get("configmaps", self.namespace, name)

    async def change_flag_set(self, patch: Json, manager: str = "somebody") -> None:
        """A merge patch of the ConfigMap by another program."""
        await self.api.patch("configmaps", self.namespace, FLAG_SET, patch, fieldManager=manager)

    async def rewrite(self, document: Json | str, manager: str = "somebody") -> None:
        """Another document in the flag set, by another program."""
        await self.change_flag_set({"data": {DOCUMENT: document if isinstance(document, str) else json.dumps(document)}}, manager)

    async def text(self, flag_set: str = FLAG_SET) -> str:
        """The flag set's document."""
        return str((await self.flag_set(flag_set))["data"][DOCUMENT])

    async def document(self, flag_set: str = FLAG_SET) -> Json:
        document: Json = json.loads(await self.text(flag_set))
        return document

    async def flag(self, flag: str = "feature") -> Json:
        """Its definition."""
        definition: Json = (await self.document())["flags"][flag]
        return definition

    async def exposure(self, flag: str = "feature") -> float | None:
        """The share of clients that the flag set exposes now."""
        config_map = await self.api.find("configmaps", self.namespace, FLAG_SET)
        return None if config_map is None else share_on(config_map["data"][DOCUMENT], flag)

    async def exposes(self, percent: int, flag: str = "feature", seconds: float = 60.0, every: float = 0.1) -> None:
        """Waits until about this share of clients is exposed, by the evaluator's real clock."""

        async def check() -> bool:
            return nearest_percent(await self.exposure(flag)) == percent

        await eventually(f"{flag} is on for {percent} %", check, seconds, every)

    async def lease(self, flag: str = "feature") -> int | None:
        """When the flag turns itself off by its lease, in Unix seconds; None where it doesn't."""
        return lease_of(await self.text(), flag)

    async def sees(self, targeting_key: str, flag: str = "feature") -> bool:
        """Whether this client sees the feature now."""
        return sees(await self.text(), flag, targeting_key)

    async def audience(self, flag: str = "feature") -> frozenset[str]:
        """Which of 1000 clients see the feature now."""
        return audience(await self.text(), flag) or frozenset()

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
