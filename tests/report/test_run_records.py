"""RolloutRuns as the API server has them: one for each attempt, in parts, chained, and whole after every crash."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.builders import spec
from tests.fakes.apiserver import ApiServer, Fault
from tests.fakes.writing import writer
from tidegate.api.records import Record, Transition
from tidegate.api.rollout_run import MAX_RECORDS, ROLLOUT_LABEL, TARGET_LABEL
from tidegate.api.rollout_status import FeatureRolloutStatus, Pending, Phase
from tidegate.clients.errors import ApiError, Conflict
from tidegate.clients.kubernetes import Kubernetes
from tidegate.clients.resources import ROLLOUT_RUNS, JsonObject
from tidegate.clients.writer import NotLeaderError
from tidegate.domain.history import target_label
from tidegate.domain.keys import Key
from tidegate.domain.snapshot import Rollout, RunView
from tidegate.observe.parsing import parse_run
from tidegate.report.chain import chained
from tidegate.report.run_records import Runs
from tidegate.report.statuses import RolloutReports

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = FeatureRolloutStatus(attempt=2, revision="v2", phase=Phase.WAITING)
ROLLOUT = Rollout("shop", "search", "uid-of-search", 1, "1", False, (), spec(), None, FeatureRolloutStatus())


def record(seq: int, attempt: int | None, transition: Transition = Transition.STEP_DECIDED, **fields: Any) -> Record:
    revision = None if attempt is None else f"v{attempt}"
    return Record(seq=seq, time=NOW, transition=transition, message=f"number {seq}", attempt=attempt, revision=revision, **fields)


@pytest.fixture
def runs(kubernetes: Kubernetes) -> Runs:
    return Runs(writer(kubernetes))


def run(server: ApiServer, name: str) -> dict[str, Any]:
    return server.store.objects["rolloutruns", "shop", name]


def seqs(server: ApiServer, name: str) -> list[int]:
    return [one["seq"] for one in run(server, name)["status"]["records"]]


async def test_records_go_to_the_run_of_their_attempt(server: ApiServer, runs: Runs) -> None:
    records = (record(1, 1), record(2, 1, Transition.ROLLED_BACK), record(3, 2))
    added = await runs.append(ROLLOUT, SECOND, records)
    assert [one.seq for one in added] == [1, 2, 3]
    assert (seqs(server, "search-1"), seqs(server, "search-2")) == ([1, 2], [3])
    first, second = run(server, "search-1"), run(server, "search-2")
    assert (first["status"]["rejected"], second["status"]["rejected"]) == (True, False)
    assert (first["spec"]["revision"], second["spec"]["revision"]) == ("v1", "v2"), "also of a run that is made this late"
    assert first["status"]["head"] == chained("", records[:2])[-1].hash
    assert second["status"]["head"] == chained("", records[2:])[-1].hash
    await runs.append(ROLLOUT, SECOND, (record(4, 1),))
    assert run(server, "search-1")["status"]["rejected"] is True, "whatever is recorded of it later"


async def test_a_run_says_what_it_was_about_and_is_found_by_it(server: ApiServer, runs: Runs) -> None:
    await runs.append(ROLLOUT, SECOND, (record(1, 2),))
    found = run(server, "search-2")
    assert found["spec"]["target"]["flag"] | {"configMap": "shop-flags", "key": "new-search"} == found["spec"]["target"]["flag"]
    assert parse_run(found).target == "flag/shop-flags/new-search"
    assert found["metadata"]["labels"] == {ROLLOUT_LABEL: "search", TARGET_LABEL: target_label("flag/shop-flags/new-search")}


async def test_records_of_an_older_version_go_to_the_run_of_the_status(server: ApiServer, runs: Runs) -> None:
    old = (record(1, None), record(2, None))
    await runs.append(ROLLOUT, SECOND, old)
    assert seqs(server, "search-2") == [1, 2]
    assert run(server, "search-2")["spec"]["revision"] == "v2"
    assert run(server, "search-2")["status"]["head"] == chained("", old)[-1].hash


async def test_a_failure_between_two_runs_repeats_nothing(server: ApiServer, runs: Runs) -> None:
    await runs.append(ROLLOUT, SECOND, (record(3, 2),))
    pending = (record(4, 1), record(5, 2))
    server.faults += [Fault("create", "rolloutruns"), Fault("patch", "rolloutruns")]
    for _ in range(2):
        with pytest.raises(ApiError):
            await runs.append(ROLLOUT, SECOND, pending)
    assert [one.seq for one in await runs.append(ROLLOUT, SECOND, pending)] == [4, 5]
    assert (seqs(server, "search-1"), seqs(server, "search-2")) == ([4], [3, 5])


async def test_a_rollback_that_was_found_counts_as_one_that_was_made(server: ApiServer, runs: Runs) -> None:
    """A re-created object whose runs are gone finds the mark on the flag: from then on the run remembers it too."""
    await runs.append(ROLLOUT, SECOND, (record(1, 2, Transition.ADOPTED, to_phase="RollingBack"),))
    assert run(server, "search-2")["status"]["rejected"] is True


async def test_events_carry_the_number_of_their_records_attempt(server: ApiServer, kubernetes: Kubernetes, runs: Runs) -> None:
    body = await server.put("featurerollouts", "shop", {"metadata": {"name": "search"}, "spec": {}})
    rollout = replace(ROLLOUT, uid="0123456789", resource_version=body["metadata"]["resourceVersion"])
    names = list[str]()

    def announce(_: Key, events: Sequence[JsonObject]) -> None:
        names.extend(event["metadata"]["name"] for event in events)

    reports = RolloutReports(writer(kubernetes), runs, lambda *_: None, announce)
    pending = Pending(records=(record(7, 1), record(8, 2), record(9, None)))
    await reports.append(rollout, SECOND.model_copy(update={"pending": pending}))
    assert names == ["search.01234567.1.7", "search.01234567.2.8", "search.01234567.2.9"]


# the end of a run


async def views(kubernetes: Kubernetes) -> list[RunView]:
    return [parse_run(run) async for page in kubernetes.pages(ROLLOUT_RUNS, "shop") for run in page.items]


async def test_a_run_is_deleted_as_it_was_read_or_not_at_all(
    server: ApiServer, kubernetes: Kubernetes, runs: Runs, caplog: pytest.LogCaptureFixture
) -> None:
    await runs.append(ROLLOUT, SECOND, (record(1, 1), record(2, 2), record(3, 3)))
    first, second, third = await views(kubernetes)
    await server.remove("rolloutruns", "shop", first.name)
    await runs.append(ROLLOUT, SECOND, (record(4, 3),))
    with caplog.at_level("INFO"), pytest.raises(Conflict):
        await runs.delete("shop", [first, second, third])
    assert [run.name for run in await views(kubernetes)] == ["search-3"]
    assert "RolloutRun search-2 is deleted" in caplog.text


async def test_a_run_that_can_not_be_deleted_keeps_those_that_are_newer(server: ApiServer, kubernetes: Kubernetes, runs: Runs) -> None:
    await runs.append(ROLLOUT, SECOND, (record(1, 1), record(2, 2)))
    server.faults.append(Fault("delete", "rolloutruns", status=403, reason="Forbidden"))
    with pytest.raises(ApiError):
        await runs.delete("shop", await views(kubernetes))
    assert len(await views(kubernetes)) == 2


async def test_who_does_not_lead_deletes_nothing(kubernetes: Kubernetes, runs: Runs) -> None:
    await runs.append(ROLLOUT, SECOND, (record(1, 1),))
    with pytest.raises(NotLeaderError):
        await Runs(writer(kubernetes, is_leader=False)).delete("shop", await views(kubernetes))


# parts


def batches(until: int) -> list[tuple[Record, ...]]:
    return [tuple(record(seq, 2) for seq in range(first, first + 10)) for first in range(1, until, 10)]


@pytest.mark.parametrize("fault", ["status refused", "answer lost"])
async def test_a_part_that_was_made_and_not_filled_goes_on_where_the_one_before_ended(
    server: ApiServer, kubernetes: Kubernetes, runs: Runs, fault: str
) -> None:
    *before, rejecting, crossing = batches(MAX_RECORDS + 1)
    for batch in before:
        await runs.append(ROLLOUT, SECOND, batch)
    await runs.append(ROLLOUT, SECOND, (record(rejecting[0].seq, 2, Transition.ROLLED_BACK), *rejecting[1:]))
    last = before[-1][-1].seq
    assert seqs(server, "search-2")[-1] == rejecting[-1].seq
    known = rejecting[-3:]
    pending = (*known, *crossing, *(record(seq, 2) for seq in range(crossing[-1].seq + 1, crossing[-1].seq + 6)))
    if fault == "status refused":
        server.faults.append(Fault("patch", "rolloutruns"))
    else:
        server.faults.append(Fault("create", "rolloutruns", how="lose_reply"))
    with pytest.raises(ApiError):
        await runs.append(ROLLOUT, SECOND, pending)
    assert (run(server, "search-2-part2").get("status") or {}).get("seq", 0) == 0
    added = await Runs(writer(kubernetes)).append(ROLLOUT, SECOND, pending)
    first, second = run(server, "search-2"), run(server, "search-2-part2")
    assert seqs(server, "search-2") + seqs(server, "search-2-part2") == list(range(1, pending[-1].seq + 1))
    assert last < added[0].seq == crossing[0].seq
    assert second["spec"]["previous"] == {"name": "search-2", "head": first["status"]["head"]}
    records = [Record.model_validate(one) for one in first["status"]["records"] + second["status"]["records"]]
    assert [one.hash for one in records] == [one.hash for one in chained("", records)]
    assert second["status"]["rejected"] is True
