"""Guards hold back who has exposed nobody yet, and roll back only those whose exposure rose within their reach."""

from datetime import timedelta
from typing import Any

import pytest

from tests.builders import answer, policy, raw_gate, stalled_for
from tests.decide.world import Fault, World
from tidegate.api.conditions import Reason
from tidegate.api.records import Transition
from tidegate.api.rollout_status import GateSource, Phase, State, Verdict
from tidegate.domain.answers import Answer, Failure

pytestmark = pytest.mark.levers


def guard(**fields: Any) -> dict[str, Any]:
    return raw_gate("uptime", **fields)


@pytest.mark.thorough
@pytest.mark.parametrize("rollback", [{"gt": 0.15, "confirm": 1}, {"gt": 0.15}, {"gt": 0.15, "for": "30s"}])
@pytest.mark.parametrize(("said", "verdict", "why"), [(0.9, Verdict.HOLD, "is in breach"), (None, Verdict.NO_DATA, "has no data")])
def test_before_the_first_exposure_a_guard_is_waited_for_and_never_rolls_back(
    rollback: dict[str, Any], said: float | None, verdict: Verdict, why: str
) -> None:
    world = World(guards=(guard(rollback=rollback),), bake="7d", noData={"deadline": "30s", "then": "rollback"})
    world.readings["uptime"] = said
    world.run(3600)
    assert (world.phase, world.status.state, world.percent) == (Phase.WAITING, State.DISABLED, 0)
    assert f"guard uptime {why} (" in (world.status.waiting_for or "")
    assert world.status.gates[0].verdict is verdict
    assert Transition.ROLLED_BACK not in world.recorded()
    world.readings["uptime"] = 0.0
    world.climb_to(10)


def test_a_breach_within_reach_rolls_back_at_once() -> None:
    world = World.at(50, guards=(guard(rollback={"gt": 0.15, "confirm": 1}, reach="10m"),))
    world.readings["uptime"] = 0.9
    world.run_until(lambda it: it.percent == 0, 11)
    assert world.status.state is State.ROLLBACK
    assert "guard uptime: 0.9" in world.records()[-1].message or "guard uptime: 0.9" in world.records()[-2].message


@pytest.mark.parametrize(("held_for", "rolled_back"), [(250, True), (320, False)])
def test_reach_counts_from_the_last_rise(held_for: float, rolled_back: bool) -> None:
    world = World.at(50, guards=(guard(rollback={"gt": 0.15, "confirm": 1}, reach="5m"),), paused=False)
    world.edit(paused=True)
    world.run(held_for)
    world.readings["uptime"] = 0.9
    world.run(40)
    assert (world.status.state is State.ROLLBACK) is rolled_back
    assert world.percent == (0 if rolled_back else 50)


@pytest.mark.parametrize(("bake", "rolled_back"), [("1m", False), ("10m", True)])
def test_reach_defaults_to_the_bake(bake: str, rolled_back: bool) -> None:
    world = World.at(50, guards=(guard(rollback={"gt": 0.15, "confirm": 1}),), bake=bake)
    world.edit(paused=True)
    world.run(120)
    world.readings["uptime"] = 0.9
    world.run(40)
    assert (world.status.state is State.ROLLBACK) is rolled_back


def test_a_breach_out_of_reach_is_recorded_once_and_holds() -> None:
    world = World.at(10, guards=(guard(rollback={"gt": 0.15, "confirm": 1}, reach="1m"),), dwell="5m")
    world.run(120)
    world.readings["uptime"] = 0.9
    world.run(3600)
    assert (world.percent, world.phase) == (10, Phase.PROGRESSING)
    assert world.recorded().count(Transition.GUARD_BREACHED) == 1
    assert "guard uptime is in breach (" in (world.status.waiting_for or "")
    world.readings["uptime"] = 0.0
    world.climb_to(50)


def test_an_adopted_feature_did_not_rise_so_no_guard_switches_it_off() -> None:
    world = World(guards=(guard(rollback={"gt": 0.15, "confirm": 1}, reach="30d"),), initialPercent=100, bake="1h")
    world.readings["uptime"] = 0.9
    world.run(600)
    assert (world.percent, world.phase) == (100, Phase.BAKING)
    assert Transition.GUARD_BREACHED in world.recorded()


def test_a_guard_counts_samples_from_before_the_exposure() -> None:
    """The incident was there already: that the feature began in it must not hide it. (Its own gates would not count them.)"""
    world = World.at(10, guards=(guard(rollback={"gt": 0.15, "for": "40s"}, reach="1h"),))
    exposed = world.elapsed()
    world.readings["uptime"] = lambda seconds: 0.9 if seconds > exposed else 0.0
    fell = world.run_until(lambda it: it.status.state is State.ROLLBACK, 120)
    assert fell - exposed <= 61


def test_a_guard_and_a_gate_of_one_name_are_two() -> None:
    world = World.at(10, gates=[raw_gate("uptime", query="mine")], guards=(guard(),))
    world.run(20)
    assert [(gate.source, gate.name) for gate in world.status.gates] == [(GateSource.ROLLOUT, "uptime"), (GateSource.POLICY, "uptime")]


BESIDE_THE_START = {"relativeTo": {"start": {"over": "1h"}}, "rollback": {"gt": 0.5, "confirm": 1}}


