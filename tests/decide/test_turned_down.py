"""A person's lowering outlives whatever comes next: a raise that was decided before it, one that was just made, the flag's removal."""

from datetime import timedelta

import pytest

from tests.builders import raw_gate, stalled_for
from tests.decide.test_by_hand import OFF, share
from tests.decide.world import Fault, World
from tidegate.api.conditions import Reason
from tidegate.api.records import Transition
from tidegate.api.rollout_status import Phase
from tidegate.levers.flag.definition import definition_for

GATES = [raw_gate()]
UNREADABLE = {"targeting": {"if": [{"==": [{"var": "tier"}, "pro"]}, "on", "off"]}}


def turn_down(world: World, to: int) -> None:
    world.edit_flag(**(share(to) if to else OFF))


@pytest.mark.thorough
@pytest.mark.parametrize("to", [0, 5])
@pytest.mark.parametrize("append_works", [True, False])
def test_a_stored_raise_does_not_undo_a_lowering(to: int, append_works: bool) -> None:
    """The raise is in status, and its record can't be appended: it waits."""
    world = World.at(10, gates=GATES)
    for _ in range(20):
        world.now += timedelta(seconds=10)
        world.reconcile(Fault.APPEND_REFUSED)
    assert (world.percent, world.status.raising is None, world.status.pending is None) == (10, False, False)
    turn_down(world, to)
    world.reconcile(None if append_works else Fault.APPEND_REFUSED)
    assert (world.percent, world.status.raising) == (to, None)
    world.run(3600)
    assert world.percent == to
    assert stalled_for(world.status) is Reason.LOWERED_ELSEWHERE
    assert world.recorded().count(Transition.LOWERED_ELSEWHERE) == 1
    assert Transition.STEP_WITHDRAWN in world.recorded()
    assert world.is_converged()
    world.edit_flag(**share(10))
    world.climb_to(50)


@pytest.mark.parametrize("to", [0, 5])
def test_a_raise_whose_decision_saw_the_flag_before_it_was_turned_down_is_refused(to: int) -> None:
    world = World.at(10, gates=GATES)
    world.run_until(lambda it: it.status.raising is not None and it.status.pending is None)
    seen = world.snapshot()
    turn_down(world, to)
    world.reconcile(seen=seen)
    assert world.percent == to


@pytest.mark.thorough
@pytest.mark.parametrize(("to", "made", "initial"), [(0, 50, 0), (10, 50, 0), (20, 50, 0), (0, 40, 40), (20, 40, 40)])
def test_a_raise_that_was_made_and_turned_down_before_it_was_read_back(to: int, made: int, initial: int) -> None:
    """The raise was in force: below it, everything is a manual override, also the percent of the step before."""
    world = World(gates=GATES, initialPercent=initial)
    world.run_until(lambda it: it.percent == made and it.status.raising is not None)
    turn_down(world, to)
    world.run(3600)
    assert (world.percent, world.status.step_percent) == (to, made)
    assert stalled_for(world.status) is Reason.LOWERED_ELSEWHERE
    world.edit_flag(**share(made))
    world.climb_to(100)


def test_a_raise_that_an_external_writer_made_by_hand_is_not_taken_for_ours() -> None:
    """The raise to 50 % is decided and not made; a hand sets 50 %, and then the gate turns."""
    world = World.at(10, gates=GATES)
    world.run_until(lambda it: it.status.raising is not None)
    world.edit_flag(**share(50))
    world.readings["errors"] = 0.12
    world.now += timedelta(seconds=10)
    world.reconcile()
    assert (world.percent, world.status.step_percent, world.status.raising) == (10, 10, None)


# removed, or rewritten, after it was turned down


@pytest.mark.thorough
@pytest.mark.parametrize("to", [0, 20])
@pytest.mark.parametrize("how", ["flag", "flag set", "rewritten"])
@pytest.mark.parametrize("baking", [False, True])
def test_a_flag_that_was_turned_down_and_then_removed_comes_back_as_it_was_seen_last(to: int, how: str, baking: bool) -> None:
    world = World(gates=GATES, flag={"allow": ["alice"], "deny": ["bob"]})
    full = 100 if baking else 50
    world.get_to(Phase.BAKING if baking else 50)
    turn_down(world, to)
    world.run(30)
    match how:
        case "flag":
            world.put_flag(None)
        case "flag set":
            world.config_map = None
        case "rewritten":
            world.edit_flag(**UNREADABLE)
    world.run(3600)
    assert (world.effect, world.percent, world.status.step_percent) == (definition_for(world.target, to), to, full)
    assert stalled_for(world.status) is Reason.LOWERED_ELSEWHERE
    assert world.recorded().count(Transition.LOWERED_ELSEWHERE) == 1
    assert world.is_converged()
    world.edit_flag(**(share(50) if full == 50 else {"defaultVariant": "on"}))
    world.until(Phase.SUCCEEDED)
    assert world.status.override is None
