"""What the watcher's session makes of its requests, and of the answers."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from tests.fakes.apiserver import ApiServer, Fault
from tidegate.clients.watch_session import RefusedWatchError, WatchSession, watch_session

Said = tuple[str, str, str | None]


@pytest.fixture
def said() -> list[Said]:
    return []


@pytest.fixture
async def found(server: ApiServer, tmp_path: Path, said: list[Said]) -> AsyncIterator[WatchSession]:
    token = tmp_path / "token"
    token.write_text("secret")
    server.tokens = {"secret"}
    found = await watch_session(server.kubeconfig(tmp_path, token), lambda *one: said.append(one))
    yield found
    await found.session.close()


def path(found: WatchSession, namespace: str, query: str) -> str:
    return f"{found.server}/api/v1/namespaces/{namespace}/configmaps?{query}"


async def put(server: ApiServer, name: str, notes: int = 0, data: int = 0) -> None:
    metadata = {"name": name, "annotations": {"notes": "x" * notes}}
    await server.put("configmaps", "shop", {"metadata": metadata, "data": {"text": "x" * data}})


async def listed(found: WatchSession, namespace: str = "shop") -> list[dict[str, Any]]:
    """All pages, as the watcher asks for them: with its own idea of a page's size."""
    items, token = [], ""
    while True:
        query = "limit=500" + (f"&continue={quote(token, safe='')}" if token else "")
        async with found.session.get(path(found, namespace, query)) as response:
            page = await response.json()
        items += page["items"]
        token = page["metadata"].get("continue", "")
        if not token:
            return items


async def test_only_metadata_is_listed_and_watched(server: ApiServer, found: WatchSession, said: list[Said]) -> None:
    await put(server, "flags", data=100)
    (item,) = await listed(found)
    assert (item["metadata"]["name"], item.get("data")) == ("flags", None)
    async with found.session.get(path(found, "shop", "watch=true&resourceVersion=0")) as response:
        event = json.loads(await response.content.readline())
    assert (event["type"], event["object"]["metadata"]["name"], event["object"].get("data")) == ("ADDED", "flags", None)
    assert said == [("configmaps", "shop", None)] * 2


async def test_what_is_no_list_and_no_watch_passes(server: ApiServer, found: WatchSession, said: list[Said]) -> None:
    async with found.session.get(f"{found.server}/apis/tidegate.io/v1alpha1") as response:
        assert {one["name"] for one in (await response.json())["resources"]} >= {"featurerollouts"}
    assert said == []


async def test_a_page_is_asked_for_in_pieces_until_they_can_be_read(
    server: ApiServer, found: WatchSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.clients.watch_session.PAGE_LIMIT", 20_000)
    for number in range(40):
        await put(server, f"f{number:02}", notes=8_000 if number < 20 else 10)
    assert [item["metadata"]["name"] for item in await listed(found)] == [f"f{number:02}" for number in range(40)]
    limits = [int(request.query["limit"]) for request in server.asked("list")]
    assert limits[:9] == [500, 250, 125, 62, 31, 15, 7, 3, 1]
    assert limits[-1] > 2, "it grows again where objects are small"


async def test_an_object_that_is_too_large_is_a_failure_to_live_with(
    server: ApiServer, found: WatchSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.clients.watch_session.PAGE_LIMIT", 20_000)
    await put(server, "f", notes=30_000)
    with pytest.raises(aiohttp.ClientConnectionError, match="larger than 20000 bytes"):
        await listed(found)


@pytest.mark.parametrize(("status", "reason"), [(403, "Forbidden"), (404, "NotFound"), (410, "Expired"), (500, "InternalError"), (503, "")])
async def test_a_refusal_is_told_and_is_a_failure_to_live_with(
    server: ApiServer, found: WatchSession, said: list[Said], status: int, reason: str
) -> None:
    server.faults.append(Fault("list", status=status, reason=reason, message="because"))
    with pytest.raises(RefusedWatchError, match="list configmaps shop: because"):
        await listed(found)
    assert said == [("configmaps", "shop", "list configmaps shop: because")]
    assert await listed(found) == []
    assert said[1:] == [("configmaps", "shop", None)]


@pytest.mark.parametrize(("verb", "status"), [("list", 401), ("list", 429), ("watch", 401), ("watch", 429), ("watch", 410)])
async def test_what_the_watcher_answers_itself_reaches_it(
    server: ApiServer, found: WatchSession, said: list[Said], verb: str, status: int
) -> None:
    server.faults.append(Fault(verb, status=status, message="because", headers={"Retry-After": "3"}))
    query = "watch=true" if verb == "watch" else "limit=500"
    async with found.session.get(path(found, "shop", query)) as response:
        assert (response.status, response.headers["Retry-After"]) == (status, "3")
        assert (await response.json())["message"] == "because"
    assert said == [("configmaps", "shop", f"{verb} configmaps shop: because")]


async def test_a_lost_connection_is_nobody_s_refusal(server: ApiServer, found: WatchSession, said: list[Said]) -> None:
    server.faults.append(Fault("list", how="drop", times=2))
    with pytest.raises(aiohttp.ClientConnectionError):
        await listed(found)
    assert said == []
