"""Other people at a smaller percent, a breach that nobody could act on, a rollback under contest, definitions beyond all bounds."""

from datetime import timedelta
from typing import Any

import pytest

from tests.builders import raw_gate, stalled_for, target
from tests.decide.test_by_hand import share
from tests.decide.world import Fault, World
from tidegate.api.conditions import Reason
from tidegate.api.records import Transition
from tidegate.api.rollout_status import MAX_REJECTED, Phase, State
from tidegate.levers.flag.definition import definition_for, same_effect
from tidegate.levers.flag.flag_set import DOCUMENT_KEY

GATES = [raw_gate()]
PRO = {"segment": [{"attribute": "tier", "in": ["pro"]}], "deny": ["blocked"], "allow": ["alice"]}
LISTED = {"if": [{"in": [{"var": "targetingKey"}, ["mallory"]]}, "on", "off"]}


@pytest.mark.parametrize(
    ("by_hand", "left"), [(share(49), 49), ({"targeting": LISTED, "defaultVariant": "off"}, 0), (share(1), 1)], ids=["49", "listed", "1"]
)
def test_a_smaller_share_of_other_people_is_no_manual_override(by_hand: dict[str, Any], left: int) -> None:
    """It stays as low as it was set, for those whom the spec names."""
    world = World.at(50, gates=GATES, flag=PRO)
    world.edit_flag(**by_hand)
    world.run(60)
    assert same_effect(world.definition, definition_for(target(**PRO), left))
    assert (world.percent, world.status.step_percent) == (left, 50)
    assert stalled_for(world.status) is Reason.LOWERED_ELSEWHERE
    assert Transition.DRIFTED in world.recorded()


@pytest.mark.parametrize("text", ["{oops", "[]"])
def test_a_breach_while_the_flag_set_can_not_be_read_is_not_forgotten(text: str) -> None:
    world = World.at(50, gates=GATES)
    assert world.config_map is not None
    good, world.config_map = world.config_map, world.config_map | {"data": {DOCUMENT_KEY: text}}
    world.readings["errors"] = 0.9
    world.run(120)
    assert (world.status.state, world.config_map["data"][DOCUMENT_KEY]) == (State.ROLLBACK, text)
    assert world.recorded()[-1] is Transition.ROLLED_BACK
    world.readings["errors"], world.config_map = 0.0, good
    world.run(600)
    assert (world.phase, world.percent) == (Phase.ROLLED_BACK, 0)


def test_switching_off_is_kept_while_the_flag_set_can_not_be_read() -> None:
    world = World.at(50, gates=GATES)
    assert world.config_map is not None
    good, world.config_map = world.config_map, world.config_map | {"data": {DOCUMENT_KEY: "{oops"}}
    world.edit(enabled=False)
    world.run(60)
    world.config_map = good
    world.run(60)
    assert (world.phase, world.percent) == (Phase.DISABLED, 0)


def test_a_rollback_whose_first_write_fails_waits_for_no_contest() -> None:
    world = World.at(50, gates=GATES)
    for _ in range(4):
        world.turn(100)
        world.reconcile()
        world.now += timedelta(seconds=2)
    world.readings["errors"] = 0.9
    while world.status.state is not State.ROLLBACK:
        world.now += timedelta(seconds=1)
        world.turn(100)
        world.reconcile(Fault.ACTION_REFUSED)
    assert world.percent == 100
    world.reconcile()
    assert world.percent == 0


def test_more_rejections_than_status_has_room_for() -> None:
    world = World(gates=[raw_gate(rollback={"gt": 0.15, "confirm": 1})], percents=(50, 100), dwell="1h", revision="r0")
    for number in range(MAX_REJECTED + 6):
        world.edit(revision=f"r{number}")
        world.readings["errors"] = 0.0
        world.climb_to(50)
        world.fall()
    world.readings["errors"] = 0.0
    world.edit(revision="r0")
    world.run(60)
    assert (world.phase, world.percent, len(world.status.rejected)) == (Phase.ROLLED_BACK, 0, MAX_REJECTED)


@pytest.mark.parametrize("end", [-(10**12), 10**15])
def test_a_lease_beyond_all_clocks_is_corrected(end: int) -> None:
    world = World.at(50, gates=GATES)
    world.edit_flag(targeting={"if": [{"<": [{"var": "$flagd.timestamp"}, end]}, "on", "off"]}, defaultVariant="off")
    world.run(5)
    assert world.percent == 50


@pytest.mark.parametrize("depth", [70, 200])
def test_a_definition_that_is_nested_without_end_is_corrected(depth: int) -> None:
    world = World.at(50, gates=GATES)
    rule: Any = "on"
    for _ in range(depth):
        rule = {"if": [rule]}
    world.edit_flag(targeting=rule)
    world.run(5)
    assert same_effect(world.definition, definition_for(target(), 50))


def test_a_forged_mark_of_other_content_settles_no_raise() -> None:
    world = World.at(10, gates=GATES)
    world.run_until(lambda it: it.status.raising is not None)
    world.forge(percent=50)
    world.edit_flag(**share(50) | {"variants": {"on": True, "off": False}, "extra": 1})
    before = world.recorded().count(Transition.STEP_EFFECTIVE)
    world.readings["errors"] = 0.12
    world.now += timedelta(seconds=10)
    world.reconcile()
    assert world.recorded().count(Transition.STEP_EFFECTIVE) == before
    assert (world.percent, world.status.step_percent) == (10, 10)
