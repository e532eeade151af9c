"""kopf against the fault-injecting API server."""

import asyncio
import contextlib
import functools
import gc
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import kopf
import pytest

from tests.fakes.apiserver import BY_PLURAL, ApiServer, Fault
from tidegate.clients.kubernetes import Kubernetes
from tidegate.clients.resources import Resource
from tidegate.clients.watch_session import watch_session
from tidegate.clients.writer import Echoes
from tidegate.domain.keys import Key, Ref, RefKind
from tidegate.watch import Coverage, Sinks, Watched, WatchSettings, watch
from tidegate.watch.kopf_settings import kopf_settings
from tidegate.watch.kopf_thread import WatchEndedError
from tidegate.watch.watched import Body

NEVER = (3600.0, 3600.0)


class News:
    """What the sinks were told."""

    def __init__(self) -> None:
        self.looks = list[str]()
        self.urgent = list[bool]()
        self.gone = list[str]()
        self.flags = list[tuple[str, str]]()
        self.coverage = Coverage()
        self.stop = asyncio.Event()
        self.echoes = Echoes()
        self.watching: asyncio.Task[None] | None = None

    def sinks(self) -> Sinks:
        return Sinks(
            enqueue=self._enqueue,
            gone=lambda key: self.gone.append(str(key)),
            changed=self._changed,
        )

    def _enqueue(self, key: Key, is_urgent: bool) -> None:
        self.looks.append(str(key))
        self.urgent.append(is_urgent)

    def _changed(self, ref: Ref) -> None:
        if ref.kind is RefKind.FLAG_SET:
            self.flags.append((ref.namespace, ref.name))

    async def until(self, condition: Callable[[], object], seconds: float = 8.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                if self.watching is not None and self.watching.done():
                    await self.watching
                await asyncio.sleep(0.005)

    async def ended(self, seconds: float = 8.0) -> None:
        assert self.watching is not None
        async with asyncio.timeout(seconds):
            await self.watching


async def opened(server: ApiServer, news: News, streams: int = 3) -> None:
    await news.until(lambda: len(server.asked("watch")) >= streams)


@asynccontextmanager
async def watching(
    server: ApiServer, folder: Path, *namespaces: str, streams: int = 3, resync: tuple[float, float] = NEVER, token: Path | None = None
) -> AsyncIterator[News]:
    """A watch of which so many streams are open."""
    news = News()
    kubeconfig = server.kubeconfig(folder, token)
    async with Kubernetes.connect(kubeconfig) as kubernetes:

        async def lister(watched: Watched, namespace: str, fields: str) -> AsyncIterator[Sequence[Body]]:
            resource = Resource(watched.group, watched.version, watched.plural, watched.namespaced)
            how = {"label_selector": watched.label_selector, "field_selector": fields}
            async for page in kubernetes.pages(resource, namespace, **how, metadata_only=True):
                yield page.items

        settings, sinks = WatchSettings(namespaces, resync), news.sinks()
        login = functools.partial(watch_session, kubeconfig)
        work = watch(settings, sinks, news.echoes, news.coverage, login=login, lister=lister, stop=news.stop)
        news.watching = asyncio.create_task(work)
        try:
            await opened(server, news, streams)
            yield news
        finally:
            news.stop.set()
            await asyncio.wait([news.watching], timeout=10)
            gc.collect()  # asyncio tells of tasks that kopf has forgotten when they are collected: not in the log of another test


@pytest.fixture(autouse=True)
def _impatient_kopf(monkeypatch: pytest.MonkeyPatch) -> None:
    """kopf with the program's settings, but for the waiting times that a test can't sit through."""

    def impatient() -> kopf.OperatorSettings:
        settings = kopf_settings()
        settings.watching.inactivity_timeout = 1.0
        settings.networking.request_timeout = 1.0
        settings.networking.error_backoffs = (0.05, 0.05, 0.1)
        return settings

    monkeypatch.setattr("tidegate.watch.kopf_thread.kopf_settings", impatient)
    monkeypatch.setattr("tidegate.watch.kopf_thread._LOGIN_PAUSE", 0.05)


def rollout(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": spec}


def flag_set(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"tidegate.io/flag-set": "true"}}, "data": data}


