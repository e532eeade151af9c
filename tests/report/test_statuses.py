"""What reaches the API server of a decision: status, records and Events."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from prometheus_client import CollectorRegistry

from tests.fakes.apiserver import ApiServer, Fault
from tests.fakes.writing import writer
from tidegate.api.records import Record, Transition
from tidegate.api.rollout_run import MAX_RECORDS
from tidegate.api.rollout_status import FeatureRolloutStatus, Pending, Phase
from tidegate.clients.errors import ApiError, Conflict
from tidegate.clients.kubernetes import Kubernetes
from tidegate.domain.snapshot import Rollout
from tidegate.report.chain import chained
from tidegate.report.outbox import Outbox
from tidegate.report.run_records import Runs
from tidegate.report.statuses import RolloutReports

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def record(seq: int, transition: Transition = Transition.STEP_DECIDED) -> Record:
    return Record(seq=seq, time=NOW, transition=transition, message=f"number {seq}")


def status(*records: Record, **fields: Any) -> FeatureRolloutStatus:
    pending = Pending(records=records) if records else None
    return FeatureRolloutStatus(attempt=1, phase=Phase.PROGRESSING, percent=25, pending=pending, **fields)


@pytest.fixture
async def rollout(server: ApiServer) -> Rollout:
    body = await server.put("featurerollouts", "shop", {"metadata": {"name": "search"}, "spec": {}})
    metadata = body["metadata"]
    return Rollout("shop", "search", metadata["uid"], 1, metadata["resourceVersion"], False, (), None, None, FeatureRolloutStatus())


@pytest.fixture
def counted() -> list[int]:
    """The seq of each record that was told as new."""
    return []


@pytest.fixture
async def outbox(kubernetes: Kubernetes) -> AsyncIterator[Outbox]:
    outbox = Outbox(writer(kubernetes), CollectorRegistry())
    posting = asyncio.create_task(outbox.run())
    yield outbox
    posting.cancel()
    await asyncio.wait([posting])


@pytest.fixture
def reports(kubernetes: Kubernetes, counted: list[int], outbox: Outbox) -> RolloutReports:
    def recorded(_: Rollout, records: tuple[Record, ...]) -> None:
        counted.extend(record.seq for record in records)

    return RolloutReports(writer(kubernetes), Runs(writer(kubernetes)), recorded, outbox.put)


def run(server: ApiServer, name: str = "search-1") -> dict[str, Any]:
    return server.store.objects["rolloutruns", "shop", name]


def written(server: ApiServer) -> dict[str, Any]:
    found: dict[str, Any] = server.store.objects["featurerollouts", "shop", "search"]["status"]
    return found


async def test_records_appended_before_a_crash_are_not_appended_again(server: ApiServer, reports: RolloutReports, rollout: Rollout) -> None:
    await reports.append(rollout, status(record(1)))
    await reports.append(rollout, status(record(1), record(2)))
    assert [one["seq"] for one in run(server)["status"]["records"]] == [1, 2]


async def test_each_record_makes_one_event(server: ApiServer, reports: RolloutReports, rollout: Rollout, outbox: Outbox) -> None:
    for _ in range(2):
        await reports.append(rollout, status(record(1), record(2, Transition.ROLLED_BACK)))
    await outbox.drain(5.0)
    events = [body for key, body in server.store.objects.items() if key[0] == "events"]
    assert sorted((event["reason"], event["type"]) for event in events) == [("RolledBack", "Warning"), ("StepDecided", "Normal")]
    assert len(server.asked("create", "events")) == 2


async def test_a_record_counts_once_it_is_in_the_run_and_once_only(
    server: ApiServer, reports: RolloutReports, rollout: Rollout, counted: list[int]
) -> None:
    """A decision whose record is refused is made again, with the same number or another."""
    for refused in (Fault("create", "rolloutruns"), Fault("patch", "rolloutruns")):
        server.faults.append(refused)
        with pytest.raises(ApiError):
            await reports.append(rollout, status(record(1), record(2)))
    assert counted == []
    for _ in range(2):
        await reports.append(rollout, status(record(1), record(2)))
    assert counted == [1, 2]


@pytest.mark.parametrize("how", ["refuse", "hang"])
async def test_an_event_that_can_not_be_posted_holds_nothing_up(
    server: ApiServer, reports: RolloutReports, rollout: Rollout, how: Literal["refuse", "hang"]
) -> None:
    server.faults.append(Fault("create", "events", how, status=403, reason="Forbidden", times=9))
    async with asyncio.timeout(1.5):  # the client itself waits for two seconds
        await reports.append(rollout, status(record(1)))
    assert run(server)["status"]["seq"] == 1


async def test_a_field_that_is_gone_is_gone_from_the_server_too(server: ApiServer, reports: RolloutReports, rollout: Rollout) -> None:
    stored = await reports.write(rollout, status(waiting_for="the dwell"))
    assert written(server)["waitingFor"] == "the dwell"
    await reports.write(stored, status())
    assert "waitingFor" not in written(server)


async def test_a_write_between_read_and_report_is_a_conflict(server: ApiServer, reports: RolloutReports, rollout: Rollout) -> None:
    await server.put("featurerollouts", "shop", {"metadata": {"name": "search"}, "spec": {"paused": True}})
    with pytest.raises(Conflict):
        await reports.write(rollout, status())


async def test_a_full_run_goes_on_in_the_next_part_with_the_chain_unbroken(
    server: ApiServer, kubernetes: Kubernetes, rollout: Rollout
) -> None:
    runs = Runs(writer(kubernetes))
    for first in range(1, MAX_RECORDS + 41, 20):
        await runs.append(rollout, status(), tuple(record(seq) for seq in range(first, first + 20)))
    parts = [run(server), run(server, "search-1-part2")]
    records = [one for part in parts for one in part["status"]["records"]]
    assert [one["seq"] for one in records] == list(range(1, MAX_RECORDS + 41))
    assert [one["hash"] for one in records] == [one.hash for one in chained("", [record(seq) for seq in range(1, MAX_RECORDS + 41)])]
    assert parts[1]["spec"]["previous"] == {"name": "search-1", "head": parts[0]["status"]["head"]}


async def test_the_status_of_a_rollout_that_is_gone_is_no_error(server: ApiServer, reports: RolloutReports, rollout: Rollout) -> None:
    await server.remove("featurerollouts", "shop", "search")
    assert await reports.write(rollout, status()) == rollout
