"""Flag sets that people broke, and flags that can't be taken over: told, waited for, and never overwritten."""

import json

import pytest

from tests.e2e.support.api import Json, eventually
from tests.e2e.support.exposure import DOCUMENT, nearest_percent
from tests.e2e.support.witness import Witness
from tests.e2e.support.world import FLAG_SET, World

QUICK = {"percents": [25, 100], "dwell": "1s"}
HELD = {"percents": [25, 100], "dwell": "1h"}
ON_OFF = {"on": True, "off": False}

BROKEN = {
    "not-json": ('{"flags": {', "is not JSON"),
    "a-list": ("[]", "is not a flagd document"),
    "flags-is-a-list": ('{"flags": []}', "is not a flagd document"),
}
FOREIGN = {
    "disabled": ({"state": "DISABLED", "variants": ON_OFF, "defaultVariant": "off"}, "state is 'DISABLED'"),
    "strings": ({"state": "ENABLED", "variants": {"on": "yes", "off": "no"}, "defaultVariant": "off"}, "variants are not exactly"),
    "no-default": ({"state": "ENABLED", "variants": ON_OFF, "defaultVariant": None}, "defaultVariant is neither on nor off"),
    "rules": (
        {"state": "ENABLED", "variants": ON_OFF, "defaultVariant": "off", "targeting": {"if": [{"var": "beta"}, "on", "off"]}},
        "rules that Tidegate did not write",
    ),
}


async def make_flag_set(world: World, text: str, name: str = FLAG_SET) -> None:
    metadata = {"name": name, "namespace": world.namespace, "labels": {"tidegate.io/flag-set": "true"}}
    await world.api.create("configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {DOCUMENT: text}})


async def rewrite(world: World, text: str, name: str = FLAG_SET) -> None:
    await world.api.patch("configmaps", world.namespace, name, {"data": {DOCUMENT: text}})


async def text_of(world: World, name: str = FLAG_SET) -> str:
    config_map: Json = await world.api.get("configmaps", world.namespace, name)
    return str(config_map["data"][DOCUMENT])


@pytest.mark.parametrize("fault", BROKEN)
async def test_a_flag_set_that_can_not_be_read_is_never_overwritten(world: World, fault: str) -> None:
    text, why = BROKEN[fault]
    await make_flag_set(world, text)
    await world.policy()
    await world.rollout(canary=QUICK)
    stalled = await world.condition("feature", "Stalled", "Unreadable")
    assert stalled["status"] == "True"
    assert stalled["message"].startswith(f"ConfigMap {FLAG_SET}: {DOCUMENT} {why}"), stalled["message"]
    await (await Witness.begin(world)).climbed()
    assert await text_of(world) == text
    by_hand = {"state": "ENABLED", "variants": ON_OFF, "defaultVariant": "on"}
    await rewrite(world, json.dumps({"flags": {"by-hand": by_hand}}))
    await world.until(phase="Succeeded", state="ENABLED", percent=100)
    assert json.loads(await text_of(world))["flags"]["by-hand"] == by_hand


async def test_a_flag_set_that_breaks_on_the_way_is_left_and_the_way_back_follows_when_it_is_mended(world: World) -> None:
    await world.set("errors", 0)
    await world.queryable("errors", 0)
    await world.policy()
    await world.rollout(canary=HELD, gates=[world.gate("errors", advance={"lt": 0.1}, rollback={"gt": 0.5})])
    await world.until(percent=25)
    sound, broken = await text_of(world), "{"
    await rewrite(world, broken)
    await world.condition("feature", "Stalled", "Unreadable")
    await world.set("errors", 1)
    await world.queryable("errors", 1)
    await (await Witness.begin(world)).climbed()
    assert await text_of(world) == broken
    await rewrite(world, sound)
    await world.until(state="ROLLBACK", phase="RolledBack", percent=0)
    assert await world.exposure() == 0


async def test_flags_that_can_not_be_taken_over_are_left_as_they_are(world: World) -> None:
    document = json.dumps({"flags": {name: definition for name, (definition, _) in FOREIGN.items()}})
    await make_flag_set(world, document)
    await world.policy()
    for name in FOREIGN:
        await world.rollout(name, canary=QUICK)
    for name, (_, why) in FOREIGN.items():
        stalled = await world.condition(name, "Stalled", "NotAdoptable")
        assert f"flag {name} exists and can't be taken over" in stalled["message"]
        assert why in stalled["message"], stalled["message"]
    assert await text_of(world) == document
    await world.rollout("sound", canary=QUICK)
    await world.until("sound", phase="Succeeded", percent=100)
    flags = json.loads(await text_of(world))["flags"]
    assert {name: flags[name] for name in FOREIGN} == {name: definition for name, (definition, _) in FOREIGN.items()}
    flags["disabled"]["state"] = "ENABLED"
    await rewrite(world, json.dumps({"flags": flags}))
    await world.until("disabled", phase="Succeeded", percent=100)


async def test_flags_that_vanish_from_the_document_are_written_again(world: World) -> None:
    """Without its flag an application falls back to the default in its code, which may be "on"."""
    await world.policy()
    await world.rollout(canary=HELD)
    await world.rollout("done", canary=QUICK)
    await world.until(percent=25)
    await world.until("done", phase="Succeeded", percent=100)

    async def restored() -> bool:
        if await world.api.find("configmaps", world.namespace, FLAG_SET) is None:
            return False
        shares = [await world.exposure(flag) for flag in ("feature", "done")]
        return [nearest_percent(share) for share in shares] == [25, 100]

    await rewrite(world, '{"flags": {}}')
    await eventually("the flags are back", restored)
    await world.api.delete("configmaps", world.namespace, FLAG_SET)
    await eventually("the flag set is back", restored)
    status = await world.until(phase="Progressing", percent=25)
    assert status["attempt"] == 1
