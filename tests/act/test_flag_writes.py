"""The one writer of a flag set: what goes out together, what is refused, and what a conflict costs."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from tests.builders import CONFIG_MAP, KEY, START, after
from tests.fakes.apiserver import ApiServer, Fault
from tests.fakes.writing import writer
from tests.levers.flag.writing import a_write, reading
from tidegate.act.flag_writes import TOGETHER, FlagWrites, NotWritableError, StaleDecisionError
from tidegate.clients.errors import Conflict, Unavailable
from tidegate.clients.kubernetes import Kubernetes
from tidegate.domain.exposure import Reading
from tidegate.levers.flag.flag_set import DOCUMENT_KEY, FLAG_SET_LABEL, MAX_DOCUMENT_BYTES, WriteFlag, parse_flag_set

LABELLED = {"name": CONFIG_MAP, "labels": {FLAG_SET_LABEL: "true"}}
LEASE = int(START) + 60
START_TIME = after(0)


class Others:
    """What other rollouts had in a flag set; who asked for it, and what they are told of what was written."""

    def __init__(self, *writes: WriteFlag) -> None:
        self.writes = writes
        self.asked: list[tuple[str, str]] = []
        self.told: list[tuple[list[str], list[str]]] = []

    async def flags(self, namespace: str, config_map: str) -> tuple[WriteFlag, ...]:
        self.asked.append((namespace, config_map))
        return self.writes

    def stored(self, namespace: str, config_map: str, own: Iterable[str], put_back: Iterable[str]) -> None:
        self.told.append((sorted(own), sorted(put_back)))


class World:
    """A flag set, and what writes it."""

    def __init__(self, server: ApiServer, kubernetes: Kubernetes) -> None:
        self.server, self.now = server, 0.0
        self.flag_writes = FlagWrites(writer(kubernetes), lambda: after(self.now), Others())

    async def write(self, *writes: WriteFlag) -> list[BaseException | None]:
        """All at the same time."""
        return await asyncio.gather(*(self.flag_writes.write("shop", one) for one in writes), return_exceptions=True)

    def stored(self) -> dict[str, Any]:
        return self.server.store.objects["configmaps", "shop", CONFIG_MAP]

    def seen(self, key: str = KEY) -> Reading:
        """The flag as a decision that is made now sees it."""
        return reading(parse_flag_set(self.stored()), key)

    def writes(self) -> int:
        return sum(request.verb != "get" for request in self.server.requests)


@pytest.fixture
def world(server: ApiServer, kubernetes: Kubernetes) -> World:
    return World(server, kubernetes)


def renewed(write: WriteFlag, seen: Reading) -> WriteFlag:
    again = a_write(write.percent, seen, key=write.key, lease=LEASE, uid=write.mark.uid)
    return replace(again, raises=False, renews=True)


async def test_a_missing_flag_set_is_created_with_label_and_epoch(world: World) -> None:
    assert await world.write(a_write(25)) == [None]
    assert world.stored()["metadata"]["labels"] == {"tidegate.io/flag-set": "true"}
    assert world.stored()["metadata"]["annotations"] == {"tidegate.io/epoch": "1"}
    assert world.seen().percent == 25


async def test_other_parts_of_document_and_config_map_are_kept(world: World) -> None:
    data = {DOCUMENT_KEY: json.dumps({"flags": {"mine": {"state": "ENABLED"}}}), "other": "text"}
    await world.server.put("configmaps", "shop", {"metadata": LABELLED, "data": data})
    await world.write(a_write(25))
    assert json.loads(world.stored()["data"][DOCUMENT_KEY])["flags"].keys() == {"mine", KEY}
    assert world.stored()["data"]["other"] == "text"


async def test_raises_and_renewals_that_are_due_together_cost_one_write_each_time(world: World) -> None:
    together = [a_write(25, key=f"flag-{number}", uid=f"u{number}") for number in range(50)]
    await world.write(*together)
    await world.write(*(renewed(one, world.seen(one.key)) for one in together))
    assert {world.seen(one.key).expires for one in together} == {LEASE}
    assert world.writes() == 2


@pytest.mark.parametrize("renews", [False, True])
async def test_a_lowering_waits_for_nobody_and_takes_along_what_waits(world: World, monkeypatch: pytest.MonkeyPatch, renews: bool) -> None:
    write = a_write(25)
    if renews:
        await world.write(write)
        write = renewed(write, world.seen())
    monkeypatch.setattr("tidegate.act.flag_writes.TOGETHER", 60.0)
    before, waiting = world.writes(), asyncio.create_task(world.write(write))
    for _ in range(100):  # whatever would be sent at once is under way by then
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        assert await world.write(a_write(0, key="other")) == await waiting == [None]
    assert world.writes() == before + 1


async def test_a_renewal_that_comes_too_late_is_refused(world: World) -> None:
    await world.write(a_write(25, lease=LEASE))
    world.now = 60
    (refusal,) = await world.write(renewed(a_write(25), world.seen()))
    assert isinstance(refusal, StaleDecisionError)
    assert "lease expired since this was decided" in str(refusal)


@pytest.mark.parametrize("how", ["deleted", "emptied"])
async def test_what_was_lost_is_put_back_in_the_same_write(world: World, kubernetes: Kubernetes, how: str) -> None:
    if how == "emptied":
        await world.server.put("configmaps", "shop", {"metadata": LABELLED, "data": {DOCUMENT_KEY: '{"flags": {}}'}})
    others = Others(a_write(100, key="other", uid="u2"), a_write(50, key=KEY))
    writing = FlagWrites(writer(kubernetes), lambda: START_TIME, others)
    await writing.write("shop", replace(a_write(25), owned=True))
    assert (world.seen().percent, world.seen("other").percent) == (25, 100), "its own word counts"
    assert (others.asked, world.writes()) == ([("shop", CONFIG_MAP)], 1)
    assert others.told == [([KEY], ["other"])]


async def test_what_stands_is_never_written_over_by_what_was_lost(world: World, kubernetes: Kubernetes) -> None:
    await world.write(a_write(10, key="other", uid="u2"))
    others = Others(a_write(100, key="other", uid="u2"))
    await FlagWrites(writer(kubernetes), lambda: START_TIME, others).write("shop", replace(a_write(25), owned=True))
    assert (world.seen("other").percent, others.told) == (10, [([KEY], [])])


async def test_beside_a_flag_that_stands_nothing_is_asked_for(world: World, kubernetes: Kubernetes) -> None:
    """A lowering waits for no other's flag; and a rollout that begins in a flag set of others loses nothing."""
    await world.write(a_write(25))
    others = Others(a_write(100, key="third", uid="u3"))
    writing = FlagWrites(writer(kubernetes), lambda: START_TIME, others)
    gone = replace(a_write(10, key="gone", uid="u2"), owned=True)
    await asyncio.gather(writing.write("shop", a_write(0, world.seen())), writing.write("shop", gone))
    await writing.write("shop", a_write(0, key="new", uid="u4"))
    assert others.asked == []
    assert world.seen("third").percent is None


