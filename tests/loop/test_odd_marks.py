"""Whatever people write in the place of a mark: a rollback, switching off and a deletion go through."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import admission
from tests.fakes.apiserver import ApiServer
from tests.operated import Operated, operated
from tidegate.levers.flag.mark import read_mark

LONG = "x" * 5000
ODD: dict[str, Any] = {
    "two dots": {"rollout": "shop/.."},
    "no name": {"rollout": "shop/"},
    "long": {"rollout": f"shop/{LONG}", "revision": LONG, "rejected": LONG, "writtenAt": LONG, "cause": LONG},
    "another's": {"rollout": "shop/other", "uid": "uid-of-nobody", "percent": 100, "state": "ENABLED", "cause": {"is": ["an", "object"]}},
    "booleans": {"percent": True, "attempt": True, "epoch": True},
    "numbers": {"percent": -1, "attempt": 10**30, "epoch": 1e300, "uid": 7, "state": []},
    "no object": {"": LONG},
}
_SOON = ("two dots", "another's")


@pytest.fixture(params=[pytest.param(name, marks=() if name in _SOON else pytest.mark.thorough) for name in ODD])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Operated]:
    """Our flag carries one of them, and other flags of the set carry all."""

    def spoil(flags: dict[str, Any]) -> None:
        ours = flags["new-search"]
        spoilt = {name: ours | {"metadata": odd.get("", ours["metadata"] | odd)} for name, odd in ODD.items()}
        flags |= spoilt | {"new-search": spoilt[request.param]}

    async with ApiServer.running() as server, operated(server, tmp_path) as world:
        server.admission["configmaps"] = (admission.problem, admission.stale)
        await world.edit_document(spoil)
        others = {name: world.flag(name) for name in ODD}
        yield world
        assert {name: world.flag(name) for name in ODD} == others, "nobody else's flags are touched"


@pytest.mark.thorough
async def test_it_is_corrected_and_changes_nothing_else(world: Operated) -> None:
    uid = world.server.store.objects["featurerollouts", "shop", "search"]["metadata"]["uid"]

    def is_corrected() -> bool:
        mark = read_mark(world.flag())
        return mark is not None and (mark.uid, mark.rollout, mark.percent) == (uid, "shop/search", 10)

    await world.until(is_corrected)
    await world.until(lambda: world.is_at(10))
    assert world.condition("Ready")["status"] == "True"


async def test_a_rollback_goes_through(world: Operated) -> None:
    world.dial.value = 1.0
    await world.tick(world.is_rolled_back)
    assert world.is_off()


async def test_switching_off_goes_through(world: Operated) -> None:
    await world.put(enabled=False)
    await world.until(lambda: world.status()["phase"] == "Disabled" and "pending" not in world.status())
    await world.until(world.is_off)


async def test_a_deletion_goes_through(world: Operated) -> None:
    await world.server.remove("featurerollouts", "shop", "search")
    world.wake()
    await world.until(lambda: ("featurerollouts", "shop", "search") not in world.server.store.objects)
    assert world.is_off()
