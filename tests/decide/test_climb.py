"""The way up: dwell to the millisecond, rehearsal first, records before raises, and what is missing said in words."""

import itertools
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from tests.builders import T0, after, raw_gate
from tests.decide.world import Fault, World
from tidegate.api.conditions import ConditionType
from tidegate.api.records import Transition
from tidegate.api.rollout_status import FlagStatus, Phase, State
from tidegate.decide.rollout.deciding import decide
from tidegate.domain.decision import AddFinalizer, RemoveFinalizer
from tidegate.levers.flag.definition import HASH_GENERATION
from tidegate.levers.flag.flag_set import WriteFlag

pytestmark = pytest.mark.levers


def raising_to(percent: int, world: World) -> bool:
    return world.status.raising is not None and world.status.raising.percent == percent


GATE: dict[str, Any] = {"gates": [raw_gate()]}


def raises(world: World) -> list[tuple[float, int]]:
    return [((at - T0).total_seconds(), write.percent) for at, write in world.writes if write.raises]


def test_the_whole_way() -> None:
    world = World.at(Phase.SUCCEEDED, **GATE, guards=(raw_gate("uptime"),))
    assert [percent for _, percent in raises(world)] == [10, 50, 100]
    assert world.recorded() == [
        Transition.ATTEMPT_STARTED,
        Transition.STEP_DECIDED,
        Transition.STEP_EFFECTIVE,
        Transition.STEP_DECIDED,
        Transition.STEP_EFFECTIVE,
        Transition.STEP_DECIDED,
        Transition.STEP_EFFECTIVE,
        Transition.ENABLED,
        Transition.SUCCEEDED,
    ]
    assert [record.seq for record in world.records()] == list(range(1, 10))
    assert (world.status.state, world.percent, world.status.waiting_for) == (State.ENABLED, 100, None)


@pytest.mark.parametrize("dwell", ["1s", "7s", "60s", "90s", "1h"])
def test_a_step_begins_when_its_dwell_is_over_and_not_a_millisecond_before(dwell: str) -> None:
    world = World(dwell=dwell)
    seconds = {"1s": 1, "7s": 7, "60s": 60, "90s": 90, "1h": 3600}[dwell]
    for percent, following in ((10, 50), (50, 100)):
        world.climb_to(percent)
        effective = world.status.effective_at
        assert effective is not None
        world.run_until(partial(raising_to, following), 2 * seconds)
        decided = world.status.raising
        assert decided is not None
        assert decided.decided_at == effective + timedelta(seconds=seconds)


def test_dwell_counts_from_the_reading_back_not_from_the_decision() -> None:
    world = World()
    world.run_until(lambda it: it.status.raising is not None)
    for _ in range(20):  # the flag set can't be written for a while
        world.now += timedelta(seconds=1)
        world.reconcile(Fault.ACTION_REFUSED)
    assert world.status.effective_at is None
    world.climb_to(10)
    assert world.status.effective_at == world.now
    decided = world.status.step_entered_at
    assert decided is not None
    assert world.now - decided >= timedelta(seconds=20)


def test_each_step_has_its_own_dwell() -> None:
    steps = [{"percent": 20, "dwell": "30s"}, {"percent": 40, "dwell": "5m"}, {"percent": 100, "dwell": "10s"}]
    world = World.at(Phase.BAKING, strategy={"canary": {"steps": steps}})
    effective = [record.time for record in world.records() if record.transition is Transition.STEP_EFFECTIVE]
    decided = [record.time for record in world.records() if record.transition in (Transition.STEP_DECIDED, Transition.ENABLED)]
    lasted = [(end - begin).total_seconds() for begin, end in zip(effective, decided[1:], strict=True)]
    assert lasted == [30, 300, 10]


def test_nobody_is_exposed_before_the_way_back_is_proven() -> None:
    world = World()
    world.reconcile()
    assert world.percent == 0
    assert world.status.rehearsal is None
    assert "the way back is not proven yet" in (world.status.waiting_for or "")
    world.now += timedelta(milliseconds=5)
    world.reconcile()
    proof = world.status.rehearsal
    assert proof is not None
    assert (proof.at, proof.milliseconds) == (after(0.005), 5)
    assert raises(world) == []


