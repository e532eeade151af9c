"""Listing and watching, against an API server that does what a real one can't be made to do on request."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.fakes.apiserver import ApiServer, Fault
from tests.flags.support import flag_set
from tests.virtual_time import in_virtual_time, loop_time
from tidegate.flags.changes import Change, Deleted, FlagSetKey, Interrupted, Synced, Upserted
from tidegate.flags.scope_watch import ScopeWatch, WatchTimes
from tidegate.flags.source import KubernetesFlagSetSource

QUICK = WatchTimes(connect=2.0, silence=5.0, lifetime=60.0, first_pause=0.02, longest_pause=0.1)


class Heard(list[Change]):
    """The changes that a source told."""

    async def until(self, condition: Callable[["Heard"], bool], within: float = 30.0) -> None:
        async with asyncio.timeout(within):
            while not condition(self):  # noqa: ASYNC110 - conditions look at more than this list
                await asyncio.sleep(0.002)

    @property
    def state(self) -> dict[str, str | None]:
        """The documents by selector, as one who applied the changes would have them."""
        state: dict[str, str | None] = {}
        for change in self:
            if isinstance(change, Upserted):
                state[str(change.key)] = change.document
            elif isinstance(change, Deleted):
                state.pop(str(change.key))
        return state

    @property
    def interruptions(self) -> list[str]:
        return [change.reason for change in self if isinstance(change, Interrupted)]


@dataclass
class LaterFault(Fault):
    """Spares the first `spared` requests."""

    spared: int = 0

    def hits(self, verb: str, plural: str) -> bool:
        if not super().hits(verb, plural):
            return False
        self.spared -= 1
        return self.spared < 0


@pytest.fixture
def kubeconfig(api_server: ApiServer, tmp_path: Path) -> str:
    token_file = tmp_path / "token"
    token_file.write_text("first")
    api_server.tokens = {"first"}
    return api_server.kubeconfig(tmp_path, token_file)


def synced(heard: Heard) -> bool:
    return any(isinstance(change, Synced) for change in heard)


def interrupted(heard: Heard) -> bool:
    return len(heard.interruptions) == 1


@asynccontextmanager
async def following(
    kubeconfig: str, *namespaces: str, times: WatchTimes = QUICK, until: Callable[[Heard], bool] = synced
) -> AsyncIterator[Heard]:
    """What a source tells, from when it has told everything that is there."""
    heard = Heard()

    async def follow() -> None:
        async for change in KubernetesFlagSetSource(kubeconfig, namespaces, times).changes():
            heard.append(change)

    task = asyncio.create_task(follow())
    try:
        await heard.until(until)
        yield heard
    finally:
        assert not task.done(), "the source ended"
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def holds(**documents: str | None) -> Callable[[Heard], bool]:
    """That exactly these flag sets of namespace shop are known."""
    return lambda heard: heard.state == {f"shop/{name}": document for name, document in documents.items()}


async def put(server: ApiServer, name: str, document: str | None, namespace: str = "shop") -> None:
    await server.put("configmaps", namespace, flag_set(name, document))


async def test_all_pages_are_told_before_synced(api_server: ApiServer, kubeconfig: str) -> None:
    for number in range(250):
        await put(api_server, f"flags-{number}", f"document {number}")
    await api_server.put("configmaps", "shop", {"metadata": {"name": "another"}, "data": {"flags.flagd.json": "not a flag set"}})
    async with following(kubeconfig) as heard:
        assert heard.state == {f"shop/flags-{number}": f"document {number}" for number in range(250)}
        assert isinstance(heard[-1], Synced)
        assert len(api_server.asked("list")) == 3


async def test_whatever_becomes_of_a_set_is_told(api_server: ApiServer, kubeconfig: str) -> None:
    unlabelled = {"metadata": {"name": "flags", "labels": {"tidegate.io/flag-set": "false"}}}
    await put(api_server, "other", None)
    async with following(kubeconfig) as heard:
        assert heard.state == {"shop/other": None}, "a ConfigMap without the document"
        for document in ("one", "two"):
            await put(api_server, "flags", document)
            await heard.until(holds(flags=document, other=None))
        await api_server.put("configmaps", "shop", unlabelled)
        await heard.until(holds(other=None))
        await api_server.remove("configmaps", "shop", "other")
        await heard.until(holds())
        assert len(api_server.asked("list")) == 1


@pytest.mark.parametrize("way", ["closed", "error"])
async def test_a_broken_watch_goes_on_from_where_it_was(api_server: ApiServer, kubeconfig: str, way: str) -> None:
    async with following(kubeconfig) as heard:
        await put(api_server, "flags", "one")
        await heard.until(holds(flags="one"))
        await (api_server.cut_watches() if way == "closed" else api_server.break_watches(500))
        await put(api_server, "flags", "two")
        await heard.until(lambda heard: heard.count(Synced()) == 2)
        await heard.until(holds(flags="two"))
        assert len(heard.interruptions) == 1
        assert len(api_server.asked("list")) == 1
        assert api_server.asked("watch")[-1].query["resourceVersion"] == "101"
        assert api_server.asked("watch")[-1].query["allowWatchBookmarks"] == "true"


async def test_an_expired_version_is_listed_anew_and_deletions_in_the_gap_are_told(api_server: ApiServer, kubeconfig: str) -> None:
    await put(api_server, "kept", "one")
    await put(api_server, "gone", "one")
    async with following(kubeconfig) as heard:
        await put(api_server, "young", "one")
        await heard.until(holds(kept="one", gone="one", young="one"))
        api_server.faults.append(Fault("watch", status=503, times=2))  # keeps the watch away while the gap opens
        await api_server.cut_watches()
        await api_server.remove("configmaps", "shop", "gone")
        await api_server.remove("configmaps", "shop", "young")
        await put(api_server, "kept", "two")
        await put(api_server, "new", "one")
        api_server.compact()
        await heard.until(holds(kept="two", new="one"))
        assert {change.key for change in heard if isinstance(change, Deleted)} == {FlagSetKey("shop", "gone"), FlagSetKey("shop", "young")}
        assert len(api_server.asked("list")) == 2


async def test_a_version_refused_at_once_is_listed_anew_too(api_server: ApiServer, kubeconfig: str) -> None:
    api_server.faults.append(Fault("watch", status=410))
    async with following(kubeconfig):
        assert len(api_server.asked("list")) == 2


async def test_a_set_told_by_a_listing_that_failed_midway_is_not_forgotten(api_server: ApiServer, kubeconfig: str) -> None:
    for number in range(101):
        await put(api_server, f"flags-{number:03}", "one")
    api_server.faults.append(LaterFault("list", status=500, spared=1))
    async with following(kubeconfig, times=WatchTimes(first_pause=0.3), until=interrupted) as heard:
        assert len(heard.state) == 100
        await api_server.remove("configmaps", "shop", "flags-000")
        await heard.until(synced)
        assert list(heard.state) == [f"shop/flags-{number:03}" for number in range(1, 101)]


async def test_a_listing_whose_continuation_expired_starts_over(api_server: ApiServer, kubeconfig: str) -> None:
    for number in range(101):
        await put(api_server, f"flags-{number}", "one")
    api_server.faults.append(LaterFault("list", status=410, spared=1))
    async with following(kubeconfig) as heard:
        assert len(heard.state) == 101


async def test_a_silent_watch_is_given_up(api_server: ApiServer, kubeconfig: str) -> None:
    async with following(kubeconfig, times=WatchTimes(silence=0.2, first_pause=0.02)) as heard:
        await api_server.silence_watches(True)
        await put(api_server, "flags", "one")
        before = len(api_server.asked("watch"))
        await heard.until(lambda _: len(api_server.asked("watch")) > before)
        assert holds()(heard)
        await api_server.silence_watches(False)
        await heard.until(holds(flags="one"))
        assert len(api_server.asked("list")) == 1
        assert heard.interruptions == []


@pytest.mark.parametrize("seconds", [1, 5, 20, 600])
@in_virtual_time
async def test_however_long_nobody_answered_the_next_try_comes_within_a_second(seconds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    over = loop_time() + seconds
    answered = asyncio.get_running_loop().create_future()

    async def listed(_: ScopeWatch) -> str:
        if loop_time() < over:
            raise OSError("connection refused")
        answered.set_result(loop_time())
        return str(await asyncio.Future[str]())

    async def told(*_: object) -> None:
        pass

    monkeypatch.setattr(ScopeWatch, "_list", listed)
    task = asyncio.create_task(ScopeWatch(None, None, told, WatchTimes()).run())
    assert over <= await answered <= over + 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_new_credentials_are_read_when_the_old_ones_are_refused(api_server: ApiServer, kubeconfig: str, tmp_path: Path) -> None:
    async with following(kubeconfig) as heard:
        (tmp_path / "token").write_text("second")
        api_server.tokens = {"second"}
        await api_server.cut_watches()
        await put(api_server, "flags", "one")
        await heard.until(holds(flags="one"))
        assert len(api_server.asked("list")) == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault("*", status=403, times=4), "list and watch on configmaps"),
        (Fault("*", status=500, times=4), "500: injected"),
        (Fault("*", status=429, times=4), "429"),
        (Fault("*", how="drop", times=12), ""),  # the client repeats a lost request by itself
    ],
    ids=["403", "500", "429", "away"],
)
async def test_a_refusal_is_told_with_its_reason_once_and_tried_again(
    api_server: ApiServer, kubeconfig: str, fault: Fault, words: str
) -> None:
    api_server.faults.append(replace(fault))
    async with following(kubeconfig) as heard:
        assert [type(change) for change in heard] == [Interrupted, Synced]
        assert words in heard.interruptions[0]


async def test_an_address_that_refuses_connections_is_named(api_server: ApiServer, tmp_path: Path) -> None:
    api_server.url = "http://127.0.0.1:1"
    async with following(api_server.kubeconfig(tmp_path), until=interrupted) as heard:
        assert "127.0.0.1:1" in heard.interruptions[0]


async def test_an_event_that_makes_no_sense_leads_to_a_new_listing(api_server: ApiServer, kubeconfig: str) -> None:
    await put(api_server, "flags", "one")
    async with following(kubeconfig) as heard:
        await api_server._order_watches({"type": "MODIFIED", "object": {"metadata": {}}})
        await heard.until(lambda heard: heard.count(Synced()) == 2)
        assert holds(flags="one")(heard)
        assert len(api_server.asked("list")) == 2


async def test_the_largest_configmap_passes(api_server: ApiServer, kubeconfig: str) -> None:
    document = '"' * (1024 * 1024)  # every character is escaped once on its way
    async with following(kubeconfig) as heard:
        await put(api_server, "flags", document)
        await heard.until(holds(flags=document))


async def test_only_the_given_namespaces_are_watched_and_all_of_them_before_synced(api_server: ApiServer, kubeconfig: str) -> None:
    for namespace in ("a", "b", "c"):
        await put(api_server, "flags", "one", namespace)
    api_server.faults.append(Fault("list", times=3))
    async with following(kubeconfig, "a", "b") as heard:
        assert heard.state == {"a/flags": "one", "b/flags": "one"}
        assert sum(isinstance(change, Synced) for change in heard) == 1
        await put(api_server, "flags", "two", "c")
        await put(api_server, "flags", "two", "b")
        await heard.until(lambda heard: heard.state == {"a/flags": "one", "b/flags": "two"})
