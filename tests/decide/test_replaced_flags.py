"""A flag that somebody replaced without Tidegate's mark is still ours: judged, rolled back, corrected, and never raised from."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.builders import KEY, raw_gate
from tests.decide.test_adoption import PLAIN_OFF
from tests.decide.test_by_hand import share
from tests.decide.world import World
from tidegate.api.rollout_status import Phase, State
from tidegate.levers.flag.definition import switched_off
from tidegate.levers.flag.flag_set import FLAG_SET_LABEL

GATES = [raw_gate(rollback={"gt": 0.15, "confirm": 1})]
FOREIGN: dict[str, Any] = PLAIN_OFF | {"targeting": {"if": [{"==": [{"var": "tier"}, "pro"]}, "on", "off"]}}
REPLACED = [
    FOREIGN,
    PLAIN_OFF | {"state": "DISABLED"},
    {"state": "ENABLED", "variants": {"a": 1, "b": 2}, "defaultVariant": "a"},
    FOREIGN | {"metadata": {"owner": "shop"}},
]


def odd(world: World) -> None:
    """What stands under the key is no definition at all."""
    document = world.document()
    world.put_document(document | {"flags": document["flags"] | {KEY: 7}})


def unlabelled(world: World) -> None:
    world.put_flag(FOREIGN)
    assert world.config_map is not None
    labels = {name: value for name, value in world.config_map["metadata"]["labels"].items() if name != FLAG_SET_LABEL}
    world.config_map["metadata"]["labels"] = labels


def removed(world: World) -> None:
    world.put_flag(None)


HOW: list[Callable[[World], None]] = [*(lambda world, flag=flag: world.put_flag(flag) for flag in REPLACED), odd, unlabelled]


@pytest.mark.thorough
@pytest.mark.parametrize("how", [*HOW, removed])
@pytest.mark.parametrize("percent", [10, 50, 100])
def test_mid_run_it_is_corrected_and_goes_on(how: Callable[[World], None], percent: int) -> None:
    world = World.at(percent, gates=GATES, flag={"allow": ["alice"], "deny": ["bob"]})
    before = world.effect
    how(world)
    world.reconcile()
    assert world.effect == before
    assert world.config_map is not None
    assert world.config_map["metadata"]["labels"][FLAG_SET_LABEL] == "true"
    world.until(Phase.SUCCEEDED)


@pytest.mark.parametrize("how", HOW)
def test_rollback_rules_keep_working(how: Callable[[World], None]) -> None:
    world = World.at(50, gates=GATES)
    how(world)
    world.readings["errors"] = 0.9
    world.now += timedelta(seconds=10)
    world.reconcile()
    assert (world.effect, world.status.state) == (switched_off(), State.ROLLBACK)


@pytest.mark.parametrize("how", [*HOW, removed])
@pytest.mark.parametrize("policy", [None, "Keep"])
def test_what_was_rolled_back_stays_off(how: Callable[[World], None], policy: str | None) -> None:
    world = World.at(50, gates=GATES, revision="v7", deletionPolicy=policy)
    world.fall()
    world.run(1)
    how(world)
    world.run(1)
    assert (world.effect, world.phase) == (switched_off(), Phase.ROLLED_BACK)
    assert world.reading.mark is not None
    assert world.reading.mark.state is State.ROLLBACK


@pytest.mark.parametrize("how", HOW)
def test_switched_off_it_goes_off(how: Callable[[World], None]) -> None:
    world = World.at(50, gates=GATES)
    how(world)
    world.edit(enabled=False)
    world.run(1)
    assert (world.effect, world.phase) == (switched_off(), Phase.DISABLED)


@pytest.mark.parametrize(
    "how", [*HOW, lambda world: world.put_flag(PLAIN_OFF | share(10)), lambda world: world.edit_flag(state="DISABLED")]
)
def test_a_raise_is_never_made_from_it(how: Callable[[World], None]) -> None:
    """It is corrected first, at the percent of before; the raise is decided again."""
    world = World.at(10, gates=GATES)
    world.run_until(lambda it: it.status.raising is not None and it.status.pending is None)
    how(world)
    world.reconcile()
    assert (world.percent, world.status.percent) == (10, 10)
    world.climb_to(50)


def test_a_flag_set_that_lost_its_label_and_the_flag_gets_both_back() -> None:
    world = World.at(50, gates=GATES)
    world.put_flag(None)
    assert world.config_map is not None
    world.config_map["metadata"]["labels"] = {"app": "an-external-writer"}
    world.run(5)
    assert world.percent == 50
    world.put_flag(None)
    world.config_map["metadata"]["labels"] = {}
    world.edit(enabled=False)
    world.run(5)
    assert world.effect == switched_off()
