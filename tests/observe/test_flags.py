"""A flag as it is read from the API server: what clients have, who wrote it, and whose it is."""

import json
from typing import Any

import pytest

from tests.builders import CONFIG_MAP, KEY, T0, mark, raw_spec, target
from tests.fakes.apiserver import ApiServer
from tests.fakes.writing import writer
from tests.levers.flag.writing import a_write
from tidegate.act.flag_writes import FlagWrites
from tidegate.api.conditions import Reason
from tidegate.clients.kubernetes import Kubernetes
from tidegate.domain.exposure import Change, Reading
from tidegate.domain.keys import Key, Kind, Ref, RefKind
from tidegate.domain.problems import Problem
from tidegate.domain.snapshot import Rollout
from tidegate.levers.flag.flag_set import DOCUMENT_KEY, EPOCH_ANNOTATION
from tidegate.levers.flag.mark import to_metadata
from tidegate.loop.lost_flags import LostFlags
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
async def world(server: ApiServer, kubernetes: Kubernetes) -> World:
    world = World(server, kubernetes)
    await world.rollout("search", HELD)
    await FlagWrites(writer(kubernetes), lambda: T0, LostFlags(Flags(kubernetes, lambda _: ()), lambda: T0)).write(
        "shop", a_write(25, uid="uid-of-search")
    )
    return world


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


@pytest.mark.parametrize("odd", [{"rollout": "shop/../../secrets/x"}, {"uid": ["u1"]}, {"percent": 101}, {"epoch": 10**30}], ids=str)
async def test_what_does_not_fit_is_no_mark_and_leads_nowhere(world: World, odd: dict[str, Any]) -> None:
    await world.rollout("late")
    await world.mark("search", **odd)
    before = len(world.server.requests)
    found = await world.read("late")
    assert isinstance(found, Reading)
    assert (found.mark, found.percent) == (None, 25)
    assert [request.plural for request in world.server.requests[before:]] == ["configmaps"]


async def test_other_members_of_the_metadata_are_left_alone(world: World) -> None:
    await world.mark("search", cause={"a": {"b": [1]}}, owner="team-a")
    found = await reading(world)
    assert found.mark == mark(rollout="shop/search", uid="uid-of-search", percent=25)
