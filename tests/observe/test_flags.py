"""A flag as it is read from the API server: what clients have, who wrote it, and whose it is."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.builders import CONFIG_MAP, KEY, T0, mark, raw_spec, target
from tests.fakes.apiserver import ApiServer
from tests.fakes.writing import writer
from tidegate.act.flag_writes import FlagWrites
from tidegate.api.conditions import Reason
from tidegate.clients.kubernetes import Kubernetes
from tidegate.domain.exposure import Change, Reading
from tidegate.domain.keys import Key, Kind, Ref, RefKind
from tidegate.domain.problems import Problem
from tidegate.domain.snapshot import Rollout
from tidegate.levers.flag.definition import definition_for
from tidegate.levers.flag.flag_set import DOCUMENT_KEY, EPOCH_ANNOTATION, WriteFlag
from tidegate.levers.flag.mark import to_metadata
from tidegate.observe.flags import Flags
from tidegate.observe.parsing import parse_rollout

HELD = {"attempt": 1, "state": "ROLLING_OUT", "stepPercent": 25}
"""The status of a rollout that has the flag."""


class World:
    """One flag at 25 % with the mark of rollout `search`, and rollouts that want it."""

    def __init__(self, server: ApiServer, kubernetes: Kubernetes) -> None:
        self.server = server
        self.indexed: tuple[str, ...] = ()
        """Names of rollouts that the index knows to refer to the flag set."""
        self.asked: list[Ref] = []
        self.flags = Flags(kubernetes, self._others)

    def _others(self, ref: Ref) -> list[Key]:
        self.asked.append(ref)
        return [Key(Kind.FEATURE_ROLLOUT, "shop", name) for name in self.indexed]

    async def rollout(self, name: str, status: dict[str, Any] | None = None, *, created: int = 1, **flag: Any) -> None:
        body = {"metadata": {"name": name}, "spec": raw_spec(flag=flag)}
        stored = await self.server.put("featurerollouts", "shop", body)
        stored["metadata"] |= {"uid": f"uid-of-{name}", "creationTimestamp": f"2026-12-0{created}T09:00:00Z"}
        stored["status"] = status or {}

    async def mark(self, name: str, **fields: Any) -> None:
        """Somebody writes the mark of a rollout, or anything in its place."""
        metadata = to_metadata(mark(rollout=f"shop/{name}", uid=f"uid-of-{name}", percent=25)) | fields
        document = json.loads(self.server.store.objects["configmaps", "shop", CONFIG_MAP]["data"][DOCUMENT_KEY])
        document["flags"][KEY]["metadata"] = metadata
        await self.people_write(json.dumps(document))

    async def people_write(self, text: str | None = None, **metadata: Any) -> None:
        data = {} if text is None else {DOCUMENT_KEY: text}
        await self.server.put("configmaps", "shop", {"metadata": {"name": CONFIG_MAP, **metadata}, "data": data}, "kubectl-edit")

    async def read(self, name: str = "search") -> Reading | Problem:
        self.flags.sets.forget(("shop", CONFIG_MAP))
        return await self.flags.read(self.parsed(name), target())

    def parsed(self, name: str) -> Rollout:
        return parse_rollout(self.server.store.objects["featurerollouts", "shop", name])

    async def holder(self, name: str) -> str | None:
        """Who keeps a rollout from the flag."""
        found = await self.read(name)
        if isinstance(found, Reading):
            return None
        assert found.reason is Reason.CLAIMED
        return found.message.split()[5].rstrip(":")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with ApiServer.running() as server, Kubernetes.connect(server.kubeconfig(tmp_path), time_limit=2.0) as kubernetes:
        world = World(server, kubernetes)
        await world.rollout("search", HELD)
        seen, marked = Reading(None), mark(uid="uid-of-search", percent=25, epoch=0)
        write = WriteFlag(
            config_map=CONFIG_MAP, key=KEY, percent=25, definition=definition_for(target(), 25), mark=marked, seen=seen, raises=True
        )
        await FlagWrites(writer(kubernetes), lambda: T0).write("shop", write)
        yield world


async def reading(world: World) -> Reading:
    found = await world.read()
    assert isinstance(found, Reading)
    return found


async def test_what_we_wrote_ourselves_has_no_other_writer(world: World) -> None:
    found = await reading(world)
    assert (found.percent, found.writer, found.around) == (25, None, ())
    assert found.owned("uid-of-search", 1)


async def test_labels_and_annotations_of_others_make_nobody_a_writer(world: World) -> None:
    before = await reading(world)
    await world.people_write(labels={"team": "shop"}, annotations={"note": "mine"})
    found = await reading(world)
    assert (found.writer, found.around, found.fingerprint) == (None, (), before.fingerprint)


async def test_a_foreign_write_comes_with_its_manager_and_time(world: World) -> None:
    before = await reading(world)
    document = json.loads(world.server.store.objects["configmaps", "shop", CONFIG_MAP]["data"][DOCUMENT_KEY])
    document["flags"][KEY]["defaultVariant"] = "on"
    await world.people_write(json.dumps(document))
    found = await reading(world)
    assert found.writer is not None
    assert found.writer.manager == "kubectl-edit"
    assert found.writer.at is not None
    assert found.fingerprint != before.fingerprint


async def test_a_changed_epoch_comes_with_its_manager_too(world: World) -> None:
    await world.people_write(annotations={EPOCH_ANNOTATION: "70"})
    found = await reading(world)
    assert found.writer is not None
    assert (found.writer.manager, found.around) == ("kubectl-edit", (Change("epoch", "1", "70"),))


async def test_a_document_that_can_not_be_read_names_who_wrote_it(world: World) -> None:
    await world.people_write("{")
    found = await world.read()
    assert isinstance(found, Problem)
    assert found.reason is Reason.UNREADABLE
    assert ", last written by kubectl-edit; mend it by hand" in found.message


# whose it is


async def test_the_first_claimant_keeps_a_flag_for_as_long_as_it_lives(world: World) -> None:
    await world.rollout("late")
    assert (await world.holder("late"), await world.holder("search")) == ("search", None)
    await world.server.remove("featurerollouts", "shop", "search")
    assert await world.holder("late") is None


@pytest.mark.parametrize("indexed", [(), ("late", "search")], ids=["by the mark", "by the index too"])
async def test_a_swapped_mark_displaces_nobody(world: World, indexed: tuple[str, ...]) -> None:
    """Whoever may edit the document may write anybody's uid there."""
    await world.rollout("late")
    world.indexed = indexed
    await world.mark("late")
    assert await world.holder("search") is None
    assert await world.holder("late") == ("search" if indexed else None)


