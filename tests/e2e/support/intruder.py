"""Someone who may edit the ConfigMaps of one namespace and nothing else, and whose client calls itself what the operator's does."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from tests.e2e.support.api import Api, Json, RefusedError
from tests.e2e.support.exposure import DOCUMENT
from tests.e2e.support.flag_sets import EPOCH, FLAG_SET, ON_OFF
from tests.e2e.support.host_operator import grant, token_of
from tests.e2e.support.world import World


class Intruder:
    """Edits the flag set under a service account of its own."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._namespace = namespace

    @classmethod
    @asynccontextmanager
    async def of(cls, world: World, kubeconfig: Path) -> AsyncIterator["Intruder"]:
        await world.api.create("serviceaccounts", {"metadata": {"name": "intruder", "namespace": world.namespace}})
        rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "patch", "update"]}]
        await grant(world.api, world.namespace, world.namespace, "intruder", rules)
        async with Api.connect(kubeconfig, await token_of(world.api, world.namespace, "intruder")) as api:
            yield cls(api, world.namespace)

    async def edit(self, change: Callable[[Json], None]) -> bool:
        """Changes the flags by name, under the next epoch, as an operator would. False where another write came first."""
        config_map = await self._api.get("configmaps", self._namespace, FLAG_SET)
        document = json.loads(config_map["data"][DOCUMENT])
        change(document["flags"])
        epoch = int(config_map["metadata"]["annotations"][EPOCH]) + 1
        for flag in document["flags"].values():
            if "epoch" in flag.get("metadata", {}):
                flag["metadata"]["epoch"] = epoch
        metadata = {"resourceVersion": config_map["metadata"]["resourceVersion"], "annotations": {EPOCH: str(epoch)}}
        body = {"metadata": metadata, "data": {DOCUMENT: json.dumps(document)}}
        try:
            await self._api.patch("configmaps", self._namespace, FLAG_SET, body, fieldManager="tidegate")
        except RefusedError as error:
            if error.status == 409:
                return False
            raise
        return True

    async def mark(self, flag: str = "feature", **members: object) -> None:
        """Writes members of one flag's mark; None takes one out."""

        def change(flags: Json) -> None:
            mark = flags[flag].get("metadata", {}) | members
            flags[flag]["metadata"] = {name: value for name, value in mark.items() if value is not None}

        while not await self.edit(change):
            pass

    async def turn_on(self, flag: str = "feature") -> bool:
        """For everybody, with a mark that says so."""

        def change(flags: Json) -> None:
            flags[flag] = ON_OFF | {"defaultVariant": "on", "metadata": flags[flag]["metadata"] | {"percent": 100}}

        return await self.edit(change)