async def test_those_in_motion_are_looked_at_before_all_others(server: ApiServer, tmp_path: Path) -> None:
    phases = ["Succeeded", "Baking", "Waiting", "Progressing", "RolledBack", ""]
    for number, phase in enumerate(phases):
        await server.put("featurerollouts", "shop", rollout(f"r{number}"))
        server.store.objects["featurerollouts", "shop", f"r{number}"]["status"] = {"phase": phase} if phase else {}
    async with watching(server, tmp_path) as news:
        names = [look.rpartition("/")[2] for look in news.looks]
        assert names == ["r1", "r2", "r3", "r5", "r0", "r4"]
        assert news.urgent[:4] == [True] * 4
        assert not any(news.urgent[4:])


async def test_an_api_server_that_can_not_select_them_lists_them_with_the_others(server: ApiServer, tmp_path: Path) -> None:
    await server.put("featurerollouts", "shop", rollout("a"))
    server.faults.append(Fault("list", "featurerollouts", status=400, reason="BadRequest"))
    async with watching(server, tmp_path) as news:
        assert news.looks == ["FeatureRollout/shop/a"]
        assert news.coverage.problem() is None


async def test_what_exists_is_looked_at_once_and_every_change_again(server: ApiServer, tmp_path: Path) -> None:
    for name in ("a", "b"):
        await server.put("featurerollouts", "shop", rollout(name))
    await server.put("rolloutpolicies", "", {"metadata": {"name": "production"}})
    async with watching(server, tmp_path) as news:
        assert sorted(news.looks) == ["FeatureRollout/shop/a", "FeatureRollout/shop/b", "RolloutPolicy/production"]
        assert news.coverage.problem() is None
        news.looks.clear()
        await server.put("featurerollouts", "shop", rollout("a", paused=True))
        await news.until(lambda: news.looks == ["FeatureRollout/shop/a"])
        await server.put("featurerollouts", "bank", rollout("c"))
        await news.until(lambda: "FeatureRollout/bank/c" in news.looks)
        await server.remove("rolloutpolicies", "", "production")
        await news.until(lambda: news.gone == ["RolloutPolicy/production"])
        await server.remove("featurerollouts", "shop", "b")
        await news.until(lambda: news.gone == ["RolloutPolicy/production", "FeatureRollout/shop/b"])
        assert news.looks == ["FeatureRollout/shop/a", "FeatureRollout/bank/c", "RolloutPolicy/production", "FeatureRollout/shop/b"]


async def test_kopf_leaves_no_trace(server: ApiServer, tmp_path: Path) -> None:
    stored = await server.put("featurerollouts", "shop", rollout("a"))
    async with watching(server, tmp_path) as news:
        await server.put("featurerollouts", "shop", rollout("a", paused=True))
        await news.until(lambda: news.looks.count("FeatureRollout/shop/a") == 2)
        await server.put("featurerollouts", "shop", {"metadata": {"name": "a", "finalizers": ["tidegate.io/x"]}})
        await server.remove("featurerollouts", "shop", "a")
        await news.until(lambda: news.looks.count("FeatureRollout/shop/a") == 4)
    assert {request.verb for request in server.requests} == {"list", "watch"}
    assert {request.plural for request in server.requests} == {"featurerollouts", "rolloutpolicies", "configmaps"}
    now = server.store.objects["featurerollouts", "shop", "a"]["metadata"]
    assert now["finalizers"] == ["tidegate.io/x"]
    assert now.keys() - stored["metadata"].keys() == {"finalizers", "deletionTimestamp"}


async def test_only_labelled_config_maps_are_flag_sets(server: ApiServer, tmp_path: Path) -> None:
    await server.put("configmaps", "shop", {"metadata": {"name": "other"}, "data": {"a": "1"}})
    async with watching(server, tmp_path) as news:
        await server.put("configmaps", "shop", {"metadata": {"name": "other"}, "data": {"a": "2"}})
        await server.put("configmaps", "shop", flag_set("flags"))
        await news.until(lambda: len(news.flags) == 1)
        await server.put("configmaps", "shop", {"metadata": {"name": "flags", "labels": {"tidegate.io/flag-set": None}}})
        await news.until(lambda: len(news.flags) == 2)
        assert set(news.flags) == {("shop", "flags")}
    selectors = {request.query.get("labelSelector") for request in server.requests if request.plural == "configmaps"}
    assert selectors == {"tidegate.io/flag-set=true"}, "other ConfigMaps never leave the API server"


