"""Other hands on the flag: what a manual override holds up and what not, and what a flag that was rewritten is not taken for."""

from datetime import timedelta
from typing import Any

import pytest

from tests.builders import raw_gate
from tests.decide.world import World
from tidegate.api.conditions import Reason
from tidegate.api.records import Transition
from tidegate.api.rollout_status import Phase, State
from tidegate.domain.problems import Problem

GATES = [raw_gate()]
OFF = {"defaultVariant": "off"}


def share(percent: int) -> dict[str, Any]:
    return {"defaultVariant": "off", "targeting": {"fractional": [["on", percent * 1000], ["off", (100 - percent) * 1000]]}}


@pytest.mark.parametrize("where", [50, Phase.BAKING])
@pytest.mark.parametrize("removed", [False, True])
def test_a_new_revision_begins_again_from_zero(where: int | Phase, removed: bool) -> None:
    world = World.at(where, gates=GATES, revision="v1")
    world.edit_flag(**share(20))
    world.run(30)
    if removed:
        world.put_flag(None)
    world.edit(revision="v2")
    world.reconcile()
    assert (world.percent, world.status.state, world.status.override, world.status.attempt) == (0, State.DISABLED, None, 2)
    world.climb_to(10)
    world.climb_to(50)


def test_rollback_rules_stay_armed_on_what_was_turned_down() -> None:
    world = World.at(50, gates=GATES)
    world.edit_flag(**share(20))
    world.run(60)
    world.fall()
    assert world.percent == 0
    assert Transition.DRIFTED not in world.recorded()


@pytest.mark.parametrize("trouble", ["policy", "spec", "deadline"])
def test_it_is_recorded_once_though_something_worse_hides_it(trouble: str) -> None:
    world = World.at(50, gates=GATES, stepDeadline="120s")
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
    world = World.at(Phase.BAKING, gates=GATES, bake="120s")
    world.edit_flag(**OFF)
    world.run(600)
    assert (world.phase, world.percent) == (Phase.BAKING, 0)
    world.edit_flag(defaultVariant="on")
    world.until(Phase.SUCCEEDED, 120)


def test_a_rewritten_definition_is_not_taken_for_the_last_step() -> None:
    """It reads as 100 %: that must not pass for the raise to 100 % being in force."""
    world = World.at(50, gates=GATES)
    world.run_until(lambda it: it.status.raising is not None)
    world.edit_flag(targeting={"if": [{"==": [{"var": "tier"}, "pro"]}, "on", "off"]})
    world.readings["errors"] = 0.12
    world.now += timedelta(seconds=10)
    world.run(30)
    assert (world.percent, world.status.percent) == (50, 50)
    assert world.status.state is State.ROLLING_OUT


def test_turned_up_before_the_first_reading_back_skips_no_step() -> None:
    """Another program raises the flag between our first write of an attempt and the look that reads it back."""
    world = World.at(50, gates=GATES, revision="v1")
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
    world.until(Phase.SUCCEEDED)
    after = world.document()
    assert {key: after["flags"][key] for key in theirs} == theirs
    assert after["$evaluators"] == {"x": {"==": [1, 1]}}
