"""A flag set that is deleted or emptied is whole again with the first write, whoever is there first."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.builders import KEY as FLAG
from tests.builders import raw_gate
from tests.fakes.apiserver import ApiServer, Fault
from tests.operated import FLAGS, KEY, Dial, Operated, operated
from tidegate.clients.prometheus import Endpoint, InstantVector
from tidegate.domain.keys import Ref, RefKind
from tidegate.levers.flag.flag_set import DOCUMENT_KEY

OTHERS = ("banner", "fallen", "slow")
ALL = {FLAG, *OTHERS}


@dataclass
class Stuck(Dial):
    """Gives no answer about what is slow, once it is stuck; about what has fallen a bad one."""

    value: float = 0.0
    open: asyncio.Event = field(default_factory=asyncio.Event)

    async def instant(self, endpoint: Endpoint, query: str, at: float, keep: int = 0) -> InstantVector:
        if "slow" in query:
            await self.open.wait()
        self.value = 0.9 if "fallen" in query else 0.0
        return await super().instant(endpoint, query, at)


@asynccontextmanager
async def several(server: ApiServer, folder: Path, workers: int = 8) -> AsyncIterator[tuple[Operated, Stuck]]:
    """Four rollouts in one flag set: two at 10 %, one that was rolled back, one whose gates get no answer any more."""
    dial = Stuck()
    dial.open.set()
    async with operated(server, folder, dial, workers=workers) as world:
        for name in OTHERS:
            await world.put(name, name, gates=[raw_gate(query=name, rollback={"gt": 0.15, "confirm": 1})])
        await world.until(lambda: world.is_at(10, "banner") and world.is_at(10, "slow"))
        await world.until(lambda: world.status("fallen").get("phase") == "RolledBack" and "pending" not in world.status("fallen"))
        dial.open.clear()
        yield world, dial
        dial.open.set()


def wake(world: Operated) -> None:
    """What the watcher does when a flag set changed."""
    world.parts.changed(Ref(RefKind.FLAG_SET, KEY.namespace, FLAGS))


async def lose(world: Operated, how: str) -> int:
    """Somebody deletes the ConfigMap, or all of its flags. Returns how long the history was then."""
    if how == "deleted":
        await world.server.remove("configmaps", KEY.namespace, FLAGS)
    else:
        document = json.dumps({"flags": {}})
        await world.server.put("configmaps", KEY.namespace, {"metadata": {"name": FLAGS}, "data": {DOCUMENT_KEY: document}})
    before = len(world.server.store.history)
    wake(world)
    return before


def documents(world: Operated, since: int) -> list[dict[str, Any]]:
    """The flags of each version that was written since."""
    made = [change.after for change in world.server.store.history[since:] if change.kind.plural == "configmaps"]
    return [json.loads(one["data"][DOCUMENT_KEY])["flags"] for one in made]


def recorded(world: Operated, name: str) -> list[str]:
    return [one["transition"] for one in world.server.store.objects["rolloutruns", KEY.namespace, f"{name}-1"]["status"]["records"]]


def shown(flags: dict[str, Any]) -> dict[str, Any]:
    """What each flag shows, and what its mark says but for epoch and time."""
    return {name: {**flag, "metadata": {**flag["metadata"], "epoch": 0, "writtenAt": ""}} for name, flag in flags.items()}


@pytest.mark.parametrize("how", ["deleted", "emptied"])
async def test_it_is_whole_again_in_one_write_though_one_waits_for_its_answers(server: ApiServer, tmp_path: Path, how: str) -> None:
    async with several(server, tmp_path) as (world, dial):
        before = shown(json.loads(world.document())["flags"])
        since = await lose(world, how)
        await world.until(lambda: documents(world, since))
        first, *_ = documents(world, since)
        assert first.keys() == ALL
        assert shown(first) == before
        dial.open.set()
        await world.until(lambda: all("Drifted" in recorded(world, name) for name in (KEY.name, *OTHERS)))
        assert all(shown(one) == before for one in documents(world, since)), "nothing flickers"


async def test_each_records_once_that_it_was_lost_also_who_comes_after_it_is_whole(server: ApiServer, tmp_path: Path) -> None:
    """Two at a time, one of which gets no answer."""
    async with several(server, tmp_path, workers=2) as (world, dial):
        names = (KEY.name, *OTHERS)
        since = await lose(world, "deleted")
        await world.until(lambda: all("Drifted" in recorded(world, name) for name in names if name != "slow"))
        dial.open.set()
        await world.until(lambda: "Drifted" in recorded(world, "slow"))
        for name in names:
            world.wake(name)
        await world.reconciled(2 * len(names))
        assert [recorded(world, name).count("Drifted") for name in names] == [1] * len(names)
        assert [world.status(name)["drift"]["total"] for name in names] == [1] * len(names)
        assert all(one.keys() == ALL for one in documents(world, since))


async def test_what_is_switched_off_meanwhile_does_not_come_back(server: ApiServer, tmp_path: Path) -> None:
    """Its own reconcile has not been there yet."""
    async with several(server, tmp_path) as (world, _):
        await world.server.put("featurerollouts", KEY.namespace, {"metadata": {"name": "slow"}, "spec": {"enabled": False}})
        since = await lose(world, "deleted")
        await world.until(lambda: documents(world, since))
        off = documents(world, since)[0]["slow"]
        assert (off["defaultVariant"], off.get("targeting")) == ("off", None)


@pytest.mark.parametrize("how", ["refuse", "hang"])
async def test_who_is_there_first_does_not_wait_long_for_the_others(server: ApiServer, tmp_path: Path, how: Any) -> None:
    async with several(server, tmp_path) as (world, _):
        world.server.faults.append(Fault("list", "featurerollouts", how, status=503))
        since = await lose(world, "deleted")
        await world.until(lambda: documents(world, since))
        assert documents(world, since)[0].keys() < ALL
        await world.until(lambda: json.loads(world.document())["flags"].keys() >= ALL - {"slow"})


async def test_a_new_flag_set_has_the_flags_of_those_that_make_it(server: ApiServer, tmp_path: Path) -> None:
    async with several(server, tmp_path) as (world, _):
        target = {"flag": {"key": "first", "configMap": "another"}}
        await world.put("first", "first", target=target)
        await world.until(lambda: world.is_at(10, "first"))
        made = world.server.store.objects["configmaps", KEY.namespace, "another"]
        assert json.loads(made["data"][DOCUMENT_KEY])["flags"].keys() == {"first"}
