"""Which RolloutRun an object that is looked at for the first time learns from."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.builders import T0, raw_spec
from tests.fakes.apiserver import ApiServer
from tidegate.clients.kubernetes import Kubernetes
from tidegate.clients.prometheus import Prometheus
from tidegate.domain.keys import Key, Kind
from tidegate.domain.runs import newest_run
from tidegate.domain.snapshot import RunView, Snapshot
from tidegate.observe.evidence import Evidence
from tidegate.observe.policies import Policies
from tidegate.observe.questions import Questions
from tidegate.observe.rollouts import Rollouts

SAME = {"configMap": "shop-flags", "key": "new-search"}


def view(attempt: int, seq: int = 1, part: int = 1, **fields: Any) -> RunView:
    return RunView(f"search-{attempt}", attempt, "v7", **({"rejected": False, "seq": seq, "part": part} | fields))


@pytest.mark.parametrize(
    ("runs", "attempt", "part", "seq"),
    [
        ([view(1, 9)], 1, 1, 9),
        ([view(2, 12), view(1, 9)], 2, 1, 12),
        ([view(1, 100), view(1, 140, part=2)], 1, 2, 140),
        ([view(1, 140, part=2), view(1, 100, rejected=True)], 1, 2, 140),
        ([view(1, 100), view(1, 0, part=2)], 1, 1, 100),  # the process died when it had made part 2
        ([view(1, 9), view(2, 0)], 2, 1, 9),  # the attempt's number is used up, those of records are not
    ],
)
def test_the_last_part_of_the_last_attempt(runs: list[RunView], attempt: int, part: int, seq: int) -> None:
    found = newest_run(runs)
    assert found is not None
    assert (found.attempt, found.part, found.seq) == (attempt, part, seq)


def test_no_run() -> None:
    assert newest_run([]) is None


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with ApiServer.running() as running:
        yield running


async def snapshot(server: ApiServer, tmp_path: Path) -> Snapshot:
    await server.put("featurerollouts", "shop", {"metadata": {"name": "search"}, "spec": raw_spec()})
    async with Kubernetes.connect(server.kubeconfig(tmp_path), time_limit=2.0) as kubernetes, Prometheus.connect() as prometheus:
        rollouts = Rollouts(kubernetes, Policies(kubernetes, "tidegate-system"), Questions(prometheus), Evidence(), lambda: T0)
        found = await rollouts.snapshot(Key(Kind.FEATURE_ROLLOUT, "shop", "search"))
    assert found is not None
    return found


async def put_run(server: ApiServer, attempt: int, target: dict[str, str] | None, *, name: str = "search", rejected: bool = True) -> None:
    spec: dict[str, Any] = {"rollout": name, "uid": "u0", "attempt": attempt, "revision": "v7"}
    body = {
        "metadata": {"name": f"{name}-{attempt}", "labels": {"tidegate.io/rollout": name}},
        "spec": spec | ({} if target is None else {"target": target}),
    }
    await server.put("rolloutruns", "shop", body)
    server.store.objects["rolloutruns", "shop", f"{name}-{attempt}"]["status"] = {"seq": 10 * attempt, "rejected": rejected}


async def test_a_verdict_is_looked_for_among_the_runs_of_the_same_flag(server: ApiServer, tmp_path: Path) -> None:
    await put_run(server, 1, SAME)
    await put_run(server, 2, SAME | {"key": "another"}, rejected=False)
    await put_run(server, 3, SAME | {"configMap": "other-flags"}, rejected=False)
    await put_run(server, 9, SAME, name="another-rollout")
    found = await snapshot(server, tmp_path)
    assert (found.newest_run and found.newest_run.attempt, found.newest_of_flag and found.newest_of_flag.attempt) == (3, 1)


async def test_runs_of_older_versions_count_for_any_flag(server: ApiServer, tmp_path: Path) -> None:
    await put_run(server, 1, SAME)
    await put_run(server, 2, None)
    found = await snapshot(server, tmp_path)
    assert found.newest_of_flag == found.newest_run
    assert found.newest_run is not None
    assert (found.newest_run.attempt, found.newest_run.rejected) == (2, True)


async def test_without_a_run_of_the_flag_nothing_was_rejected(server: ApiServer, tmp_path: Path) -> None:
    await put_run(server, 1, SAME | {"key": "another"})
    found = await snapshot(server, tmp_path)
    assert (found.newest_run is None, found.newest_of_flag) == (False, None)