@pytest.mark.parametrize("pause", [60.001, 3600, -5])
def test_a_proof_that_was_interrupted_has_no_figure(pause: float) -> None:
    """The process was away between the write and the reading, or another one's clock is behind."""
    world = World()
    world.reconcile()
    world.now += timedelta(seconds=pause)
    world.reconcile()
    proof = world.status.rehearsal
    assert proof is not None
    assert (proof.at, proof.milliseconds) == (after(pause), None)


@pytest.mark.parametrize("fault", [Fault.KILLED_AFTER_ACT, Fault.STATUS_REFUSED])
def test_nor_has_one_whose_attempt_was_not_in_status_yet(fault: Fault) -> None:
    world = World()
    world.reconcile(fault)
    world.now += timedelta(seconds=1)
    world.reconcile()
    assert (world.status.attempt, world.status.rehearsal and world.status.rehearsal.milliseconds) == (1, None)
    world.climb_to(10)
    assert world.status.rehearsal is not None


@pytest.mark.flag
def test_a_write_that_does_not_stick_proves_nothing() -> None:
    world = World()
    for _ in range(5):
        world.reconcile()
        world.put_flag(None)  # somebody removes it each time
        world.now += timedelta(seconds=5)
    assert world.status.rehearsal is None
    assert world.status.raising is None


def test_a_raise_waits_for_its_record_to_be_appended() -> None:
    world = World()
    world.reconcile()
    for _ in range(10):
        world.now += timedelta(seconds=1)
        world.reconcile(Fault.APPEND_REFUSED)
    assert world.status.raising is not None
    assert world.status.pending is not None
    assert world.percent == 0
    world.reconcile()
    assert world.status.pending is None
    world.climb_to(10)


@pytest.mark.flag
def test_a_raise_waits_for_the_finalizer() -> None:
    world = World()
    world.reconcile(Fault.ACTION_REFUSED)
    assert "finalizers" not in world.raw["metadata"]
    seen = world.snapshot()
    assert [type(action) for action in decide(seen, world.now).actions] == [AddFinalizer, WriteFlag]
    world.climb_to(10)
    world.run_until(lambda it: it.status.raising is not None)
    world.raw["metadata"]["finalizers"] = []
    decision = decide(world.snapshot(), world.now)
    assert AddFinalizer() in decision.actions
    assert not [action for action in decision.actions if isinstance(action, WriteFlag) and action.raises]


def test_all_that_is_missing_is_said_at_once() -> None:
    world = World.at(10, **GATE, guards=(raw_gate("uptime"),))
    world.readings |= {"errors": 0.12, "uptime": None}
    world.edit(paused=True)
    world.run(25)
    text = world.status.waiting_for or ""
    assert [
        part for part in ("spec.paused", "the dwell of 10 %", "gate errors holds (", "guard uptime has no data (") if part not in text
    ] == []


@pytest.mark.thorough
@pytest.mark.parametrize("held_by", [0.12, None, 0.1])
def test_within_the_band_it_holds_and_goes_on_measuring(held_by: float | None) -> None:
    world = World.at(10, **GATE)
    world.readings["errors"] = held_by
    world.run(3600)
    assert (world.percent, world.phase) == (10, Phase.PROGRESSING)
    world.readings["errors"] = 0.05
    world.run_until(lambda it: it.percent == 50, 15)


def test_a_raise_that_no_longer_holds_is_withdrawn_and_decided_again() -> None:
    world = World.at(10, **GATE)
    world.run_until(lambda it: it.status.raising is not None)
    world.readings["errors"] = 0.12
    world.now += timedelta(hours=5)  # nobody looked meanwhile
    world.reconcile()
    assert world.status.raising is None
    assert world.percent == 10
    assert world.recorded()[-1] is Transition.STEP_WITHDRAWN
    world.readings["errors"] = 0.05
    world.climb_to(50)
    assert world.recorded().count(Transition.STEP_DECIDED) == 3


def test_a_gate_is_asked_only_about_the_step_that_is_in_force() -> None:
    """With `rate(x[40s])` the first 40 s of a step tell of the one before it."""
    world = World(gates=[raw_gate(query="rate(errors[40s])")], dwell="10s")
    at = [world.climb_to(percent) for percent in (10, 50, 100)]
    assert [later - earlier >= 40 for earlier, later in itertools.pairwise(at)] == [True, True]


