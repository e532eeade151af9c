"""The order of one decision's actions: lower first, hold on before raising, let go last; the first that fails ends it."""

import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.fakes.apiserver import ApiServer, Fault
from tidegate.act.fence import Fence, NotLeaderError
from tidegate.act.flag_sets import FlagSets
from tidegate.act.rollouts import RolloutActions
from tidegate.api.feature_rollout import FlagTarget
from tidegate.api.rollout_status import FeatureRolloutStatus, State
from tidegate.clients.errors import Conflict, Unavailable
from tidegate.clients.kubernetes import JsonObject, Kubernetes
from tidegate.domain.decision import FINALIZER, Action, AddFinalizer, RemoveFinalizer, WriteFlag
from tidegate.domain.snapshot import Marker, Rollout
from tidegate.levers.flag import definition_for, switched_off

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
OTHER = "shop.example.com/kept"


def write(percent: int, *, raises: bool) -> WriteFlag:
    definition = definition_for(FlagTarget(key="search", config_map="flags"), percent) if percent else switched_off()
    marker = Marker(rollout="shop/search", uid="u1", state=State.ROLLING_OUT, attempt=1, epoch=0)
    return WriteFlag("flags", "search", percent, definition, marker, None, raises)


RAISE, LOWER = write(10, raises=True), write(0, raises=False)


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with ApiServer.running() as running:
        yield running


@pytest.fixture
async def kubernetes(server: ApiServer, tmp_path: Path) -> AsyncIterator[Kubernetes]:
    async with Kubernetes.connect(server.kubeconfig(tmp_path), time_limit=2.0) as client:
        yield client


@pytest.fixture
def told() -> list[JsonObject]:
    """Each FeatureRollout as it was after a write."""
    return []


def made(kubernetes: Kubernetes, told: list[JsonObject], is_leader: Callable[[], bool] = lambda: True) -> RolloutActions:
    check = Fence(is_leader).check
    return RolloutActions(kubernetes, FlagSets(kubernetes, check, lambda: NOW, lambda _: None), check, told.append)


async def rollout(server: ApiServer, *finalizers: str) -> Rollout:
    body = await server.put("featurerollouts", "shop", {"metadata": {"name": "search", "finalizers": list(finalizers)}, "spec": {}})
    metadata = body["metadata"]
    version = metadata["resourceVersion"]
    return Rollout("shop", "search", metadata["uid"], 1, version, False, finalizers, None, None, FeatureRolloutStatus())


def written(server: ApiServer) -> list[str]:
    """The kinds of the writes so far, in order."""
    return [request.plural for request in server.requests if request.verb in ("create", "patch", "update")]


def finalizers(server: ApiServer) -> list[str]:
    found: list[str] = server.store.objects["featurerollouts", "shop", "search"]["metadata"].get("finalizers") or []
    return found


@pytest.mark.parametrize(
    ("actions", "order"),
    [
        ((AddFinalizer(), RAISE), ["featurerollouts", "configmaps"]),
        ((AddFinalizer(), LOWER), ["configmaps", "featurerollouts"]),
        ((RemoveFinalizer(), LOWER), ["configmaps", "featurerollouts"]),
        ((RemoveFinalizer(), RAISE), ["configmaps", "featurerollouts"]),
    ],
)
async def test_the_order_does_not_depend_on_how_they_were_listed(
    told: list[JsonObject], actions: Sequence[Action], order: list[str], tmp_path: Path
) -> None:
    for listed in itertools.permutations(actions):
        async with ApiServer.running() as server, Kubernetes.connect(server.kubeconfig(tmp_path), time_limit=2.0) as client:
            await made(client, told).perform(await rollout(server, FINALIZER), listed)
            assert written(server) == order


async def test_finalizers_of_others_are_kept(server: ApiServer, kubernetes: Kubernetes, told: list[JsonObject]) -> None:
    actions = made(kubernetes, told)
    await actions.perform(await rollout(server, OTHER), [AddFinalizer()])
    assert finalizers(server) == [OTHER, FINALIZER]
    await actions.perform(await rollout(server, OTHER, FINALIZER), [RemoveFinalizer()])
    assert finalizers(server) == [OTHER]


async def test_the_version_that_comes_back_is_the_one_to_write_status_under(
    server: ApiServer, kubernetes: Kubernetes, told: list[JsonObject]
) -> None:
    seen = await rollout(server)
    assert await made(kubernetes, told).perform(seen, []) == seen.resource_version
    version = await made(kubernetes, told).perform(seen, [AddFinalizer()])
    stored = server.store.objects["featurerollouts", "shop", "search"]["metadata"]
    assert version == stored["resourceVersion"] != seen.resource_version
    assert [body["metadata"]["resourceVersion"] for body in told] == [version]


async def test_a_finalizer_that_can_not_be_set_lets_nothing_rise(server: ApiServer, kubernetes: Kubernetes, told: list[JsonObject]) -> None:
    server.faults.append(Fault("patch", "featurerollouts", status=500))
    with pytest.raises(Unavailable):
        await made(kubernetes, told).perform(await rollout(server), [AddFinalizer(), RAISE])
    assert "configmaps" not in written(server)


async def test_a_flag_that_can_not_be_lowered_is_not_let_go(server: ApiServer, kubernetes: Kubernetes, told: list[JsonObject]) -> None:
    server.faults.append(Fault("create", "configmaps", status=500))
    with pytest.raises(Unavailable):
        await made(kubernetes, told).perform(await rollout(server, FINALIZER), [RemoveFinalizer(), LOWER])
    assert finalizers(server) == [FINALIZER]


async def test_a_rollout_that_changed_meanwhile_is_a_conflict(server: ApiServer, kubernetes: Kubernetes, told: list[JsonObject]) -> None:
    seen = await rollout(server)
    await server.put("featurerollouts", "shop", {"metadata": {"name": "search"}, "spec": {"paused": True}})
    with pytest.raises(Conflict):
        await made(kubernetes, told).perform(seen, [AddFinalizer(), RAISE])
    assert "configmaps" not in written(server)


async def test_a_rollout_that_is_gone_is_no_error(server: ApiServer, kubernetes: Kubernetes, told: list[JsonObject]) -> None:
    seen = await rollout(server)
    await server.remove("featurerollouts", "shop", "search")
    assert await made(kubernetes, told).perform(seen, [AddFinalizer()]) == seen.resource_version
    assert told == []


async def test_without_the_lease_nothing_is_written(server: ApiServer, kubernetes: Kubernetes, told: list[JsonObject]) -> None:
    for actions in ([AddFinalizer()], [LOWER], [RAISE], [RemoveFinalizer()]):
        with pytest.raises(NotLeaderError):
            await made(kubernetes, told, lambda: False).perform(await rollout(server, FINALIZER), actions)
    assert written(server) == []
