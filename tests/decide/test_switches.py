"""`enabled`, `paused`, `stepDeadline`, and the lists of the flag, in every phase."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.builders import policy, raw_gate, stalled_for, target
from tests.decide.test_revisions import at_full_but_not_enabled, baking, progressing, raise_under_way, rolled_back, succeeded, waiting
from tests.decide.world import World
from tidegate.api.conditions import Reason
from tidegate.api.records import Transition
from tidegate.api.rollout_status import Phase, State
from tidegate.domain.problems import Problem
from tidegate.levers.flag.definition import definition_for, switched_off

GATES = [raw_gate(rollback={"gt": 0.15, "confirm": 1})]
EVERYWHERE = [waiting, progressing, at_full_but_not_enabled, raise_under_way, baking, succeeded, rolled_back]
Reach = Callable[[World], None]


@pytest.mark.parametrize("reach", EVERYWHERE, ids=lambda it: it.__name__)
def test_enabled_false_switches_off_in_the_same_look(reach: Reach) -> None:
    world = World(gates=GATES, flag={"allow": ["alice"]})
    reach(world)
    world.edit(enabled=False)
    world.reconcile()
    assert world.effect == switched_off()
    assert (world.phase, world.status.state) == (Phase.DISABLED, State.DISABLED)
    world.run(5)
    assert (world.status.percent, world.status.waiting_for) == (0, None)
    assert world.raw["metadata"]["finalizers"] == []
    assert world.reconcile().requeue_after is None


@pytest.mark.parametrize("reach", [it for it in EVERYWHERE if it is not rolled_back], ids=lambda it: it.__name__)
def test_enabled_again_is_a_new_attempt_from_zero(reach: Reach) -> None:
    world = World(gates=GATES)
    reach(world)
    world.edit(enabled=False)
    world.run(600)
    world.edit(enabled=True)
    world.reconcile()
    assert (world.phase, world.percent, world.status.attempt) == (Phase.WAITING, 0, 2)
    world.until(Phase.SUCCEEDED)


def test_born_disabled() -> None:
    world = World(gates=GATES, enabled=False, initialPercent=100)
    world.run(60)
    assert (world.phase, world.effect) == (Phase.DISABLED, switched_off())
    world.edit(enabled=True)
    world.climb_to(10)


def test_switching_off_needs_neither_a_policy_nor_a_valid_spec() -> None:
    world = World.at(50, gates=GATES)
    world.policy = Problem(Reason.POLICY_MISSING, "RolloutPolicy production does not exist")
    world.edit(enabled=False, gates=[raw_gate(query="rate(")])
    world.reconcile()
    assert (world.phase, world.effect) == (Phase.DISABLED, switched_off())


# paused


@pytest.mark.thorough
@pytest.mark.parametrize("percent", [10, 50, 100])
def test_paused_holds_the_step_and_goes_on_where_it_was(percent: int) -> None:
    world = World.at(percent, gates=GATES)
    world.edit(paused=True)
    world.run(7200)
    assert (world.percent, world.phase, world.status.state) == (percent, Phase.PAUSED, State.ROLLING_OUT)
    assert "paused by spec.paused" in (world.status.waiting_for or "")
    world.edit(paused=False)
    world.until(Phase.SUCCEEDED)
    assert [one for one in world.recorded() if one in (Transition.PAUSED, Transition.RESUMED)] == [Transition.PAUSED, Transition.RESUMED]


def test_paused_before_the_start_exposes_nobody() -> None:
    world = World(paused=True)
    world.run(3600)
    assert (world.percent, world.phase) == (0, Phase.WAITING)
    world.edit(paused=False)
    world.climb_to(10)


@pytest.mark.parametrize("percent", [10, 100])
def test_paused_keeps_the_rollback_rules_armed(percent: int) -> None:
    world = World.at(percent, gates=GATES)
    world.edit(paused=True)
    world.run(600)
    world.readings["errors"] = 0.9
    world.run_until(lambda it: it.percent == 0, 11)
    assert world.status.state is State.ROLLBACK


def test_paused_while_baking_or_terminal_changes_nothing() -> None:
    world = World(gates=GATES, bake="120s")
    baking(world)
    world.edit(paused=True)
    world.until(Phase.SUCCEEDED, 200)
    rolled = World(gates=GATES)
    rolled_back(rolled)
    rolled.edit(paused=True)
    rolled.run(60)
    assert rolled.phase is Phase.ROLLED_BACK


def test_paused_neither_stops_nor_restarts_the_dwell() -> None:
    world = World.at(10, gates=GATES, dwell="60s")
    effective = world.status.effective_at
    world.edit(paused=True)
    world.run(40)
    world.edit(paused=False)
    world.climb_to(50)
    assert effective is not None
    assert world.now - effective == pytest.approx(timedelta(seconds=60), abs=timedelta(seconds=0.1))


# suspend


FREEZE = {"reason": "change freeze until Monday"}


@pytest.mark.parametrize("percent", [10, 50])
def test_a_policy_that_is_suspended_pauses_every_rollout_under_it_and_says_why(percent: int) -> None:
    world = World.at(percent, gates=GATES, stepDeadline="120s")
    world.policy = policy(suspend=FREEZE, generation=2)
    world.run(7200)
    assert (world.percent, world.phase) == (percent, Phase.PAUSED)
    assert "suspended by RolloutPolicy production: change freeze until Monday" in (world.status.waiting_for or "")
    assert stalled_for(world.status) is None, "the deadline's clock stands still"
    world.policy = policy(generation=3)
    world.until(Phase.SUCCEEDED)
    assert [one for one in world.recorded() if one in (Transition.PAUSED, Transition.RESUMED)] == [Transition.PAUSED, Transition.RESUMED]


def test_under_a_suspended_policy_nothing_begins_and_what_is_bad_is_rolled_back() -> None:
    world = World(gates=GATES)
    world.policy = policy(suspend=FREEZE)
    world.run(3600)
    assert (world.percent, world.phase) == (0, Phase.WAITING)
    world.policy = policy(generation=2)
    world.climb_to(10)
    world.policy = policy(suspend=FREEZE, generation=3)
    world.run(60)
    world.readings["errors"] = 0.9
    world.run_until(lambda it: it.percent == 0, 11)
    assert world.status.state is State.ROLLBACK


# stepDeadline


def held(**spec: Any) -> World:
    fields: dict[str, Any] = {"gates": GATES, "dwell": "60s", "stepDeadline": "120s"} | spec
    world = World.at(10, **fields)
    world.readings["errors"] = 0.12
    return world


def test_a_step_held_longer_than_its_deadline_pauses_and_says_so() -> None:
    world = held()
    began = world.elapsed()
    late = world.until(Phase.PAUSED)
    assert late - began == pytest.approx(180, abs=0.2)
    assert stalled_for(world.status) is Reason.STEP_DEADLINE_EXCEEDED
    world.readings["errors"] = 0.0
    world.run(3600)
    assert (world.percent, world.phase) == (10, Phase.PAUSED), "it waits for a person"
    assert world.recorded().count(Transition.STEP_DEADLINE_EXCEEDED) == 1


@pytest.mark.parametrize("how", ["longer deadline", "the default", "pause and resume"])
def test_a_person_lets_it_go_on(how: str) -> None:
    world = held()
    world.until(Phase.PAUSED)
    world.readings["errors"] = 0.0
    world.run(600)
    match how:
        case "longer deadline":
            world.edit(stepDeadline="1d")
        case "the default":
            world.edit(stepDeadline="7d")
        case _:
            world.edit(paused=True)
            world.run(30)
            world.edit(paused=False)
    world.climb_to(50)
    assert stalled_for(world.status) is None


def test_after_a_resume_the_deadline_counts_anew() -> None:
    world = held()
    world.edit(paused=True)
    world.run(1000)
    world.edit(paused=False)
    resumed = world.elapsed()
    late = world.until(Phase.PAUSED)
    assert late - resumed == pytest.approx(120, abs=0.2)


def test_its_own_pause_keeps_the_rollback_rules_armed() -> None:
    world = held()
    world.until(Phase.PAUSED)
    world.readings["errors"] = 0.9
    world.run_until(lambda it: it.percent == 0, 11)


def test_a_pause_that_outlasts_the_deadline_rests() -> None:
    """Nothing happens at that moment, so nothing needs to be looked at over and over."""
    world = held(gates=[])
    world.edit(paused=True)
    world.run(3600, limit=300)
    assert world.reconcile().requeue_after is not None


def test_a_deadline_is_recorded_once_though_the_spec_breaks_meanwhile() -> None:
    world = held()
    world.until(Phase.PAUSED)
    world.edit(gates=[raw_gate(query="rate(")])
    world.run(600)
    assert world.recorded().count(Transition.STEP_DEADLINE_EXCEEDED) == 1
    assert world.is_converged()


# the lists


@pytest.mark.parametrize("reach", [waiting, progressing, at_full_but_not_enabled, baking, succeeded], ids=lambda it: it.__name__)
def test_allow_and_deny_are_followed_while_the_percent_stays(reach: Reach) -> None:
    world = World(gates=GATES)
    reach(world)
    before = world.percent
    assert before is not None
    lists = {"allow": ["alice", "bob"], "deny": ["eve"]}
    world.edit(target={"flag": world.raw["spec"]["target"]["flag"] | lists})
    world.reconcile()
    assert world.percent == before
    assert world.effect == definition_for(target(**lists), before)


def test_the_allow_list_is_never_on_in_rollback_or_disabled() -> None:
    world = World(gates=GATES)
    rolled_back(world)
    world.edit(target={"flag": world.raw["spec"]["target"]["flag"] | {"allow": ["alice"]}})
    world.run(60)
    assert world.effect == switched_off()
    world.edit(enabled=False)
    world.run(60)
    assert world.effect == switched_off()