async def test_a_claimant_is_found_by_the_index_where_the_mark_says_nothing(world: World) -> None:
    await world.rollout("late")
    await world.mark("search", rollout="shop/..")
    assert await world.holder("late") is None, "nobody knows of another"
    world.indexed = ("gone", "late", "search")
    assert (await world.holder("late"), await world.holder("search")) == ("search", None)
    assert set(world.asked) == {Ref(RefKind.FLAG, "shop", f"{CONFIG_MAP}/{KEY}")}


@pytest.mark.parametrize(
    ("status", "flag"),
    [
        ({}, {}),
        ({"attempt": 1}, {}),
        (HELD, {"key": "another"}),
        (HELD, {"configMap": "others"}),
    ],
    ids=["new", "never in force", "another flag", "another flag set"],
)
async def test_who_does_not_have_the_flag_by_status_claims_nothing(world: World, status: dict[str, Any], flag: dict[str, str]) -> None:
    await world.rollout("search", status)
    await world.rollout("late")
    world.server.store.objects["featurerollouts", "shop", "search"]["spec"] = raw_spec(flag=flag)
    world.indexed = ("search",)
    assert await world.holder("late") is None


@pytest.mark.parametrize("marked", ["search", "late"])
async def test_of_two_that_both_have_it_the_older_goes_on(world: World, marked: str) -> None:
    await world.rollout("late", HELD, created=2)
    await world.mark(marked)
    assert await world.holder("search") is None
    assert await world.holder("late") == ("search" if marked == "search" else None), "until the older one's mark is back"


async def test_a_mark_of_another_namespace_claims_nothing(world: World) -> None:
    await world.mark("search", rollout="bank/search")
    await world.rollout("late")
    assert await world.holder("late") is None


# what people write in the place of a mark

LONG = "x" * 5000
NUMBERS: list[Any] = [True, "1", 1.5, -1, 10**30, None, []]
REVISIONS: list[Any] = [LONG, 1, True, {}, "a b", "v\n1"]
PLACES: list[Any] = ["", "shop/", "/search", "shop/..", "shop/../../secrets/x", "shop/a%2Fb", LONG, f"shop/{LONG}", 7, {}, None]
ODD: dict[str, list[Any]] = {
    "rollout": PLACES,
    "uid": ["", LONG, 7, True, ["u1"], "u1\n"],
    "state": ["ON", LONG, 1, None, {}],
    "percent": [*NUMBERS, 101],
    "attempt": [*NUMBERS, 0],
    "epoch": NUMBERS,
    "revision": REVISIONS,
    "rejected": REVISIONS,
    "writtenAt": ["yesterday", LONG, {}, True],
}


@pytest.mark.parametrize("field", ODD)
async def test_what_does_not_fit_is_no_mark_and_leads_nowhere(world: World, field: str) -> None:
    await world.rollout("late")
    for odd in ODD[field]:
        await world.mark("search", **{field: odd})
        before = len(world.server.requests)
        found = await world.read("late")
        assert isinstance(found, Reading), odd
        assert (found.mark, found.percent) == (None, 25), odd
        assert [request.plural for request in world.server.requests[before:]] == ["configmaps"], odd


@pytest.mark.parametrize("cause", [LONG, {"a": {"b": [1]}}, True, 7, ["x"]], ids=lambda cause: type(cause).__name__)
async def test_other_members_of_the_metadata_are_left_alone(world: World, cause: Any) -> None:
    await world.mark("search", cause=cause, owner="team-a")
    found = await reading(world)
    assert found.mark == mark(rollout="shop/search", uid="uid-of-search", percent=25)
