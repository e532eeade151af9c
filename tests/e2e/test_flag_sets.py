"""Flag sets that people broke, and flags that can't be taken over: told, waited for, and never overwritten."""

import json
import time

import pytest

from tests.e2e.support import witness
from tests.e2e.support.api import Json
from tests.e2e.support.exposure import DOCUMENT
from tests.e2e.support.flag_sets import FLAG_SET, ON_OFF
from tests.e2e.support.host_operator import Host
from tests.e2e.support.world import BAND, HELD, QUICK, World

OFF = ON_OFF | {"defaultVariant": "off"}
BY_HAND = ON_OFF | {"defaultVariant": "on"}

BROKEN = {
    "not-json": ('{"flags": {', "is not JSON"),
    "a-list": ("[]", "is not a flagd document"),
    "flags-is-a-list": ('{"flags": []}', "is not a flagd document"),
}
FOREIGN = {
    "disabled": (OFF | {"state": "DISABLED"}, "state is 'DISABLED'"),
    "strings": (OFF | {"variants": {"on": "yes", "off": "no"}}, "variants are not exactly"),
    "no-default": (OFF | {"defaultVariant": None}, "defaultVariant is neither on nor off"),
    "rules": (OFF | {"targeting": {"if": [{"var": "beta"}, "on", "off"]}}, "rules that Tidegate did not write"),
}


@pytest.mark.parametrize(("text", "why"), BROKEN.values(), ids=BROKEN)
async def test_a_flag_set_that_can_not_be_read_is_never_overwritten(world: World, text: str, why: str) -> None:
    await world.make_flag_set(text)
    await world.policy()
    await world.rollout(canary=QUICK)
    stalled = await world.condition("feature", "Stalled", "Unreadable")
    assert stalled["status"] == "True"
    assert stalled["message"].startswith(f"ConfigMap {FLAG_SET}: {DOCUMENT} {why}"), stalled["message"]
    await witness.climbs(world)
    assert await world.text() == text
    await world.rewrite({"flags": {"by-hand": BY_HAND}})
    await world.succeeded()
    assert await world.flag("by-hand") == BY_HAND


async def test_a_flag_set_that_breaks_on_the_way_is_left_and_the_way_back_follows_when_it_is_mended(world: World) -> None:
    await world.exposed()
    sound, broken = await world.text(), "{"
    await world.rewrite(broken)
    await world.condition("feature", "Stalled", "Unreadable")
    await world.measured("errors", 1)
    await witness.climbs(world)
    assert await world.text() == broken
    await world.rewrite(sound)
    await world.rolled_back()
    assert await world.exposure() == 0


async def test_flags_that_can_not_be_taken_over_are_left_as_they_are(world: World) -> None:
    before = {name: definition for name, (definition, _) in FOREIGN.items()}
    await world.make_flag_set(json.dumps({"flags": before}))
    await world.policy()
    for name in FOREIGN:
        await world.rollout(name, canary=QUICK)
    for name, (_, why) in FOREIGN.items():
        stalled = await world.condition(name, "Stalled", "NotAdoptable")
        assert f"flag {name} exists and can't be taken over" in stalled["message"]
        assert why in stalled["message"], stalled["message"]
    assert await world.text() == json.dumps({"flags": before})
    await world.rollout("sound", canary=QUICK)
    await world.succeeded("sound")
    flags = (await world.document())["flags"]
    assert {name: flags[name] for name in FOREIGN} == before
    flags["disabled"]["state"] = "ENABLED"
    await world.rewrite({"flags": flags})
    await world.succeeded("disabled")


async def test_flags_that_vanish_from_the_document_are_written_again(world: World) -> None:
    """Without its flag an application falls back to the default in its code, which may be "on"."""
    await world.exposed()
    await world.rollout("done", canary=QUICK)
    await world.succeeded("done")
    for removed in (world.rewrite({"flags": {}}), world.api.delete("configmaps", world.namespace, FLAG_SET)):
        await removed
        await world.exposes(10)
        await world.exposes(100, "done")
    await world.until(phase="Progressing", percent=10, attempt=1)


async def test_a_flag_set_that_is_lost_is_whole_again_with_the_first_write(host: Host) -> None:
    """Clients keep their flags while the flag set is gone. A document that lacks one of them would take that one away."""
    world, several = host.world, ("feature", "second", "third", "fourth", "fallen")
    await host.leading()
    await world.measured("errors", 0.01)
    await world.measured("failures", 0.01)
    await world.policy()
    for name in several:
        gate = world.gate("failures", **BAND) if name == "fallen" else world.errors()
        await world.rollout(name, canary=HELD, gates=[gate])
    for name in several:
        await world.until(name, percent=10, pending=None, raising=None)
    await world.set("failures", 1)
    await world.rolled_back("fallen", pending=None)
    for round_ in range(3):
        before = await world.flag_set()
        async with world.traced() as trace:
            if round_ % 2:
                await world.rewrite({"flags": {}})
            else:
                await world.api.delete("configmaps", world.namespace, FLAG_SET)
            began = time.time()
            await world.exposes(10, every=0.02)
            took = time.time() - began
            for name in several:
                await world.exposes(0 if name == "fallen" else 10, name)
        versions = [json.loads(body["data"][DOCUMENT])["flags"] for _, body in trace.versions if _is_after(body, before)]
        print(f"\nmade anew after {took:.2f} s, in {len(versions)} writes; flags in each: {[len(flags) for flags in versions]}")
        assert all(flags.keys() == set(several) for flags in versions if flags), "a flag was missing"


def _is_after(body: Json, before: Json) -> bool:
    """Whether it is a later version than that, or another object of the name."""
    older, newer = before["metadata"], body["metadata"]
    return (
        bool(newer["uid"] != older["uid"] or int(newer["resourceVersion"]) > int(older["resourceVersion"]))
        and "deletionTimestamp" not in newer
    )
