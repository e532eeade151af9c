"""The one writer of a flag set: what goes out together, what is refused, and what a conflict costs."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.builders import mark
from tests.fakes.apiserver import ApiServer, Fault
from tests.fakes.writing import writer
from tidegate.act.flag_writes import FlagWrites, StaleDecisionError
from tidegate.api.targets import FlagTarget
from tidegate.clients.errors import Conflict, Unavailable
from tidegate.clients.kubernetes import Kubernetes
from tidegate.clients.writer import NotLeaderError
from tidegate.domain.exposure import Reading
from tidegate.levers.flag.definition import definition_for, switched_off
from tidegate.levers.flag.flag_set import WriteFlag, parse_flag_set, read_flag

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


UNSEEN = Reading(None)


def write(percent: int, key: str = "search", owner: str = "a", seen: Reading = UNSEEN, **fields: Any) -> WriteFlag:
    """A raise unless it goes to 0, of what did not exist when it was decided unless `seen`."""
    target = FlagTarget(key=key, config_map="flags")
    made: dict[str, Any] = {
        "definition": definition_for(target, percent) if percent else switched_off(),
        "mark": mark(rollout=f"shop/{owner}", uid=f"uid-{owner}", percent=percent),
        "raises": percent > 0,
    }
    return WriteFlag(config_map="flags", key=key, percent=percent, seen=seen, **(made | fields))


def flag_writes_of(kubernetes: Kubernetes, now: datetime = NOW, *, is_leader: bool = True) -> FlagWrites:
    return FlagWrites(writer(kubernetes, is_leader=is_leader), lambda: now)


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with ApiServer.running() as running:
        yield running


@pytest.fixture
async def kubernetes(server: ApiServer, tmp_path: Path) -> AsyncIterator[Kubernetes]:
    async with Kubernetes.connect(server.kubeconfig(tmp_path), time_limit=2.0) as client:
        yield client


@pytest.fixture
def flag_writes(kubernetes: Kubernetes) -> FlagWrites:
    return flag_writes_of(kubernetes)


def stored(server: ApiServer) -> dict[str, Any]:
    config_map = server.store.objects["configmaps", "shop", "flags"]
    document: dict[str, Any] = json.loads(config_map["data"]["flags.flagd.json"])
    return document | {"epoch": config_map["metadata"]["annotations"]["tidegate.io/epoch"]}


def writes(server: ApiServer) -> int:
    return sum(request.verb in ("create", "patch", "update") and request.plural == "configmaps" for request in server.requests)


async def test_a_missing_flag_set_is_created_with_label_and_epoch(server: ApiServer, flag_writes: FlagWrites) -> None:
    await flag_writes.write("shop", write(25))
    config_map = server.store.objects["configmaps", "shop", "flags"]
    assert config_map["metadata"]["labels"] == {"tidegate.io/flag-set": "true"}
    assert stored(server)["epoch"] == "1"
    assert stored(server)["flags"]["search"]["metadata"]["percent"] == 25


async def test_every_write_carries_the_next_epoch_also_when_the_content_is_equal(server: ApiServer, flag_writes: FlagWrites) -> None:
    for expected in ("1", "2", "3"):
        await flag_writes.write("shop", write(0))
        assert stored(server)["epoch"] == expected


async def test_hand_written_flags_and_other_parts_of_the_document_are_kept(server: ApiServer, flag_writes: FlagWrites) -> None:
    mine = {"state": "ENABLED", "variants": {"x": 1, "y": 2}, "defaultVariant": "x"}
    data = {"flags.flagd.json": json.dumps({"flags": {"mine": mine}, "$evaluators": {"e": True}}), "other": "text"}
    await server.put("configmaps", "shop", {"metadata": {"name": "flags", "labels": {"tidegate.io/flag-set": "true"}}, "data": data})
    await flag_writes.write("shop", write(25))
    document = stored(server)
    assert document["flags"]["mine"] == mine
    assert document["$evaluators"] == {"e": True}
    assert server.store.objects["configmaps", "shop", "flags"]["data"]["other"] == "text"


async def test_rollouts_that_move_together_cost_one_write(server: ApiServer, flag_writes: FlagWrites) -> None:
    await flag_writes.write("shop", write(25, key="first"))
    before = writes(server)
    together = [flag_writes.write("shop", write(25, key=f"flag-{n}", owner=f"r{n}")) for n in range(50)]
    await asyncio.gather(*together)
    assert writes(server) - before == 1
    assert len(stored(server)["flags"]) == 51


async def test_a_lowering_waits_for_nobody_and_takes_the_raises_along(
    server: ApiServer, flag_writes: FlagWrites, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.act.flag_writes.TOGETHER", 60.0)
    raising = asyncio.create_task(flag_writes.write("shop", write(25, key="first")))
    await asyncio.sleep(0)
    assert writes(server) == 0
    await asyncio.wait_for(flag_writes.write("shop", write(0, key="second", owner="b")), 5)
    await asyncio.wait_for(raising, 5)
    assert writes(server) == 1


def seen(server: ApiServer, key: str = "search") -> Reading:
    """The flag as a decision that is made now sees it."""
    found = read_flag(parse_flag_set(server.store.objects["configmaps", "shop", "flags"]), key)
    assert isinstance(found, Reading)
    return found


def renewal(key: str, owner: str, read: Reading, end: int) -> WriteFlag:
    definition = definition_for(FlagTarget(key=key, config_map="flags"), 25, end)
    return write(25, key, owner, read, definition=definition, raises=False, renews=True)


async def test_leases_that_are_due_together_are_renewed_by_one_write(server: ApiServer, flag_writes: FlagWrites) -> None:
    end = int(NOW.timestamp()) + 60
    await asyncio.gather(*(flag_writes.write("shop", write(25, key=f"flag-{n}", owner=f"r{n}")) for n in range(50)))
    read = {key: seen(server, key) for key in stored(server)["flags"]}
    before = writes(server)
    await asyncio.gather(*(flag_writes.write("shop", renewal(f"flag-{n}", f"r{n}", read[f"flag-{n}"], end)) for n in range(50)))
    assert writes(server) - before == 1
    assert all(str(end) in json.dumps(flag) for flag in stored(server)["flags"].values())


async def test_a_renewal_waits_for_others_and_a_lowering_for_none(
    server: ApiServer, flag_writes: FlagWrites, monkeypatch: pytest.MonkeyPatch
) -> None:
    await flag_writes.write("shop", write(25, key="first"))
    read = seen(server, "first")
    monkeypatch.setattr("tidegate.act.flag_writes.TOGETHER", 60.0)
    renewing = asyncio.create_task(flag_writes.write("shop", renewal("first", "a", read, int(NOW.timestamp()) + 60)))
    for _ in range(100):  # whatever would be sent at once is under way by then
        await asyncio.sleep(0)
    await asyncio.wait_for(flag_writes.write("shop", write(0, key="second", owner="b")), 5)
    await asyncio.wait_for(renewing, 5)
    assert writes(server) == 2


async def test_a_renewal_that_comes_too_late_is_refused(server: ApiServer, kubernetes: Kubernetes, flag_writes: FlagWrites) -> None:
    end = int(NOW.timestamp()) + 60
    await flag_writes.write("shop", replace(renewal("search", "a", UNSEEN, end), raises=True, renews=False))
    read = seen(server)
    late = flag_writes_of(kubernetes, NOW + timedelta(seconds=60))
    with pytest.raises(StaleDecisionError, match="lease expired since this was decided"):
        await late.write("shop", renewal("search", "a", read, end + 20))
    await flag_writes.write("shop", renewal("search", "a", read, end + 20))


async def test_a_raise_is_refused_once_the_flag_was_written_again(server: ApiServer, flag_writes: FlagWrites) -> None:
    await flag_writes.write("shop", write(25))
    read = seen(server)
    await flag_writes.write("shop", write(0, seen=read))
    with pytest.raises(StaleDecisionError, match="written since this raise was decided"):
        await flag_writes.write("shop", write(50, seen=read))
    assert stored(server)["flags"]["search"]["metadata"]["percent"] == 0


async def test_a_lowering_holds_although_the_flag_was_written_again(server: ApiServer, flag_writes: FlagWrites) -> None:
    await flag_writes.write("shop", write(25))
    read = seen(server)
    await flag_writes.write("shop", write(50, seen=read))
    await flag_writes.write("shop", write(0, seen=read))
    assert stored(server)["flags"]["search"]["metadata"]["percent"] == 0


async def test_another_owner_refuses_even_a_lowering(server: ApiServer, flag_writes: FlagWrites) -> None:
    await flag_writes.write("shop", write(25, owner="first"))
    with pytest.raises(StaleDecisionError, match="belongs to shop/first"):
        await flag_writes.write("shop", write(0, owner="second"))


async def test_one_refused_write_does_not_hold_up_the_others_of_its_batch(server: ApiServer, flag_writes: FlagWrites) -> None:
    await flag_writes.write("shop", write(25, key="taken", owner="first"))
    results = await asyncio.gather(
        flag_writes.write("shop", write(25, key="free", owner="second")),
        flag_writes.write("shop", write(25, key="taken", owner="second")),
        return_exceptions=True,
    )
    assert results[0] is None
    assert isinstance(results[1], StaleDecisionError)


async def test_a_conflict_is_read_again_and_written_again(server: ApiServer, flag_writes: FlagWrites) -> None:
    await flag_writes.write("shop", write(25))
    read = seen(server)
    server.faults.append(Fault("patch", "configmaps", status=409, reason="Conflict", times=2))
    await flag_writes.write("shop", write(50, seen=read))
    assert stored(server)["flags"]["search"]["metadata"]["percent"] == 50


async def test_conflicts_without_end_are_given_back(server: ApiServer, flag_writes: FlagWrites) -> None:
    await flag_writes.write("shop", write(25))
    server.faults.append(Fault("patch", "configmaps", status=409, reason="Conflict", times=99))
    with pytest.raises(Conflict):
        await flag_writes.write("shop", write(0))


async def test_a_failed_write_leaves_the_line_open_for_the_next(server: ApiServer, flag_writes: FlagWrites) -> None:
    server.faults.append(Fault("create", "configmaps", status=503, times=1))
    with pytest.raises(Unavailable):
        await flag_writes.write("shop", write(25))
    await flag_writes.write("shop", write(25))
    assert stored(server)["epoch"] == "1"


async def test_without_the_lease_nothing_is_written(server: ApiServer, kubernetes: Kubernetes) -> None:
    deposed = flag_writes_of(kubernetes, is_leader=False)
    with pytest.raises(NotLeaderError):
        await deposed.write("shop", write(0))
    assert writes(server) == 0


async def test_the_epoch_of_a_re_created_flag_set_goes_on_from_the_marks(server: ApiServer, flag_writes: FlagWrites) -> None:
    for _ in range(3):
        await flag_writes.write("shop", write(0))
    text = server.store.objects["configmaps", "shop", "flags"]["data"]["flags.flagd.json"]
    await server.remove("configmaps", "shop", "flags")
    await server.put("configmaps", "shop", {"metadata": {"name": "flags"}, "data": {"flags.flagd.json": text}})
    await flag_writes.write("shop", write(0))
    assert stored(server)["epoch"] == "4"
