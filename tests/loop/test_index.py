"""Which rollouts a flag set wakes up."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.apiserver import ApiServer
from tests.operated import FLAGS, KEY, operated
from tidegate.domain.keys import Key, Kind
from tidegate.loop.index import Index


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with ApiServer.running() as running:
        yield running


def rollout(name: str, flag_set: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "shop", "name": name}, "spec": {"target": {"flag": {"configMap": flag_set}}}}


def key(name: str) -> Key:
    return Key(Kind.FEATURE_ROLLOUT, "shop", name)


def test_a_rollout_is_found_by_the_flag_set_that_it_names_now() -> None:
    index = Index()
    for name in ("a", "b"):
        index.note(rollout(name, "flags"))
    assert set(index.of_flag_set("shop", "flags")) == {key("a"), key("b")}
    index.note(rollout("a", "others"))
    assert (index.of_flag_set("shop", "flags"), index.of_flag_set("shop", "others")) == ((key("b"),), (key("a"),))
    assert index.of_flag_set("bank", "flags") == ()
    index.forget(key("a"))
    index.forget(key("a"))
    assert list(index.all()) == [key("b")]


@pytest.mark.parametrize("spec", [None, {}, {"target": None}, {"target": {"flag": None}}, {"target": {"flag": {"configMap": 7}}}])
def test_what_names_no_flag_set_is_no_error(spec: Any) -> None:
    index = Index()
    index.note({"metadata": {"namespace": "shop", "name": "a"}, "spec": spec})
    assert list(index.all()) == []


async def test_each_look_notes_what_it_read_and_the_last_one_forgets_it(server: ApiServer, tmp_path: Path) -> None:
    async with operated(server, tmp_path) as world:
        assert world.parts.index.of_flag_set(KEY.namespace, FLAGS) == (KEY,)
        await server.put("featurerollouts", KEY.namespace, {"metadata": {"name": KEY.name, "finalizers": None}})
        await server.remove("featurerollouts", KEY.namespace, KEY.name)
        world.look()
        await world.until(lambda: world.parts.index.of_flag_set(KEY.namespace, FLAGS) == ())
