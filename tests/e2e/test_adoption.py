"""What is live already: taken over as it is, never lowered by accident, never torn from its neighbours or its first owner."""

import json

import pytest

from tests.e2e.support.api import Json, eventually
from tests.e2e.support.exposure import DOCUMENT
from tests.e2e.support.records import transitions
from tests.e2e.support.world import FLAG_SET, World

ON_OFF: Json = {"state": "ENABLED", "variants": {"on": True, "off": False}}
NEIGHBOURS: Json = {
    "$schema": "https://flagd.dev/schema/v0/flags.json",
    "$evaluators": {"beta": {"in": ["@example.com", {"var": "email"}]}},
    "metadata": {"team": "shop", "ünïcode": "✓"},
    "flags": {
        "colour": {
            "state": "ENABLED",
            "variants": {"red": "#f00", "blue": "#00f", "none": None},
            "defaultVariant": "red",
            "targeting": {"if": [{"$ref": "beta"}, "blue", None]},
            "metadata": {"owner": "design", "weight": 1.50, "big": 12345678901234567890},
        },
        "limits": {"state": "DISABLED", "variants": {"small": {"n": [1, 2.0, -3e10]}, "large": {}}, "defaultVariant": "small"},
    },
}


def by_share(on: int) -> Json:
    return ON_OFF | {"defaultVariant": "off", "targeting": {"fractional": [["on", on], ["off", 100 - on]]}}


LABELS = {"tidegate.io/flag-set": "true", "team": "shop"}


async def write_by_hand(world: World, flags: Json, labels: dict[str, str] = LABELS) -> Json:
    """A flag set with hand-written flags and the neighbours above."""
    document: Json = NEIGHBOURS | {"flags": NEIGHBOURS["flags"] | flags}
    metadata = {"name": FLAG_SET, "namespace": world.namespace, "labels": labels}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    await world.api.create("configmaps", body | {"data": {DOCUMENT: json.dumps(document), "other.txt": "kept"}})
    return document


async def document_of(world: World) -> tuple[Json, Json]:
    """(the flag set's document, the ConfigMap)."""
    config_map = await world.api.get("configmaps", world.namespace, FLAG_SET)
    return json.loads(config_map["data"][DOCUMENT]), config_map


def without(document: Json, flag: str) -> Json:
    return document | {"flags": {key: value for key, value in document["flags"].items() if key != flag}}


async def test_a_flag_written_by_hand_is_adopted_at_its_percent(world: World) -> None:
    await world.policy()
    before = await write_by_hand(world, {"feature": by_share(30)})
    saw = await world.audience()
    async with world.traced() as trace:
        await world.rollout(canary={"percents": [10, 60, 100], "dwell": "3s"})
        status = await world.until(percent=30, state="ROLLING_OUT")
        assert (status["step"], status["attempt"]) == (1, 1)
        assert await world.audience() == saw, "whoever sees the feature goes on seeing it, and nobody else begins to"
        await world.until(percent=60)
        assert saw < await world.audience()
        await world.until(state="ENABLED", percent=100)
    assert trace.percents == [30, 60, 100]
    told = await world.records()
    assert transitions(told)[0] == "Adopted"
    assert "30 %" in told[0]["message"]
    after, config_map = await document_of(world)
    assert without(after, "feature") == without(before, "feature"), "what others wrote is kept"
    assert config_map["data"]["other.txt"] == "kept"
    assert config_map["metadata"]["labels"]["team"] == "shop"


async def test_a_flag_that_is_fully_on_is_adopted_as_enabled(world: World) -> None:
    await world.policy()
    before = await write_by_hand(world, {"feature": ON_OFF | {"defaultVariant": "on"}})
    async with world.traced() as trace:
        await world.rollout(canary={"percents": [10, 100], "dwell": "1s"}, bake="1s")
        await world.until(phase="Succeeded", state="ENABLED", percent=100)
    assert trace.percents == [100]
    after, _ = await document_of(world)
    assert without(after, "feature") == without(before, "feature")
    assert "AttemptStarted" not in transitions(await world.records())


