"""The copy of a flag set in a FeatureFlag: what is written there, what is left to others, and what the API server's faults cost."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.builders import after, marker, target
from tests.fakes.apiserver import FEATURE_FLAGS as KIND
from tests.fakes.apiserver import ApiServer, Fault
from tidegate.act.fence import Fence, NotLeaderError
from tidegate.act.mirrors import LOOK_AGAIN, Mirrors, discovering
from tidegate.api.conditions import Reason
from tidegate.clients.errors import Conflict, Forbidden, Unavailable
from tidegate.clients.kubernetes import Kubernetes
from tidegate.domain.decision import WriteFlag
from tidegate.domain.snapshot import Mirrored
from tidegate.levers.flag import DOCUMENT_KEY, definition_for
from tidegate.levers.flag_set import EPOCH_ANNOTATION, FlagSet, merged, parse_flag_set, to_config_map

THEIRS = {"state": "ENABLED", "variants": {"a": "x"}, "defaultVariant": "a"}


@dataclass
class Setting:
    """A flag set, its copy, and the part under test."""

    server: ApiServer
    mirrors: Mirrors
    told: list[tuple[str, str]] = field(default_factory=list)
    flag_set: FlagSet = field(default_factory=lambda: parse_flag_set(None))

    async def write(self, percent: int, key: str = "search", *, by_hand: dict[str, Any] | None = None) -> None:
        """The operator writes a flag into the ConfigMap."""
        seen = parse_flag_set({"metadata": {"resourceVersion": "1"}, "data": {DOCUMENT_KEY: json.dumps(self.flag_set.document)}})
        claim = marker(epoch=0, uid=f"uid-{key}", rollout=f"shop/{key}")
        write = WriteFlag("flags", key, percent, definition_for(target(key=key), percent), claim, None, True)
        without = {one: flag for one, flag in seen.flags.items() if one != key}
        base = FlagSet({"flags": without | (by_hand or {})}, self.flag_set.epoch, "1")
        self.flag_set, refused = merged(base, [write], after(0))
        assert refused == ()
        await self.store()

    async def store(self, **flags: Any) -> None:
        """The ConfigMap as it is now; `flags` replace what it has."""
        shown = FlagSet({"flags": flags}, self.flag_set.epoch, "1") if flags else self.flag_set
        await self.server.put("configmaps", "shop", to_config_map(shown, "shop", "flags"), "tidegate")

    async def look(self) -> float | None:
        return await self.mirrors.mirror("shop", "flags")

    def of(self, key: str = "search") -> Mirrored | None:
        return self.mirrors.of("shop", "flags", key)

    @property
    def copy(self) -> dict[str, Any]:
        found: dict[str, Any] = self.server.store.objects["featureflags", "shop", "flags"]
        return found

    @property
    def flags(self) -> dict[str, Any]:
        found: dict[str, Any] = self.copy["spec"]["flagSpec"]["flags"]
        return found

    def writes(self) -> int:
        return len(self.server.asked("patch", "featureflags")) + len(self.server.asked("create", "featureflags"))

    def is_equal(self, *keys: str) -> bool:
        ours = {key: self.flag_set.flags[key] for key in keys or ("search",)}
        epoch = self.copy["metadata"]["annotations"][EPOCH_ANNOTATION]
        return {key: self.flags.get(key) for key in ours} == ours and epoch == str(self.flag_set.epoch)


@pytest.fixture
async def kubernetes(tmp_path: Path, server: ApiServer) -> AsyncIterator[Kubernetes]:
    async with Kubernetes.connect(server.kubeconfig(tmp_path), time_limit=2.0) as client:
        yield client


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with ApiServer.running() as running:
        running.kinds += (KIND,)
        yield running


@pytest.fixture
async def setting(kubernetes: Kubernetes, server: ApiServer) -> Setting:
    told: list[tuple[str, str]] = []
    mirrors = Mirrors(kubernetes, Fence(lambda: True).check, lambda *where: told.append(where), enabled=True)
    assert await mirrors.discover()
    return Setting(server, mirrors, told)


async def people_write(setting: Setting, flags: dict[str, Any], manager: str = "kubectl-edit") -> None:
    body = {"metadata": {"name": "flags"}, "spec": {"flagSpec": {"flags": flags}}}
    await setting.server.put("featureflags", "shop", body, manager)


async def test_each_write_of_the_flag_set_is_copied_with_its_epoch(setting: Setting) -> None:
    for number, percent in enumerate((0, 25, 100, 0)):
        await setting.write(percent)
        assert await setting.look() == LOOK_AGAIN
        assert setting.is_equal()
        assert setting.writes() == number + 1
        assert setting.of() == Mirrored(known=True)
    assert setting.flags["search"]["metadata"]["rollout"] == "shop/search"
    assert "targeting" not in setting.flags["search"]


async def test_an_equal_copy_is_not_written(setting: Setting) -> None:
    await setting.write(25)
    for _ in range(3):
        await setting.look()
    assert setting.writes() == 1
    assert setting.told == [("shop", "flags")], "and the rollouts hear of it once"


async def test_hand_written_flags_are_not_copied(setting: Setting) -> None:
    await setting.write(25, by_hand={"theirs": THEIRS, "odd": 7})
    await setting.look()
    assert list(setting.flags) == ["search"]
    await setting.store(theirs=THEIRS)
    await setting.server.remove("featureflags", "shop", "flags")
    assert await setting.look() is None
    assert ("featureflags", "shop", "flags") not in setting.server.store.objects
    await people_write(setting, {"theirs": THEIRS})
    assert await setting.look() is None, "and a FeatureFlag of somebody else is looked at no more"


async def test_what_others_have_in_the_same_object_stays(setting: Setting) -> None:
    await people_write(setting, {"theirs": THEIRS})
    await setting.write(25)
    await setting.look()
    assert setting.flags == {"theirs": THEIRS, "search": setting.flag_set.flags["search"]}
    await people_write(setting, {"theirs": THEIRS | {"state": "DISABLED"}})
    await setting.write(0)
    await setting.look()
    assert setting.flags["theirs"]["state"] == "DISABLED"
    assert setting.is_equal()


async def test_a_flag_that_somebody_else_has_there_already_is_never_overwritten(setting: Setting) -> None:
    await people_write(setting, {"search": THEIRS})
    for percent in (25, 0):
        await setting.write(percent)
        await setting.write(percent, "other")
        await setting.look()
        assert setting.flags["search"] == THEIRS
        assert setting.flags["other"] == setting.flag_set.flags["other"]
    taken = setting.of()
    assert taken is not None
    assert taken.problem is not None
    assert taken.problem.reason is Reason.FEATURE_FLAG_TAKEN
    assert "flag search is written by kubectl-edit, and not overwritten" in taken.problem.message
    assert setting.of("other") == Mirrored(known=True)
    assert sum(setting.mirrors.faults().values()) == 1
    before = setting.writes()
    await setting.look()
    assert setting.writes() == before, "and no write is made for it"
    del setting.flags["search"]  # its owner takes it out
    owners = setting.server.store.owners[setting.copy["metadata"]["uid"]]
    for path in [path for path in owners if path[:4] == ("spec", "flagSpec", "flags", "search")]:
        del owners[path]
    await setting.look()
    assert setting.is_equal("search", "other")
    assert setting.of() == Mirrored(known=True)


async def test_a_change_by_hand_of_what_we_copied_is_put_right(setting: Setting) -> None:
    await setting.write(25)
    await setting.look()
    await people_write(setting, {"search": {"defaultVariant": "on", "state": "DISABLED"}})
    await setting.look()
    assert setting.is_equal()
    assert setting.of() == Mirrored(known=True)


async def test_what_apply_can_not_put_right_is_told(setting: Setting) -> None:
    """A field that somebody adds beside ours stays theirs; a rule with two operators is one that no client can evaluate."""
    await setting.write(25)
    await setting.look()
    await people_write(setting, {"search": {"targeting": {"and": [True]}}}, "a-script")
    await setting.look()
    taken = setting.of()
    assert taken is not None
    assert taken.problem is not None
    assert "a-script" in taken.problem.message


async def test_a_copy_that_was_deleted_is_made_again(setting: Setting) -> None:
    await setting.write(25)
    await setting.look()
    await setting.server.remove("featureflags", "shop", "flags")
    await setting.look()
    assert setting.is_equal()


@pytest.mark.parametrize("lives", [True, False])
async def test_a_flag_that_vanished_from_the_flag_set_goes_only_with_its_rollout(setting: Setting, lives: bool) -> None:
    await setting.write(100)
    await setting.write(25, "other")
    await setting.look()
    if lives:
        await setting.server.put("featurerollouts", "shop", {"metadata": {"name": "search"}, "spec": {}})
    await setting.store(other=setting.flag_set.flags["other"])
    await setting.look()
    assert ("search" in setting.flags) is lives
    assert "other" in setting.flags
    before = setting.writes()
    await setting.look()
    assert setting.writes() == before


async def test_without_a_flag_set_the_copy_is_left_as_it_is(setting: Setting) -> None:
    await setting.write(25)
    await setting.look()
    await setting.server.remove("configmaps", "shop", "flags")
    assert await setting.look() is None
    assert "search" in setting.flags
    await setting.server.put("configmaps", "shop", {"metadata": {"name": "flags"}, "data": {DOCUMENT_KEY: "{"}})
    assert await setting.look() is None
    assert "search" in setting.flags


async def test_without_the_kind_nothing_is_asked(setting: Setting, server: ApiServer) -> None:
    server.kinds = server.kinds[:-1]
    assert await setting.mirrors.discover()
    await setting.write(25)
    asked = len(server.requests)
    assert await setting.look() is None
    assert setting.of() is None
    assert len(server.requests) == asked


async def test_a_kind_that_goes_while_we_run_is_noticed_and_so_is_its_return(setting: Setting, server: ApiServer) -> None:
    await setting.write(25)
    server.kinds = server.kinds[:-1]
    assert await setting.look() is None
    assert not setting.mirrors.served
    back = asyncio.Event()
    watching = asyncio.create_task(discovering(setting.mirrors, back.set, 0.01))
    try:
        server.kinds += (KIND,)
        await asyncio.wait_for(back.wait(), 10)
    finally:
        watching.cancel()
    assert setting.mirrors.served
    await setting.look()
    assert setting.is_equal()


async def test_a_question_that_fails_is_asked_again(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([None, False, True])
    changed = asyncio.Event()

    async def discover() -> bool:
        answer = next(answers)
        if answer is None:
            raise Unavailable("discover featureflags", "no answer")
        return answer

    monkeypatch.setattr(setting.mirrors, "discover", discover)
    asking = asyncio.create_task(discovering(setting.mirrors, changed.set, 0.001))
    await asyncio.wait_for(changed.wait(), 10)
    asking.cancel()


async def test_switched_off_it_asks_for_nothing(kubernetes: Kubernetes, server: ApiServer) -> None:
    mirrors = Mirrors(kubernetes, Fence(lambda: True).check, lambda *_: None, enabled=False)
    assert not await mirrors.discover()
    assert await mirrors.mirror("shop", "flags") is None
    assert server.requests == []


async def test_a_write_that_fails_is_made_at_the_next_look(setting: Setting, server: ApiServer) -> None:
    await setting.write(25)
    server.faults.append(Fault("patch", "featureflags", status=503, times=1))
    with pytest.raises(Unavailable):
        await setting.look()
    assert setting.of() == Mirrored(known=False), "a moment's trouble is not told"
    await setting.look()
    assert setting.is_equal()


async def test_a_write_that_is_refused_is_told_until_it_is_taken(setting: Setting, server: ApiServer) -> None:
    await setting.write(25)
    server.faults.append(Fault("patch", "featureflags", status=403, reason="Forbidden", message="featureflags is forbidden", times=1))
    with pytest.raises(Forbidden):
        await setting.look()
    refused = setting.of()
    assert refused is not None
    assert refused.problem is not None
    assert refused.problem.reason is Reason.FEATURE_FLAG_REFUSED
    assert "featureflags is forbidden" in refused.problem.message
    assert setting.mirrors.faults() == {("shop", "flags"): 1}
    await setting.look()
    assert setting.of() == Mirrored(known=True)
    assert setting.told == [("shop", "flags"), ("shop", "flags")]


async def test_without_the_lease_nothing_is_copied(kubernetes: Kubernetes, setting: Setting) -> None:
    deposed = Mirrors(kubernetes, Fence(lambda: False).check, lambda *_: None, enabled=True)
    await deposed.discover()
    await setting.write(25)
    with pytest.raises(NotLeaderError):
        await deposed.mirror("shop", "flags")
    assert setting.writes() == 0


async def test_a_copy_that_another_replica_wrote_meanwhile_is_not_overwritten(
    kubernetes: Kubernetes, setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read before the flags, written to since: what we have read of the flags may be older than what stands in the copy."""
    await setting.write(100)
    await setting.look()
    await setting.write(50)
    overtaken = asyncio.Event()
    get = kubernetes.get

    async def slow(resource: Any, namespace: str, name: str, **how: Any) -> Any:
        found = await get(resource, namespace, name, **how)
        if resource.plural == "configmaps" and not overtaken.is_set():
            overtaken.set()
            await setting.write(0)
            await setting.look()
        return found

    monkeypatch.setattr(kubernetes, "get", slow)
    with pytest.raises(Conflict):
        await setting.look()
    assert setting.is_equal()
    assert setting.flags["search"]["metadata"]["percent"] == 0
