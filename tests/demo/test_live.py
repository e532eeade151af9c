"""Looking, acting and measuring, against an API server on loopback that plays a rollout."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from demo import live
from demo.api import Api, Ends, NoAnswerError, Series
from demo.live import make_bad, play
from demo.measuring import first_beyond, last_seen_on
from demo.observing import Observation, Reading
from demo.plan import CLIMBS, FALLS, NAMESPACE
from demo.words import Headline
from tests.demo.scenes import PLAN, climb, enabled, record, rolling
from tests.fakes.apiserver import ApiServer
from tidegate.api.records import Record, Transition
from tidegate.api.rollout_run import RolloutRunStatus
from tidegate.api.rollout_status import FeatureRolloutStatus, Phase, State, Verdict
from tidegate.api.types import format_time

PODS = ("trading-a", "trading-b")


@dataclass
class Cluster:
    """Both rollouts stand at step 2 until every pod is bad; then one is taken back and the other is enabled."""

    made_bad: list[str] = field(default_factory=list)
    refusals: int = 1
    begin: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(seconds=60))

    async def answer(self, request: web.Request) -> web.Response:
        path = request.path
        if request.method == "POST":
            return self._made_bad(path, request.query["feature"])
        if path.endswith("/featurerollouts"):
            return web.json_response({"items": [self._rollout(CLIMBS), self._rollout(FALLS)]})
        if path.endswith("/events"):
            return web.json_response({"items": self._events()})
        if path.endswith("/pods"):
            return web.json_response({"items": [{"metadata": {"name": name}} for name in PODS]})
        if "/rolloutruns/" in path:
            return web.json_response({"status": RolloutRunStatus(records=self._records(path)).to_wire()})
        if "/configmaps/" in path:
            flag = {"metadata": {"writtenAt": format_time(datetime.now(UTC))}}
            return web.json_response({"data": {"flags.flagd.json": json.dumps({"flags": {FALLS: flag}})}})
        return web.json_response({"status": "success", "data": {"result": self._series(request.query["query"])}})

    @property
    def _bad(self) -> bool:
        return set(self.made_bad) == set(PODS)

    def _made_bad(self, path: str, feature: str) -> web.Response:
        if self.refusals:
            self.refusals -= 1
            return web.Response(status=503, text="the pod does not answer")
        assert feature == FALLS
        self.made_bad.append(path.split("/pods/")[1].split(":")[0])
        return web.json_response({"bad": [feature]})

    def _rollout(self, name: str) -> dict[str, Any]:
        status = rolling(50, 2, 0).model_copy(update={"effective_at": self.begin, "run": f"{name}-1"})
        if self._bad and name == CLIMBS:
            status = enabled().model_copy(update={"run": f"{name}-1"})
        elif self._bad:
            status = FeatureRolloutStatus(
                state=State.ROLLBACK, phase=Phase.ROLLED_BACK, percent=0, rolled_back_at=datetime.now(UTC), run=f"{name}-1"
            )
        return {"metadata": {"name": name}, "status": status.to_wire()}

    def _events(self) -> list[dict[str, Any]]:
        ours = {"reportingController": "tidegate.io/operator", "regarding": {"name": FALLS}, "reason": "StepDecided", "type": "Normal"}
        name = {"name": f"{FALLS}.0a1b2c3d.1.7"}
        return [
            {"reportingController": "kubelet", "regarding": {"name": "trading-a"}},
            ours | {"metadata": name, "eventTime": "2026-12-01T09:00:01.000000Z", "note": "25 % → 50 %"},
        ]

    def _records(self, path: str) -> tuple[Record, ...]:
        if CLIMBS in path:
            return climb((2, 25), (42.3, 50), (82.6, 100), end=122.9)
        return (record(1, 2, Transition.STEP_DECIDED, 25), record(2, 2.2, Transition.STEP_EFFECTIVE, 25))

    def _series(self, query: str) -> list[dict[str, Any]]:
        now = datetime.now(UTC).timestamp()
        if query.startswith("feature_last_seen_on"):
            return [{"metric": {"pod": pod}, "values": [[now, str(now - 5 - number)]]} for number, pod in enumerate(PODS)]
        if query.startswith("max_drawdown"):
            return [{"metric": {}, "values": [[now - 9, "0.03"], [now - 8, "0.0712"], [now - 7, "0.09"]]}]
        labels = {"name": FALLS, "source": "rollout", "gate": "max-drawdown"}
        return [{"metric": labels, "value": [now, "0.0712"]}, {"metric": labels | {"verdict": "HOLD"}, "value": [now, "1"]}]


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest_asyncio.fixture
async def kubeconfig(cluster: Cluster, tmp_path: Path) -> AsyncIterator[Path]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", cluster.answer)
    async with TestServer(application) as server:
        yield written(tmp_path, str(server.make_url("")).rstrip("/"))


def written(folder: Path, server: str) -> Path:
    """A kubeconfig for a server."""
    api = ApiServer()
    api.url = server
    return Path(api.kubeconfig(folder))


@pytest.mark.thorough
async def test_the_feature_is_made_bad_in_every_pod_and_the_fall_is_measured(cluster: Cluster, kubeconfig: Path) -> None:
    shown: list[tuple[Observation, Headline]] = []
    ending = await play(Ends(kubeconfig), PLAN, lambda *seen: shown.append(seen))
    assert set(cluster.made_bad) == set(PODS)
    assert any(headline.trouble and "the pod does not answer" in headline.trouble for _, headline in shown)
    assert ending.story.failure is None
    assert len(ending.runs[CLIMBS]) == 7
    assert ending.fall is not None
    assert ending.fall.bad_value == 0.0712
    assert ending.fall.seconds == pytest.approx(3.0, abs=0.5)
    first, _ = shown[0]
    assert [(one.rollout, one.number, one.note) for one in first.announcements] == [(FALLS, 7, "25 % → 50 %")], "ours alone"
    assert list(first.readings.values()) == [Reading(0.0712, Verdict.HOLD)], "as the operator exports it"


async def test_an_answer_that_is_none_and_a_server_that_is_away_are_one_sentence(kubeconfig: Path, cluster: Cluster) -> None:
    async with Api.connect(Ends(kubeconfig)) as api:
        with pytest.raises(NoAnswerError, match=f"POST /api/v1/namespaces/{NAMESPACE}/x: 503 the pod does not answer"):
            await api.post(f"/api/v1/namespaces/{NAMESPACE}/x?feature=y")
    async with Api.connect(Ends(written(kubeconfig.parent, "http://127.0.0.1:1"))) as api:
        with pytest.raises(NoAnswerError, match="GET /x: "):
            await api.get("/x")


async def test_what_is_not_behind_the_api_server_is_asked_past_it_and_not_told_who_asks(kubeconfig: Path) -> None:
    told: list[tuple[str, str | None]] = []

    async def beside(request: web.Request) -> web.Response:
        told.append((str(request.rel_url), request.headers.get("Authorization")))
        return web.json_response({"status": "success", "data": {"result": []}})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", beside)
    async with TestServer(application) as server:
        url = str(server.make_url("")).rstrip("/")
        async with Api.connect(Ends(kubeconfig, url, (url,))) as api:
            assert await api.prometheus("up") == []
            await make_bad(api)
    assert told == [("/api/v1/query?query=up", None), (f"/bad?feature={FALLS}", None)]


async def test_the_rollouts_begin_once_every_replica_was_read(kubeconfig: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def series(query: str) -> list[dict[str, Any]]:
        asked.append(query)
        return [{"metric": {"pod": pod}, "value": [1, "0.03"]} for pod in PODS[: len(asked)]]

    monkeypatch.setattr(cluster, "_series", series)
    await live.read_once(Ends(kubeconfig))
    assert len(asked) == len(PODS)
    monkeypatch.setattr(live, "SETTLE_SECONDS", 0.1)
    monkeypatch.setattr(cluster, "_series", lambda _: [])
    with pytest.raises(NoAnswerError, match="has not read 2 replicas of the application"):
        await live.read_once(Ends(kubeconfig))


@pytest.mark.parametrize(
    ("samples", "expected"),
    [(((100.0, 90.0), (100.2, 91.5)), 91.5), (((100.0, 90.0), (100.2, 98.0)), None), (((100.0, 90.0),), None)],
)
async def test_a_request_is_the_last_only_after_a_while_of_silence_in_every_replica(
    samples: tuple[tuple[float, float], ...], expected: float | None
) -> None:
    api = AsyncMock(**{"prometheus.return_value": [Series({}, (sample,)) for sample in samples]})
    found = await last_seen_on(api)
    assert (found.timestamp() if found else None) == expected


async def test_the_first_sample_beyond_the_bound_is_the_earliest_of_all_series() -> None:
    assert first_beyond([], 0.07) is None
    series = [Series({}, ((1.0, 0.05), (3.0, 0.08))), Series({}, ((1.5, 0.07), (2.5, 0.071)))]
    assert first_beyond(series, 0.07) == (2.5, 0.071)
