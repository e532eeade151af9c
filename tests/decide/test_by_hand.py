"""Other hands on the flag: turned down is a manual override, turned up is corrected, removed is restored, rewritten is corrected."""

from datetime import timedelta
from typing import Any

import pytest

from tests.builders import raw_gate, stalled_for
from tests.decide.world import World
from tidegate.api.conditions import Reason
from tidegate.api.records import Transition
from tidegate.api.rollout_status import Phase, State
from tidegate.domain.problems import Problem

GATES = [raw_gate()]
OFF = {"defaultVariant": "off"}


def share(percent: int) -> dict[str, Any]:
    return {"defaultVariant": "off", "targeting": {"fractional": [["on", percent * 1000], ["off", (100 - percent) * 1000]]}}


@pytest.mark.thorough
@pytest.mark.parametrize("to", [0, 20])
def test_turned_down_by_hand_is_neither_undone_nor_climbed_from(to: int) -> None:
    world = World(gates=GATES)
    world.climb_to(50)
    world.edit_flag(**(share(to) if to else OFF))
    world.run(7200)
    assert world.percent == to
    assert stalled_for(world.status) is Reason.LOWERED_ELSEWHERE
    assert f"turned down to {to} %" in (world.status.waiting_for or "")
    assert world.recorded().count(Transition.LOWERED_ELSEWHERE) == 1
    assert world.is_converged()


def test_it_goes_on_when_the_person_sets_it_back() -> None:
    world = World(gates=GATES)
    world.climb_to(50)
    world.edit_flag(**OFF)
    world.run(300)
    world.edit_flag(**share(50))
    world.climb_to(100)
    assert stalled_for(world.status) is None


def test_a_new_revision_begins_again_from_zero() -> None:
    world = World(gates=GATES)
    world.climb_to(50)
    world.edit_flag(**OFF)
    world.run(300)
    world.edit(revision="v2")
    world.climb_to(10)
    world.climb_to(50)


@pytest.mark.parametrize("to", [0, 20])
def test_a_new_revision_of_an_enabled_feature_that_was_turned_down_begins_again_too(to: int) -> None:
    world = World(gates=GATES, revision="v1")
    world.run_until(lambda it: it.phase is Phase.BAKING)
    world.edit_flag(**(share(to) if to else OFF))
    world.run(30)
    world.edit(revision="v2")
    world.climb_to(10)
    assert world.status.attempt == 2


def test_rollback_rules_stay_armed_on_what_was_turned_down() -> None:
    world = World(gates=GATES)
    world.climb_to(50)
    world.edit_flag(**share(20))
    world.run(60)
    world.readings["errors"] = 0.9
    world.run_until(lambda it: it.phase is Phase.ROLLED_BACK, 60)
    assert world.percent == 0


@pytest.mark.parametrize("trouble", ["policy", "spec", "deadline"])
def test_it_is_recorded_once_though_something_worse_hides_it(trouble: str) -> None:
    world = World(gates=GATES, stepDeadline="120s")
    world.climb_to(50)
    world.edit_flag(**OFF)
    world.run(30)
    match trouble:
        case "policy":
            world.policy = Problem(Reason.POLICY_MISSING, "RolloutPolicy production does not exist")
        case "spec":
            world.edit(gates=[raw_gate(query="rate(")])
    world.run(1200)
    assert world.recorded().count(Transition.LOWERED_ELSEWHERE) == 1
    assert world.is_converged()


def test_a_bake_of_a_feature_that_was_turned_down_does_not_succeed() -> None:
    world = World(gates=GATES, bake="120s")
    world.run_until(lambda it: it.phase is Phase.BAKING)
    world.edit_flag(**OFF)
    world.run(600)
    assert (world.phase, world.percent) == (Phase.BAKING, 0)
    world.edit_flag(defaultVariant="on")
    world.run_until(lambda it: it.phase is Phase.SUCCEEDED, 120)


@pytest.mark.parametrize("to", [80, 100])
def test_turned_up_by_hand_is_corrected(to: int) -> None:
    world = World(gates=GATES)
    world.climb_to(50)
    world.edit_flag(**(share(to) if to < 100 else {"defaultVariant": "on"}))
    world.reconcile()
    assert world.percent == 50
    assert not any(write.raises for _, write in world.writes[-1:])


@pytest.mark.parametrize("percent", [10, 50, 100])
def test_a_flag_that_is_missing_is_restored_as_it_was(percent: int) -> None:
    world = World(gates=GATES, flag={"allow": ["alice"]})
    world.climb_to(percent)
    before = {key: value for key, value in (world.definition or {}).items() if key != "metadata"}
    world.put_flag(None)
    world.run(1)
    assert {key: value for key, value in (world.definition or {}).items() if key != "metadata"} == before
    world.run_until(lambda it: it.phase is Phase.SUCCEEDED)


def test_a_flag_set_that_is_missing_is_made_again() -> None:
    world = World(gates=GATES)
    world.climb_to(50)
    world.config_map = None
    world.run(1)
    assert world.percent == 50


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "DISABLED"},
        {"variants": {"on": 1, "off": 0}},
        {"variants": {"on": True, "off": False, "maybe": True}},
        {"defaultVariant": None},
        {"targeting": {"if": []}},
        {"targeting": {"if": [{"==": [{"var": "tier"}, "pro"]}, "on", "off"]}},
        {"targeting": {"fractional": [["on", 10.5], ["off", 89.5]]}},
    ],
)
def test_a_definition_that_was_rewritten_is_corrected(changes: dict[str, Any]) -> None:
    world = World(gates=GATES)
    world.climb_to(50)
    before = world.definition
    world.edit_flag(**changes)
    world.run(1)
    assert {k: v for k, v in (world.definition or {}).items() if k != "metadata"} == {
        k: v for k, v in (before or {}).items() if k != "metadata"
    }
    world.climb_to(100)


def test_a_rewritten_definition_is_not_taken_for_the_last_step() -> None:
    """It reads as 100 %: that must not pass for the raise to 100 % being in force."""
    world = World(gates=GATES)
    world.climb_to(50)
    world.run_until(lambda it: it.status.raising is not None)
    world.edit_flag(targeting={"if": [{"==": [{"var": "tier"}, "pro"]}, "on", "off"]})
    world.readings["errors"] = 0.12
    world.now += timedelta(seconds=10)
    world.run(30)
    assert (world.percent, world.status.percent) == (50, 50)
    assert world.status.state is State.ROLLING_OUT


def test_turned_up_before_the_first_reading_back_skips_no_step() -> None:
    """Another program raises the flag between our first write of an attempt and the look that reads it back."""
    world = World(gates=GATES, revision="v1")
    world.climb_to(50)
    world.edit(revision="v2")
    world.reconcile()
    world.edit_flag(**share(30))
    world.run_until(lambda it: bool(it.percent) and it.status.attempt == 2 and it.status.state is State.ROLLING_OUT)
    assert world.percent == 10


def test_other_flags_of_the_document_are_kept() -> None:
    world = World(gates=GATES)
    world.put_flag({"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"})
    assert world.config_map is not None
    document = world.document()
    theirs = {"theirs": {"state": "DISABLED", "variants": {"a": 1}, "defaultVariant": "a"}, "odd": 7}
    world.put_document(document | {"flags": document["flags"] | theirs, "$evaluators": {"x": {"==": [1, 1]}}})
    world.run_until(lambda it: it.phase is Phase.SUCCEEDED)
    after = world.document()
    assert {key: after["flags"][key] for key in theirs} == theirs
    assert after["$evaluators"] == {"x": {"==": [1, 1]}}
