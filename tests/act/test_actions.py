"""One action of a decision, as it reaches the API server."""

import pytest

from tests.builders import T0, mark
from tests.fakes.apiserver import ApiServer
from tests.fakes.writing import writer
from tests.levers.flag.writing import a_write
from tidegate.act.actions import Actions
from tidegate.act.flag_writes import FlagWrites
from tidegate.api.rollout_status import FeatureRolloutStatus
from tidegate.clients.errors import Conflict
from tidegate.clients.kubernetes import Kubernetes
from tidegate.clients.writer import NotLeaderError
from tidegate.domain.decision import FINALIZER, Action, AddFinalizer, RemoveFinalizer
from tidegate.domain.exposure import Reading, Write
from tidegate.domain.snapshot import Rollout
from tidegate.loop.lost_flags import LostFlags
from tidegate.observe.flags import Flags

OTHER = "shop.example.com/kept"
OFF = a_write(0, off=True)


@pytest.fixture
def actions(kubernetes: Kubernetes) -> Actions:
    return made(kubernetes)


def made(kubernetes: Kubernetes, *, is_leader: bool = True) -> Actions:
    through = writer(kubernetes, is_leader=is_leader)
    return Actions(through, FlagWrites(through, lambda: T0, LostFlags(Flags(kubernetes, lambda _: ()), lambda: T0)))


async def rollout(server: ApiServer, *finalizers: str) -> Rollout:
    body = await server.put("featurerollouts", "shop", {"metadata": {"name": "search", "finalizers": list(finalizers)}, "spec": {}})
    metadata = body["metadata"]
    version = metadata["resourceVersion"]
    return Rollout("shop", "search", metadata["uid"], 1, version, False, finalizers, None, None, FeatureRolloutStatus())


def finalizers(server: ApiServer) -> list[str]:
    found: list[str] = server.store.objects["featurerollouts", "shop", "search"]["metadata"].get("finalizers") or []
    return found


async def test_finalizers_of_others_are_kept(server: ApiServer, actions: Actions) -> None:
    seen = await rollout(server, OTHER)
    await actions.perform(seen, AddFinalizer())
    assert finalizers(server) == [OTHER, FINALIZER]
    seen = await rollout(server, OTHER, FINALIZER)
    await actions.perform(seen, RemoveFinalizer())
    assert finalizers(server) == [OTHER]


async def test_the_version_that_comes_back_is_the_one_to_write_under(server: ApiServer, actions: Actions) -> None:
    seen = await rollout(server)
    assert await actions.perform(seen, OFF) == seen, "a flag is no part of the rollout"
    after = await actions.perform(seen, AddFinalizer())
    stored = server.store.objects["featurerollouts", "shop", "search"]["metadata"]
    assert after.resource_version == stored["resourceVersion"] != seen.resource_version
    assert after.finalizers == (FINALIZER,)


async def test_a_rollout_that_changed_meanwhile_is_a_conflict(server: ApiServer, actions: Actions) -> None:
    seen = await rollout(server)
    await server.put("featurerollouts", "shop", {"metadata": {"name": "search"}, "spec": {"paused": True}})
    with pytest.raises(Conflict):
        await actions.perform(seen, AddFinalizer())
    assert finalizers(server) == []


async def test_a_rollout_that_is_gone_is_no_error(server: ApiServer, actions: Actions) -> None:
    seen = await rollout(server)
    await server.remove("featurerollouts", "shop", "search")
    assert await actions.perform(seen, AddFinalizer()) == seen


@pytest.mark.parametrize("action", [AddFinalizer(), RemoveFinalizer(), OFF], ids=lambda action: type(action).__name__)
async def test_without_the_lease_nothing_is_written(server: ApiServer, kubernetes: Kubernetes, action: Action) -> None:
    seen = await rollout(server, FINALIZER)
    with pytest.raises(NotLeaderError):
        await made(kubernetes, is_leader=False).perform(seen, action)
    assert not [request for request in server.requests if request.verb in ("create", "patch", "update")]


async def test_a_write_of_an_unknown_lever_is_a_bug(server: ApiServer, actions: Actions) -> None:
    unknown = Write(percent=0, mark=mark(), seen=Reading(None), raises=False)
    with pytest.raises(TypeError, match="no lever takes Write"):
        await actions.perform(await rollout(server), unknown)
