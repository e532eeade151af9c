"""Whatever people write in the place of a mark: a rollback, switching off and a deletion go through."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.operated import Operated
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
async def spoilt(request: pytest.FixtureRequest, world: Operated) -> AsyncIterator[Operated]:
    """Our flag carries one of them, and other flags of the set carry all."""

    def spoil(flags: dict[str, Any]) -> None:
        ours = flags["new-search"]
        spoilt = {name: ours | {"metadata": odd.get("", ours["metadata"] | odd)} for name, odd in ODD.items()}
        flags |= spoilt | {"new-search": spoilt[request.param]}

    await world.edit_document(spoil)
    others = {name: world.flag(name) for name in ODD}
    yield world
    assert {name: world.flag(name) for name in ODD} == others, "nobody else's flags are touched"


@pytest.mark.thorough
async def test_it_is_corrected_and_changes_nothing_else(spoilt: Operated) -> None:
    uid = spoilt.server.store.objects["featurerollouts", "shop", "search"]["metadata"]["uid"]

    def is_corrected() -> bool:
        mark = read_mark(spoilt.flag())
        return mark is not None and (mark.uid, mark.rollout, mark.percent) == (uid, "shop/search", 10)

    await spoilt.until(is_corrected)
    await spoilt.until(lambda: spoilt.is_at(10))
    assert spoilt.condition("Ready")["status"] == "True"


async def test_a_rollback_goes_through(spoilt: Operated) -> None:
    spoilt.dial.value = 1.0
    await spoilt.tick(spoilt.is_rolled_back)
    assert spoilt.is_off()


async def test_switching_off_goes_through(spoilt: Operated) -> None:
    await spoilt.put(enabled=False)
    await spoilt.until(lambda: spoilt.status()["phase"] == "Disabled" and "pending" not in spoilt.status())
    await spoilt.until(spoilt.is_off)


async def test_a_deletion_goes_through(spoilt: Operated) -> None:
    await spoilt.server.remove("featurerollouts", "shop", "search")
    spoilt.wake()
    await spoilt.until(lambda: ("featurerollouts", "shop", "search") not in spoilt.server.store.objects)
    assert spoilt.is_off()