@pytest.mark.flag
@pytest.mark.parametrize(("bake", "seconds"), [("120s", 120), ("0s", 0)])
def test_without_gates_the_clock_alone_decides(bake: str, seconds: float) -> None:
    world = World.at(Phase.SUCCEEDED, bake=bake)
    assert world.elapsed() == pytest.approx(3 * 60 + seconds, abs=0.2)


def test_bake_and_succeeded() -> None:
    world = World.at(Phase.BAKING, **GATE, bake="120s")
    enabled = world.elapsed()
    assert world.status.state is State.ENABLED
    world.until(Phase.SUCCEEDED)
    assert world.elapsed() - enabled == pytest.approx(120, abs=0.2)
    world.run(60)
    assert world.is_converged()
    finished = [(one.status, one.reason) for one in world.status.conditions if one.type is ConditionType.FINISHED]
    assert finished == [("True", "Succeeded")]
    assert world.reconcile().requeue_after is None


def test_a_breach_while_baking_still_rolls_back_and_after_it_no_more() -> None:
    world = World.at(Phase.BAKING, **GATE, bake="120s")
    world.fall()
    later = World.at(Phase.SUCCEEDED, **GATE, bake="120s")
    later.readings["errors"] = 0.9
    later.run(600)
    assert (later.phase, later.percent) == (Phase.SUCCEEDED, 100)


def test_the_finalizer_stands_while_there_is_something_to_undo() -> None:
    world = World.at(10, **GATE)
    assert world.raw["metadata"]["finalizers"] == ["tidegate.io/rollout"]
    world.fall()
    world.run(1)
    assert world.raw["metadata"]["finalizers"] == []
    assert RemoveFinalizer() not in world.reconcile().actions


@pytest.mark.flag
def test_status_says_which_hashing_deals_the_users() -> None:
    world = World.at(10)
    assert world.status.flag == FlagStatus(hash_generation=HASH_GENERATION)
    before = world.raw["status"]
    world.raw["status"] = before | {"flag": {"hashGeneration": "v2"}}
    world.reconcile()
    assert world.status.flag == FlagStatus(hash_generation=HASH_GENERATION), "after an upgrade it is the new one"


@pytest.mark.flag
def test_a_succeeded_rollout_holds_its_object_only_while_deleting_it_would_undo_something() -> None:
    world = World.at(Phase.SUCCEEDED, **GATE)
    world.run(1)
    assert world.raw["metadata"]["finalizers"] == []
    assert world.is_converged()
    world.edit(deletionPolicy="Off")
    world.run(1)
    assert world.raw["metadata"]["finalizers"] == ["tidegate.io/rollout"], "deleting it switches the feature off"
    world.edit(deletionPolicy="Keep")
    world.run(1)
    assert world.raw["metadata"]["finalizers"] == []
    world.edit(revision="v2")
    world.run(1)
    assert world.raw["metadata"]["finalizers"] == ["tidegate.io/rollout"]


@pytest.mark.flag
def test_what_is_removed_of_a_succeeded_rollout_comes_back_and_is_recorded_once() -> None:
    world = World.at(Phase.SUCCEEDED, **GATE)
    world.run(1)
    world.put_flag(None)
    world.run(1)
    assert world.percent == 100
    drifted = [one for one in world.records() if one.transition is Transition.DRIFTED]
    assert len(drifted) == 1
    assert world.status.drift is not None
    assert world.status.drift.total == 1
    assert world.raw["metadata"]["finalizers"] == []


@pytest.mark.flag
def test_a_succeeded_rollout_keeps_its_object_until_its_records_are_in_the_run() -> None:
    world = World.at(Phase.SUCCEEDED, **GATE)
    world.run(1)
    world.edit(enabled=False)
    for _ in range(3):
        world.reconcile(Fault.APPEND_REFUSED)
        assert world.raw["metadata"]["finalizers"] == ["tidegate.io/rollout"]
    assert world.percent == 0
    world.run(1)
    assert world.raw["metadata"]["finalizers"] == []
    assert Transition.DISABLED in world.recorded()