def test_a_gate_with_the_name_of_a_guard_does_not_turn_it_off() -> None:
    """Each is compared with its own median: with the gate's, the guard would never be in breach."""
    world = World(gates=[raw_gate("uptime", query="mine", **BESIDE_THE_START)], guards=(guard(**BESIDE_THE_START),))
    world.medians[GateSource.ROLLOUT, "uptime"], world.medians[GateSource.POLICY, "uptime"] = 1e9, 1.0
    world.readings["uptime"] = 1.0
    world.climb_to(10)
    assert [[one.value for one in kept] for kept in (world.status.baselines, world.status.guard_baselines)] == [["1000000000"], ["1"]]
    world.readings["uptime"] = 10.0
    world.run_until(lambda it: it.status.state is State.ROLLBACK, 30)
    assert "guard uptime: 9" in str(world.status.rolled_back_because)


def test_a_median_of_an_older_status_is_taken_for_that_of_a_gate() -> None:
    """There one list held both. The guard's is measured anew, over the time before the exposure."""
    world = World.at(10, guards=(guard(**BESIDE_THE_START),), dwell="1h")
    world.raw["status"]["baselines"] = world.raw["status"].pop("guardBaselines")
    world.medians["uptime"] = world.readings["uptime"] = 2.0
    world.run(30)
    assert (world.status.baselines, [one.value for one in world.status.guard_baselines]) == ((), ["2"])


def test_a_guard_that_is_added_mid_run_is_heeded_and_one_that_is_removed_forgotten() -> None:
    world = World.at(10, gates=[raw_gate()])
    world.policy = policy(guard(), generation=2)
    world.readings["uptime"] = 0.12
    world.run(300)
    assert world.percent == 10
    assert Transition.POLICY_EDITED in world.recorded()
    world.policy = policy(generation=3)
    world.climb_to(50)
    assert [gate.name for gate in world.status.gates] == ["errors"]


@pytest.mark.parametrize(("on_breach", "advances"), [("hold", False), ("notify", True)])
def test_a_guard_that_may_not_roll_back_never_does(on_breach: str, advances: bool) -> None:
    world = World.at(10, guards=(guard(rollback={"gt": 0.15, "confirm": 1}, onBreach=on_breach, reach="7d"),))
    world.readings["uptime"] = 0.9
    world.run(600)
    assert Transition.ROLLED_BACK not in world.recorded()
    assert world.recorded().count(Transition.GUARD_BREACHED) == 1
    assert (world.percent == 100) is advances
    assert (world.percent == 10) is not advances


def test_a_guard_that_is_only_recorded_holds_nobody_back_even_without_data() -> None:
    world = World(guards=(guard(onBreach="notify"),), noData={"deadline": "30s", "then": "rollback"})
    world.readings["uptime"] = None
    world.until(Phase.BAKING)
    assert Transition.ROLLED_BACK not in world.recorded()


@pytest.mark.parametrize("said", [Failure(Reason.QUERY_REFUSED, "many-to-many"), answer(*range(101))], ids=["refused", "too many series"])
def test_a_guard_that_is_only_recorded_and_can_never_be_judged_holds_nobody_back(said: Failure | Answer) -> None:
    world = World(guards=(guard(onBreach="notify"),))
    world.readings["uptime"] = said
    world.climb_to(10)
    assert (world.status.gates[0].verdict, stalled_for(world.status)) == (Verdict.NO_DATA, None)


@pytest.mark.parametrize("to", [{"baseline": "normal"}, {"start": {"over": "1h"}}])
def test_a_guard_that_is_only_recorded_and_has_nothing_to_compare_with_holds_nobody_back(to: dict[str, Any]) -> None:
    world = World(guards=(guard(onBreach="notify", relativeTo=to),))
    world.medians["uptime"] = None
    world.climb_to(10)


@pytest.mark.parametrize("bake", ["0s", "60s", "7d"])
def test_a_short_bake_does_not_disarm_the_guards_of_the_climb(bake: str) -> None:
    world = World.at(10, guards=(guard(rollback={"gt": 0.15, "confirm": 1}),), dwell="1h", bake=bake)
    world.run(1800)
    world.readings["uptime"] = 0.9
    world.run_until(lambda it: it.status.state is State.ROLLBACK, 30)


def test_a_count_guard_counts_from_the_first_exposure() -> None:
    violations = {"name": "violations", "count": {"counter": "violations_total"}, "rollback": {"gte": 1}}
    world = World.at(50, guards=(violations,))
    world.readings["violations"] = 1.0
    world.run_until(lambda it: it.status.state is State.ROLLBACK, 11)


def test_what_an_earlier_attempt_saw_and_could_not_write_is_recorded_anew_by_the_next() -> None:
    """Gates whose status is refused are remembered in the process: they are the attempt's own."""
    world = World.at(50, guards=(guard(rollback={"gt": 0.15, "confirm": 1}, onBreach="notify"),), revision="v1")
    world.readings["uptime"] = 0.9
    world.now += timedelta(seconds=10)
    world.reconcile(Fault.STATUS_REFUSED)
    world.edit(revision="v2")
    world.run(60)
    breaches = [record for record in world.records() if record.transition is Transition.GUARD_BREACHED]
    assert [record.attempt for record in breaches if record.attempt == 2] == [2]