async def test_a_cut_stream_misses_nothing_and_repeats_nothing(server: ApiServer, tmp_path: Path) -> None:
    for name in ("a", "b"):
        await server.put("featurerollouts", "shop", rollout(name))
    async with watching(server, tmp_path) as news:
        news.looks.clear()
        await server.cut_watches()
        await server.put("featurerollouts", "shop", rollout("a", paused=True))
        await server.remove("featurerollouts", "shop", "b")
        await opened(server, news, 6)
        await news.until(lambda: len(news.looks) == 2)
        assert sorted(news.looks) == ["FeatureRollout/shop/a", "FeatureRollout/shop/b"]
        assert news.gone == ["FeatureRollout/shop/b"]


async def test_after_a_gap_changes_are_seen_and_only_they(server: ApiServer, tmp_path: Path) -> None:
    stored = {name: await server.put("featurerollouts", "shop", rollout(name)) for name in "abc"}
    async with watching(server, tmp_path) as news:
        news.looks.clear()
        await server.silence_watches(True)
        await server.put("featurerollouts", "shop", rollout("b", paused=True))
        await server.put("featurerollouts", "shop", rollout("c", theirs=1))
        news.echoes.wrote(stored["c"]["metadata"]["uid"], str(server.store.version + 1))
        await server.put("featurerollouts", "shop", rollout("c", owned=1))
        server.compact()
        await server.cut_watches()
        await server.silence_watches(False)
        await news.until(lambda: len(news.looks) >= 2)
        await server.put("featurerollouts", "shop", rollout("d"))
        await news.until(lambda: "FeatureRollout/shop/d" in news.looks)
        assert sorted(news.looks) == ["FeatureRollout/shop/b", "FeatureRollout/shop/c", "FeatureRollout/shop/d"]


@pytest.mark.thorough
async def test_a_resync_looks_at_everything_and_notices_what_vanished_in_a_gap(server: ApiServer, tmp_path: Path) -> None:
    for name in ("a", "b"):
        await server.put("featurerollouts", "shop", rollout(name))
    await server.put("configmaps", "shop", flag_set("flags"))
    async with watching(server, tmp_path, resync=(0.6, 0.7)) as news:
        news.looks.clear()
        news.flags.clear()
        await server.silence_watches(True)
        await server.remove("featurerollouts", "shop", "b")
        await server.remove("configmaps", "shop", "flags")
        server.compact()
        server.faults.append(Fault("list", "featurerollouts", status=500, times=1))
        await news.until(lambda: news.gone == ["FeatureRollout/shop/b"])
        await news.until(lambda: "FeatureRollout/shop/a" in news.looks)
        assert news.flags == [("shop", "flags")]


@pytest.mark.thorough
async def test_a_stream_that_went_silent_is_replaced(server: ApiServer, tmp_path: Path) -> None:
    async with watching(server, tmp_path) as news:
        await server.silence_watches(True)
        await server.put("featurerollouts", "shop", rollout("a"))
        await opened(server, news, 6)
        await server.silence_watches(False)
        await news.until(lambda: news.looks == ["FeatureRollout/shop/a"])


async def test_an_error_in_a_stream_ends_the_watch_with_an_exception(server: ApiServer, tmp_path: Path) -> None:
    bystander = asyncio.create_task(asyncio.Event().wait())
    async with watching(server, tmp_path) as news:
        younger = asyncio.create_task(asyncio.Event().wait())
        await server.break_watches(500)
        with pytest.raises(WatchEndedError, match="injected"):
            await news.ended()
        assert not bystander.done()
        assert not younger.done(), "kopf cancels what is younger than itself, in its own loop only"
        bystander.cancel()
        younger.cancel()


@pytest.mark.thorough
async def test_a_watch_that_breaks_is_told_though_kopf_can_not_end(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.watch.kopf_thread._EXIT_PATIENCE", 0.5)
    stuck = threading.Event()

    async def deaf(*_: Any, **__: Any) -> None:
        while not stuck.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.05)

    monkeypatch.setattr("kopf._core.engines.posting.poster", deaf)
    async with watching(server, tmp_path) as news:
        server.faults.append(Fault("list", "configmaps", how="garble", times=100))
        await server.break_watches(410)
        with pytest.raises(WatchEndedError, match="'int' object is not iterable"):
            await news.ended(4)
    stuck.set()
    for thread in threading.enumerate():
        if thread.name == "kopf":
            await asyncio.to_thread(thread.join, 5)  # kopf may have lost the cancellation of a watcher, too


