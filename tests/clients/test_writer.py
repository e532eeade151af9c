"""The one way to write: only while this replica leads, and each write of a watched kind is known when it is heard of."""

from collections.abc import Awaitable, Callable

import pytest

from tests.fakes.apiserver import ApiServer, Fault
from tidegate.clients.errors import Unavailable
from tidegate.clients.kubernetes import Kubernetes
from tidegate.clients.resources import CONFIG_MAPS, FEATURE_ROLLOUTS, JsonObject, Resource
from tidegate.clients.writer import Echoes, NotLeaderError, Writer

FLAGS: JsonObject = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "shop", "name": "flags"}}


class World:
    """A FeatureRollout and a ConfigMap, and a Writer that watches FeatureRollouts only."""

    def __init__(self, server: ApiServer, kubernetes: Kubernetes) -> None:
        self.server = server
        self.leads = True
        self.echoes = Echoes()
        self.wrote: list[tuple[Resource, JsonObject]] = []
        watched = frozenset({FEATURE_ROLLOUTS})
        self.writer = Writer(kubernetes, lambda: self.leads, self.echoes, watched, lambda *stored: self.wrote.append(stored))

    def stored(self, plural: str = "featurerollouts", name: str = "search") -> JsonObject:
        return self.server.store.objects[plural, "shop", name]

    def version(self) -> str:
        return str(self.stored()["metadata"]["resourceVersion"])

    def is_known(self, found: JsonObject) -> bool:
        return self.echoes.heard(found["metadata"]["uid"], found["metadata"]["resourceVersion"])

    async def patch(self) -> JsonObject:
        patch = {"metadata": {"finalizers": ["a/b"]}}
        return await self.writer.merge_patch(FEATURE_ROLLOUTS, "shop", "search", patch, resource_version=self.version())

    async def write_status(self) -> JsonObject:
        return await self.writer.write_status(FEATURE_ROLLOUTS, "shop", "search", {"step": 1}, resource_version=self.version())

    async def create(self) -> JsonObject:
        body = {"apiVersion": "tidegate.io/v1alpha1", "kind": "FeatureRollout", "metadata": {"namespace": "shop", "name": "other"}}
        return await self.writer.create(FEATURE_ROLLOUTS, body)


Write = Callable[[World], Awaitable[JsonObject]]
WRITES = pytest.mark.parametrize("write", [World.patch, World.write_status, World.create], ids=lambda write: write.__name__)


@pytest.fixture
async def world(server: ApiServer, kubernetes: Kubernetes) -> World:
    await server.put("featurerollouts", "shop", {"metadata": {"name": "search"}, "spec": {}})
    return World(server, kubernetes)


@WRITES
async def test_a_write_is_made_and_known_when_it_is_heard_of(world: World, write: Write) -> None:
    found = await write(world)
    assert found["metadata"]["resourceVersion"] == world.stored(name=found["metadata"]["name"])["metadata"]["resourceVersion"]
    assert world.is_known(found)
    assert world.wrote == [(FEATURE_ROLLOUTS, found)]


@WRITES
async def test_without_the_lease_nothing_is_written_and_reading_goes_on(world: World, write: Write) -> None:
    """Asked right before each write: a process that was stopped for a while finds itself deposed."""
    await write(world)
    before, written = world.version(), len(world.server.store.history)
    world.leads = False
    with pytest.raises(NotLeaderError, match="no longer holds the Lease"):
        await write(world)
    assert len(world.server.store.history) == written
    assert (await world.writer.get(FEATURE_ROLLOUTS, "shop", "search"))["metadata"]["resourceVersion"] == before


async def test_what_is_not_watched_is_not_remembered(world: World) -> None:
    found = await world.writer.create(CONFIG_MAPS, FLAGS)
    assert (world.is_known(found), len(world.echoes), world.wrote) == (False, 0, [])


@WRITES
async def test_what_was_refused_is_not_remembered(world: World, write: Write) -> None:
    world.server.faults.append(Fault("*", "featurerollouts", status=503))
    with pytest.raises(Unavailable):
        await write(world)
    assert (len(world.echoes), world.wrote) == (0, [])


async def test_status_is_replaced_as_a_whole(world: World) -> None:
    """A merge would leave behind what is no longer there."""
    for status in ({"step": 1, "waitingFor": "x"}, {"step": 2}):
        await world.writer.write_status(FEATURE_ROLLOUTS, "shop", "search", status, resource_version=world.version())
        assert world.stored()["status"] == status


def test_echoes_remember_the_last_writes_only() -> None:
    echoes = Echoes(capacity=3)
    for version in ("1", "2", "3", "1", "4"):
        echoes.wrote("uid", version)
    assert [version for version in "1234" if echoes.heard("uid", version)] == ["1", "3", "4"]
    assert not echoes.heard("other", "4")
    assert echoes.heard("uid", "4"), "hearing doesn't forget"
    assert len(echoes) == 3
    with pytest.raises(ValueError, match="capacity"):
        Echoes(0)