@pytest.mark.parametrize("flag_set", ["without the flag", "absent"])
async def test_a_feature_that_is_live_without_a_flag_is_never_seen_below_its_percent(world: World, flag_set: str) -> None:
    """Until there is a flag, clients use the default in their code, which is on for a feature that is live."""
    await world.policy()
    if flag_set != "absent":
        await write_by_hand(world, {})
    async with world.traced() as trace:
        await world.rollout(initialPercent=100, canary={"percents": [10, 100], "dwell": "1s"}, bake="1s")
        await world.until(phase="Succeeded", state="ENABLED", percent=100)
    assert set(trace.percents) <= {None, 100}
    assert trace.percents[-1] == 100


async def test_a_feature_that_is_live_for_half_goes_on_from_there(world: World) -> None:
    await world.policy()
    async with world.traced() as trace:
        await world.rollout(initialPercent=50, canary={"percents": [10, 75, 100], "dwell": "2s"})
        await world.until(state="ENABLED", percent=100)
    assert trace.percents == [50, 75, 100]


async def test_a_flag_that_is_off_starts_at_the_first_step_whatever_initial_percent_says(world: World) -> None:
    await world.policy()
    await write_by_hand(world, {"feature": ON_OFF | {"defaultVariant": "off"}})
    async with world.traced() as trace:
        await world.rollout(initialPercent=100, canary={"percents": [10, 100], "dwell": "1s"})
        await world.until(state="ENABLED", percent=100)
    assert trace.percents == [0, 10, 100]


async def test_a_config_map_that_is_no_flag_set_is_left_alone_until_it_is_labelled(world: World) -> None:
    await world.policy()
    before = await write_by_hand(world, {"feature": by_share(30)}, labels={})
    await world.rollout(canary={"percents": [10, 60, 100], "dwell": "1s"})
    told = await world.condition("feature", "Stalled", "NotAdoptable")
    assert "is not a flag set: label it tidegate.io/flag-set=true" in told["message"]
    assert (await document_of(world))[0] == before
    await world.api.patch("configmaps", world.namespace, FLAG_SET, {"metadata": {"labels": {"tidegate.io/flag-set": "true"}}})
    await world.until(state="ENABLED", percent=100)
    assert without((await document_of(world))[0], "feature") == without(before, "feature")


async def test_the_second_rollout_of_a_flag_finds_it_claimed(world: World) -> None:
    await world.policy()
    async with world.traced() as trace:
        await world.rollout("first", flag="feature", canary={"percents": [10, 100], "dwell": "1h"})
        await world.until("first", percent=10)
        await world.rollout("second", flag="feature", canary={"percents": [50, 100], "dwell": "1s"})
        told = await world.condition("second", "Stalled", "Claimed")
        assert "FeatureRollout first" in told["message"]
        assert (await world.status("second"))["state"] == "DISABLED"
        assert trace.percents == [0, 10]
        assert (await world.status("first"))["percent"] == 10

        await world.api.delete("featurerollouts", world.namespace, "first")
        await world.until("second", state="ENABLED", percent=100)
    assert trace.percents == [0, 10, 0, 50, 100]


async def test_many_rollouts_can_share_one_flag_set(world: World) -> None:
    await world.policy()
    before = await write_by_hand(world, {})
    names = [f"feature-{number}" for number in range(5)]
    for name in names:
        await world.rollout(name, canary={"percents": [10, 100], "dwell": "1s"})
    for name in names:
        await world.until(name, state="ENABLED", percent=100)
    after, config_map = await document_of(world)
    assert set(after["flags"]) == set(before["flags"]) | set(names)
    epochs = [after["flags"][name]["metadata"]["epoch"] for name in names]
    assert max(epochs) <= int(config_map["metadata"]["annotations"]["tidegate.io/epoch"])

    async def all_on() -> bool:
        return [await world.exposure(name) for name in names] == [100] * len(names)

    await eventually("every flag is on for everybody", all_on)