async def test_a_correction_of_what_was_put_back_meanwhile_holds(world: World) -> None:
    """Its rollout saw it gone, and records that; by now others have made the flag set anew."""
    own = replace(a_write(25), owned=True, anew=True)
    await world.write(a_write(25))
    assert await world.write(own) == [None]
    assert world.seen().percent == 25
    await world.write(a_write(0, world.seen()))
    (refusal,) = await world.write(own)
    assert isinstance(refusal, StaleDecisionError), "not where it has fallen since"


async def test_what_is_refused_does_not_hold_up_the_rest_of_its_batch(world: World) -> None:
    await world.write(a_write(25), a_write(25, key="taken"))
    seen = world.seen()
    await world.write(a_write(0, seen))
    padding = "x" * (MAX_DOCUMENT_BYTES - 10)
    document = json.loads(world.stored()["data"][DOCUMENT_KEY]) | {"notes": padding}
    await world.server.put("configmaps", "shop", {"metadata": LABELLED, "data": {DOCUMENT_KEY: json.dumps(document)}})
    stale, anothers, full, free = await world.write(
        a_write(50, seen),
        a_write(0, key="taken", uid="u2", rollout="shop/other"),
        a_write(25, key="new"),
        a_write(0, world.seen("taken"), key="taken"),
    )
    assert (type(stale), type(anothers), type(full), free) == (StaleDecisionError, StaleDecisionError, NotWritableError, None)
    assert "written since this raise was decided" in str(stale)
    assert "belongs to shop/search" in str(anothers)
    assert (world.seen().percent, world.seen("taken").percent) == (0, 0)


@pytest.mark.parametrize(("times", "percent"), [(2, 50), (99, 25)])
async def test_after_a_conflict_it_is_read_and_written_again_some_times(world: World, times: int, percent: int) -> None:
    await world.write(a_write(25))
    world.server.faults.append(Fault("patch", "configmaps", status=409, reason="Conflict", times=times))
    (refusal,) = await world.write(a_write(50, world.seen()))
    assert isinstance(refusal, Conflict) is (times == 99)
    assert world.seen().percent == percent


async def test_a_failed_write_leaves_the_line_open_for_the_next(world: World) -> None:
    world.server.faults.append(Fault("create", "configmaps", status=503))
    (refusal,) = await world.write(a_write(25))
    assert isinstance(refusal, Unavailable)
    assert await world.write(a_write(25)) == [None]


async def test_once_stopped_no_write_goes_on_that_nobody_waits_for(world: World) -> None:
    """A reconcile was cut short while its write was under way; another leader may begin when this one has given the Lease up."""
    await world.write(a_write(25))
    waiting = asyncio.create_task(world.flag_writes.write("shop", a_write(50, world.seen())))
    await asyncio.sleep(TOGETHER / 5)
    waiting.cancel()
    await world.flag_writes.stop()
    before = world.writes()
    await asyncio.sleep(5 * TOGETHER)
    assert (world.writes(), world.seen().percent) == (before, 25)