async def test_errors_of_the_api_server_are_outlasted(server: ApiServer, tmp_path: Path) -> None:
    server.faults += [Fault("list", status=500, times=2), Fault("list", how="drop", times=2), Fault("watch", status=503, times=2)]
    async with watching(server, tmp_path, streams=5) as news:
        server.faults += [Fault("watch", how="drop", times=2), Fault("watch", how="hang")]
        await server.cut_watches()
        await server.put("featurerollouts", "shop", rollout("a"))
        await news.until(lambda: news.looks == ["FeatureRollout/shop/a"])


async def test_a_refused_token_is_read_again_and_a_good_one_tried_again(server: ApiServer, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first")
    server.tokens = {"first"}
    async with watching(server, tmp_path, token=token) as news:
        server.tokens = {"second"}
        token.write_text("second")
        await server.cut_watches()
        await server.put("featurerollouts", "shop", rollout("a"))
        await news.until(lambda: news.looks == ["FeatureRollout/shop/a"])
        assert server.asked("watch")[-1].authorization in ("Bearer second", "bearer second")
        server.faults.append(Fault("watch", status=401, reason="Unauthorized", times=3))
        await server.cut_watches()
        await server.put("featurerollouts", "shop", rollout("b"))
        await news.until(lambda: news.looks == ["FeatureRollout/shop/a", "FeatureRollout/shop/b"])


async def test_plain_namespaces_need_no_right_outside_them(server: ApiServer, tmp_path: Path) -> None:
    for namespace in ("shop", "bank", "other"):
        await server.put("featurerollouts", namespace, rollout("a"))
    async with watching(server, tmp_path, "shop", "bank", streams=5) as news:
        assert sorted(news.looks) == ["FeatureRollout/bank/a", "FeatureRollout/shop/a"]
        await server.put("featurerollouts", "other", rollout("b"))
        await server.put("featurerollouts", "bank", rollout("b"))
        await news.until(lambda: "FeatureRollout/bank/b" in news.looks)
        assert "FeatureRollout/other/b" not in news.looks
    asked = {request.namespace for request in server.requests if BY_PLURAL[request.plural].namespaced}
    assert asked == {"shop", "bank"}


async def test_a_namespace_that_is_forbidden_keeps_no_other_waiting(
    server: ApiServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As after a namespace was deleted with the RoleBinding in it, and the operator restarted."""
    for namespace in ("shop", "gone"):
        await server.put("featurerollouts", namespace, rollout("a"))
    server.forbidden = {"gone"}
    async with watching(server, tmp_path, "shop", "gone") as news:
        await news.until(lambda: news.looks == ["FeatureRollout/shop/a"])
        await news.until(lambda: "featurerollouts in namespace gone" in (news.coverage.problem() or ""))
        problem = news.coverage.problem()
        assert problem is not None
        assert problem.startswith("not looked after: configmaps in namespace gone (list configmaps gone: configmaps is forbidden")
        assert "shop" not in problem
        refused = len(server.asked("list"))
        await news.until(lambda: len(server.asked("list")) > refused + 12)  # kopf would end after so many tries
        await server.put("featurerollouts", "shop", rollout("b"))
        await news.until(lambda: news.looks == ["FeatureRollout/shop/a", "FeatureRollout/shop/b"])
        server.forbidden.clear()
        await news.until(lambda: "FeatureRollout/gone/a" in news.looks)
        await server.put("featurerollouts", "gone", rollout("b"))
        await news.until(lambda: "FeatureRollout/gone/b" in news.looks)
        await news.until(lambda: news.coverage.problem() is None)
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert sorted(line.partition(":")[0] for line in told) == ["configmaps in namespace gone", "featurerollouts in namespace gone"], "once"


async def test_a_right_that_is_taken_away_ends_no_other_watch(server: ApiServer, tmp_path: Path) -> None:
    async with watching(server, tmp_path, "shop", "bank", streams=5) as news:
        server.forbidden = {"bank"}
        await server.cut_watches()
        await news.until(lambda: news.coverage.problem() is not None)
        await news.until(lambda: len([one for one in server.asked("watch") if one.namespace == "bank"]) > 12)
        await server.put("featurerollouts", "shop", rollout("a"))
        await news.until(lambda: news.looks == ["FeatureRollout/shop/a"])
        await server.put("featurerollouts", "bank", rollout("a"))
        server.forbidden.clear()
        await news.until(lambda: news.looks == ["FeatureRollout/shop/a", "FeatureRollout/bank/a"])
        await news.until(lambda: news.coverage.problem() is None)


async def test_a_kind_that_can_not_be_listed_keeps_no_other_from_being_watched(server: ApiServer, tmp_path: Path) -> None:
    server.faults.append(Fault("list", "configmaps", status=500, times=10_000))
    async with watching(server, tmp_path, streams=2) as news:
        await server.put("featurerollouts", "shop", rollout("late"))
        await news.until(lambda: "FeatureRollout/shop/late" in news.looks)
        assert "configmaps" in (news.coverage.problem() or "")


async def test_a_kind_that_fails_everywhere_ends_no_other_watch(server: ApiServer, tmp_path: Path) -> None:
    """As when its conversion fails, or its CRD was deleted."""
    async with watching(server, tmp_path) as news:
        server.faults += [Fault("watch", "rolloutpolicies", status=500, times=10), Fault("watch", "configmaps", status=404, times=10)]
        await server.cut_watches()
        await news.until(lambda: not server.faults[0].times and not server.faults[1].times)
        await server.put("featurerollouts", "shop", rollout("a"))
        await server.put("rolloutpolicies", "", {"metadata": {"name": "production"}})
        await server.put("configmaps", "shop", flag_set("flags"))
        await news.until(lambda: len(news.looks) == 2 and news.flags)
        await news.until(lambda: news.coverage.problem() is None)


@pytest.mark.thorough
async def test_missing_kinds_are_waited_for(server: ApiServer, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    everything = server.kinds
    server.kinds = tuple(kind for kind in everything if kind.plural != "rolloutpolicies")
    await server.put("featurerollouts", "shop", rollout("a"))
    async with watching(server, tmp_path, streams=0) as news:
        await news.until(lambda: len(server.asked("list", "rolloutpolicies")) >= 3)
        assert server.asked("watch") == [], "kopf would find no such kind, and never look for it again"
        missing = "rolloutpolicies (list rolloutpolicies: the API server doesn't serve this kind; is its CRD installed?)"
        assert news.coverage.problem() == f"not looked after: {missing}"
        assert news.looks == ["FeatureRollout/shop/a"]
        server.kinds = everything
        await opened(server, news)
        assert news.coverage.problem() is None
    told = [record.getMessage() for record in caplog.records if record.name == "tidegate.watch.coverage"]
    assert len(told) == 1, "once"


async def test_a_kind_that_kopf_does_not_find_is_an_error_not_silence(server: ApiServer, tmp_path: Path) -> None:
    server.hidden = {"rolloutpolicies"}
    async with watching(server, tmp_path, streams=0) as news:
        with pytest.raises(WatchEndedError, match=r"discovery doesn't show rolloutpolicies"):
            await news.ended()


async def test_signals_stay_the_programs_own(server: ApiServer, tmp_path: Path) -> None:
    caught = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, caught.set)
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    try:
        async with watching(server, tmp_path) as news:
            assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
            signal.raise_signal(signal.SIGTERM)
            async with asyncio.timeout(2):
                await caught.wait()
            await server.put("featurerollouts", "shop", rollout("a"))
            await news.until(lambda: news.looks == ["FeatureRollout/shop/a"])
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)


async def test_the_end_is_quick_and_complete(server: ApiServer, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    others = set(threading.enumerate())
    async with watching(server, tmp_path) as news:
        news.stop.set()
        await news.ended(2)
    async with asyncio.timeout(2):
        while any(thread.name == "kopf" for thread in set(threading.enumerate()) - others):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_it_can_be_stopped_while_it_still_waits_for_the_first_list(server: ApiServer, tmp_path: Path) -> None:
    server.faults.append(Fault("list", status=500, times=1000))
    async with watching(server, tmp_path, streams=0) as news:
        await news.until(lambda: server.asked("list"))
        news.stop.set()
        await news.ended(2)
