"""What is live already: taken over as it is, never lowered by accident, never torn from its neighbours or its first owner."""

import json

import pytest

from tests.e2e.support.api import Json
from tests.e2e.support.exposure import DOCUMENT
from tests.e2e.support.flag_sets import LABEL, ON_OFF
from tests.e2e.support.world import World

OFF, ON = (ON_OFF | {"defaultVariant": value} for value in ("off", "on"))
THIRTY = OFF | {"targeting": {"fractional": [["on", 30], ["off", 70]]}}
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
CANARY: Json = {"percents": [10, 60, 100], "dwell": "2s"}


async def write_by_hand(world: World, feature: Json | None) -> None:
    """A flag set with the neighbours above, and a hand-written flag."""
    flags = NEIGHBOURS["flags"] | ({} if feature is None else {"feature": feature})
    await world.make_flag_set(json.dumps(NEIGHBOURS | {"flags": flags}, indent=2), team="shop")
    await world.change_flag_set({"data": {"other.txt": "kept"}})


async def neighbours_are_kept(world: World) -> None:
    config_map = await world.flag_set()
    document = json.loads(config_map["data"][DOCUMENT])
    assert config_map["data"][DOCUMENT].startswith('{\n  "$schema"'), "in lines, as it was written"
    del document["flags"]["feature"]
    assert document == NEIGHBOURS, "what others wrote is kept"
    assert config_map["data"]["other.txt"] == "kept"
    assert config_map["metadata"]["labels"]["team"] == "shop"


async def test_a_flag_written_by_hand_is_adopted_at_its_percent(world: World) -> None:
    await world.policy()
    await write_by_hand(world, THIRTY)
    saw = await world.audience()
    async with world.traced() as trace:
        await world.rollout(canary=CANARY)
        status = await world.until(percent=30, state="ROLLING_OUT")
        assert (status["step"], status["attempt"]) == (1, 1)
        assert await world.audience() == saw, "whoever sees the feature goes on seeing it, and nobody else begins to"
        await world.until(percent=60)
        assert saw < await world.audience()
        await world.until(state="ENABLED", percent=100)
    assert trace.percents == [30, 60, 100]
    told = (await world.records())[0]
    assert told["transition"] == "Adopted"
    assert "30 %" in told["message"]
    await neighbours_are_kept(world)


@pytest.mark.parametrize(
    ("feature", "initial", "shown"),
    [(ON, 0, [100]), (OFF, 100, [0, 10, 60, 100]), (None, 100, [100]), (None, 50, [50, 60, 100])],
    ids=["on", "off, and initialPercent doesn't count", "live without a flag", "live for half without a flag"],
)
async def test_a_rollout_goes_on_from_what_clients_have(world: World, feature: Json | None, initial: int, shown: list[int]) -> None:
    """Until there is a flag, clients use the default in their code, which is on for a feature that is live."""
    await world.policy()
    await write_by_hand(world, feature)
    async with world.traced() as trace:
        await world.rollout(initialPercent=initial, canary=CANARY, bake="1s")
        await world.succeeded()
    assert [percent for percent in trace.percents if percent is not None] == shown
    assert ("AttemptStarted" in await world.transitions()) is (feature == OFF)
    await neighbours_are_kept(world)


async def test_a_config_map_that_is_no_flag_set_is_left_alone_until_it_is_labelled(world: World) -> None:
    await world.policy()
    await write_by_hand(world, THIRTY)
    await world.change_flag_set({"metadata": {"labels": {LABEL: None}}})
    before = await world.text()
    await world.rollout(canary=CANARY)
    told = await world.condition("feature", "Stalled", "NotAdoptable")
    assert f"is not a flag set: label it {LABEL}=true" in told["message"]
    assert await world.text() == before
    await world.change_flag_set({"metadata": {"labels": {LABEL: "true"}}})
    await world.until(state="ENABLED", percent=100)
    await neighbours_are_kept(world)


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
