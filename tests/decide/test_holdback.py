"""A control group: the last step leaves it out, and everything that means "full" means that step."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.builders import raw_gate, target
from tests.decide.world import World
from tests.levers.evaluator import Evaluator
from tidegate.api.conditions import Reason
from tidegate.api.records import Transition
from tidegate.api.rollout_status import Phase, State
from tidegate.api.strategies import Canary, Step
from tidegate.levers.flag.definition import definition_for

GATES = [raw_gate(rollback={"gt": 0.15, "confirm": 1})]


def canary(*percents: int, holdback: int = 5, dwell: str = "60s") -> dict[str, Any]:
    return {"canary": {"percents": list(percents) or [10, 50, 100], "dwell": dwell, "holdback": holdback}}


def held_back(*percents: int, holdback: int = 5, **spec: Any) -> World:
    return World(**{"gates": GATES, "strategy": canary(*percents, holdback=holdback)} | spec)


@pytest.mark.parametrize(("holdback", "percents"), [(0, [10, 50, 100]), (1, [10, 50, 99]), (5, [10, 50, 95]), (49, [10, 50, 51])])
def test_the_last_step_leaves_the_control_group_out(holdback: int, percents: list[int]) -> None:
    written = Canary.model_validate(canary(holdback=holdback)["canary"])
    assert [step.percent for step in written.resolved()] == percents
    in_full = Canary(steps=tuple(Step(percent=percent, dwell=timedelta(minutes=1)) for percent in (10, 50, 100)), holdback=holdback)
    assert [step.percent for step in in_full.resolved()] == percents


@pytest.mark.parametrize(("percents", "holdback"), [([95, 100], 5), ([97, 100], 5), ([10, 50, 100], 50), ([60, 100], 50)])
def test_steps_inside_the_control_group_are_not_followed(percents: list[int], holdback: int) -> None:
    with pytest.raises(ValueError, match=f"below {100 - holdback} %"):
        Canary.model_validate(canary(*percents, holdback=holdback)["canary"]).resolved()
    world = held_back(*percents, holdback=holdback)
    world.reconcile()
    assert world.phase is Phase.INVALID


def test_it_climbs_to_the_last_step_bakes_there_and_succeeds() -> None:
    world = held_back()
    seen = set()

    def is_over(it: World) -> bool:
        seen.add((it.status.state, it.status.percent, it.status.step))
        return it.phase is Phase.SUCCEEDED

    world.run_until(is_over)
    assert [write.percent for _, write in world.writes if write.raises] == [10, 50, 95]
    assert (State.ENABLED, 95, 3) in seen
    assert (world.percent, world.status.percent, world.status.state) == (95, 95, State.ENABLED)
    assert "95 %" in next(record.message for record in world.records() if record.transition is Transition.ENABLED)
    world.reconcile()  # it lets its finalizer go
    assert world.is_converged()
    world.run(86_400)
    assert world.percent == 95


def test_the_control_group_and_anonymous_users_are_off_at_the_last_step() -> None:
    world = held_back(flag={"allow": ["alice"], "deny": ["bob"]})
    world.until(Phase.SUCCEEDED)
    evaluator = Evaluator(world.effect)
    clients = [f"user-{number}" for number in range(4000)]
    assert abs(sum(evaluator.sees(client) for client in clients) / 40 - 95) < 1.5
    assert [evaluator.sees(one) for one in (None, "", "bob", "alice")] == [False, False, False, True]


@pytest.mark.parametrize(("live", "state"), [(94, State.ROLLING_OUT), (95, State.ENABLED), (97, State.ENABLED), (100, State.ENABLED)])
def test_what_is_live_at_the_last_step_or_above_is_full_and_stays(live: int, state: State) -> None:
    world = held_back(bake="1h")
    world.put_flag(definition_for(target(), live))
    world.run(30)
    assert (world.percent, world.status.percent, world.status.state) == (live, live, state)
    assert (world.phase is Phase.BAKING) is (state is State.ENABLED)


@pytest.mark.parametrize(("initial", "state"), [(50, State.ROLLING_OUT), (95, State.ENABLED), (100, State.ENABLED)])
def test_what_was_live_without_a_flag_is_full_from_the_last_step_on(initial: int, state: State) -> None:
    world = held_back(initialPercent=initial)
    world.run_until(lambda it: it.status.percent == initial)
    assert (world.percent, world.status.state) == (initial, state)


@pytest.mark.parametrize("live", [95, 100])
def test_a_new_revision_of_what_is_full_keeps_its_percent_and_runs_the_gates_again(live: int) -> None:
    world = held_back(revision="v1", bake="60s")
    world.put_flag(definition_for(target(), live))
    world.until(Phase.SUCCEEDED)
    world.edit(revision="v2")
    world.reconcile()
    assert (world.status.state, world.status.percent, world.status.attempt) == (State.ROLLING_OUT, live, 2)
    world.until(Phase.SUCCEEDED)
    assert {write.percent for _, write in world.writes} == {live}


@pytest.mark.parametrize("state", [State.ROLLING_OUT, State.ENABLED])
def test_the_deadline_for_missing_data_stands_still_at_the_last_step(state: State) -> None:
    world = held_back(bake="1h", noData={"deadline": "60s", "then": "rollback"})
    world.climb_to(95)
    world.run_until(lambda it: it.status.state is state)
    world.readings["errors"] = None
    world.run(1800)
    assert (world.percent, world.status.state) == (95, state)


@pytest.mark.parametrize(("holdback", "state"), [(0, State.ENABLED), (5, State.ROLLBACK)])
def test_beside_a_control_group_a_comparison_goes_on_at_the_last_step(holdback: int, state: State) -> None:
    compared = raw_gate(relativeTo={"query": "off"}, rollback={"gt": 0.15, "confirm": 1})
    world = held_back(holdback=holdback, gates=[compared], bake="1h")
    world.readings["errors"] = world.bases["errors"] = 1.0
    world.climb_to(100 - holdback)
    world.readings["errors"] = 9.0
    world.run(300)
    assert world.status.state is state


def test_turned_up_by_hand_into_the_control_group_is_corrected() -> None:
    world = held_back()
    world.until(Phase.BAKING)
    world.edit_flag(defaultVariant="on")
    world.reconcile()
    assert world.percent == 95


# the holdback is edited


def at_the_last_step(world: World) -> None:
    world.climb_to(world.raw["spec"]["strategy"]["canary"].get("holdback", 0) * -1 + 100)


def baking(world: World) -> None:
    world.until(Phase.BAKING)


def succeeded(world: World) -> None:
    world.until(Phase.SUCCEEDED)


@pytest.mark.parametrize("reach", [at_the_last_step, baking, succeeded], ids=lambda it: it.__name__)
def test_a_holdback_that_is_added_later_takes_the_feature_from_nobody(reach: Callable[[World], None]) -> None:
    world = held_back(holdback=0)
    reach(world)
    world.edit(strategy=canary(holdback=20))
    world.until(Phase.SUCCEEDED) if reach is not succeeded else world.run(600)
    assert (world.percent, world.status.state) == (100, State.ENABLED)


def test_a_holdback_that_is_removed_on_the_way_lets_it_climb_to_everybody() -> None:
    world = held_back()
    world.climb_to(95)
    world.edit(strategy=canary(holdback=0))
    world.until(Phase.SUCCEEDED)
    assert world.percent == 100


@pytest.mark.parametrize("reach", [baking, succeeded], ids=lambda it: it.__name__)
def test_a_holdback_that_is_removed_once_enabled_counts_from_the_next_revision_on(reach: Callable[[World], None]) -> None:
    world = held_back(revision="v1", noData={"deadline": "60s", "then": "rollback"})
    reach(world)
    world.edit(strategy=canary(holdback=0))
    world.readings["errors"] = None
    world.run(600)
    assert (world.percent, world.status.state) == (95, State.ENABLED), "nor does a deadline begin to run"
    world.readings.clear()
    world.edit(revision="v2")
    world.run_until(lambda it: it.phase is Phase.SUCCEEDED and it.status.attempt == 2)
    assert [write.percent for _, write in world.writes if write.raises][-2:] == [95, 100]


def test_a_raise_into_the_new_control_group_is_withdrawn() -> None:
    world = held_back()
    world.climb_to(50)
    world.run_until(lambda it: it.status.raising is not None)
    world.edit(strategy=canary(holdback=20))
    world.until(Phase.SUCCEEDED)
    assert [write.percent for _, write in world.writes if write.raises] == [10, 50, 80]
    assert Transition.STEP_WITHDRAWN in world.recorded()


def test_a_larger_holdback_on_the_way_keeps_the_current_percent() -> None:
    world = held_back(10, 70, 100)
    world.climb_to(70)
    world.edit(strategy=canary(10, 40, 100, holdback=50))
    world.until(Phase.SUCCEEDED)
    assert world.percent == 70


def test_an_invalid_holdback_holds() -> None:
    world = held_back()
    world.climb_to(50)
    world.edit(strategy=canary(holdback=50))
    world.run(3600)
    assert (world.phase, world.percent) == (Phase.INVALID, 50)
    stalled = next(one for one in world.status.conditions if one.reason == Reason.INVALID_SPEC)
    assert "every step but the last must be below 50 %" in stalled.message


def test_a_lease_comes_back_to_the_last_step() -> None:
    world = held_back(flag={"leaseSeconds": 60})
    world.climb_to(95)
    world.now += timedelta(seconds=100)
    assert world.percent == 0
    world.climb_to(95)
    world.until(Phase.SUCCEEDED)
    assert (world.percent, world.lease) == (95, None)
