"""Deleting a FeatureRollout does what deletionPolicy says before the object is gone."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.builders import raw_gate
from tests.decide.test_revisions import (
    at_full_but_not_enabled,
    baking,
    paused,
    progressing,
    raise_under_way,
    rolled_back,
    succeeded,
    waiting,
)
from tests.decide.world import Fault, World
from tidegate.api.conditions import Reason
from tidegate.api.records import Transition
from tidegate.domain.decision import FINALIZER
from tidegate.domain.problems import Problem
from tidegate.levers.flag.definition import switched_off

GATES = [raw_gate(rollback={"gt": 0.15, "confirm": 1})]
Reach = Callable[[World], None]
ON_ITS_WAY = [progressing, at_full_but_not_enabled, paused, raise_under_way]
ENABLED = [baking, succeeded]


def disabled(world: World) -> None:
    world.climb_to(50)
    world.edit(enabled=False)
    world.run(1)


@pytest.mark.parametrize("reach", [waiting, *ON_ITS_WAY, *ENABLED, rolled_back, disabled], ids=lambda it: it.__name__)
@pytest.mark.parametrize("policy", ["Keep", "Off", None])
def test_it_is_off_by_policy_and_kept_by_policy_or_once_enabled(reach: Reach, policy: str | None) -> None:
    """What was rolled back or disabled is off already."""
    world = World(gates=GATES, flag={"allow": ["alice"]}, deletionPolicy=policy)
    reach(world)
    before = world.effect
    world.delete()
    if world.exists:
        status = world.status
        assert world.reconcile().status == status, "nothing is decided about an object on its way out"
    is_kept = policy == "Keep" or (policy is None and reach in ENABLED)
    assert (world.exists, world.effect) == (False, before if is_kept else switched_off())


@pytest.mark.parametrize("reach", [waiting, *ON_ITS_WAY, *ENABLED], ids=lambda it: it.__name__)
@pytest.mark.parametrize("policy", ["Keep", "Off"])
def test_in_a_namespace_that_is_going_away_only_the_finalizer_goes(reach: Reach, policy: str) -> None:
    world = World(gates=GATES, deletionPolicy=policy)
    reach(world)
    writes = len(world.writes)
    world.namespace_terminating = True
    world.delete()
    if world.exists:
        world.reconcile()
    assert (world.exists, len(world.writes)) == (False, writes)


def test_a_switching_off_that_is_refused_keeps_the_object() -> None:
    world = World.at(50, gates=GATES)
    world.delete()
    for _ in range(3):
        world.reconcile(Fault.ACTION_REFUSED)
        assert world.exists
    world.reconcile()
    assert not world.exists
    assert world.effect == switched_off()


@pytest.mark.parametrize("trouble", ["spec", "policy"])
def test_neither_an_invalid_spec_nor_a_missing_policy_keeps_an_object(trouble: str) -> None:
    """The last valid spec says what to do."""
    world = World.at(50, gates=GATES)
    if trouble == "spec":
        world.edit(gates=[raw_gate(query="rate(")])
        world.reconcile()
    else:
        world.policy = Problem(Reason.POLICY_MISSING, "gone")
    world.delete()
    world.reconcile()
    assert (world.exists, world.effect) == (False, switched_off())


def test_a_spec_that_was_never_valid_goes_at_once() -> None:
    world = World(gates=[raw_gate(query="rate(")])
    world.reconcile()
    world.delete()
    assert not world.exists


@pytest.mark.parametrize("problem", [Reason.CLAIMED, Reason.NOT_ADOPTABLE])
def test_a_flag_that_is_not_ours_is_left_alone(problem: Reason) -> None:
    world = World.at(50, gates=GATES)
    writes = len(world.writes)
    world.flag_problem = Problem(problem, "not ours")
    world.delete()
    world.reconcile()
    assert (world.exists, len(world.writes)) == (False, writes)


def test_a_flag_that_somebody_removed_is_not_made_again() -> None:
    world = World.at(50, gates=GATES)
    world.put_flag(None)
    world.delete()
    world.reconcile()
    assert (world.exists, world.definition) == (False, None)


def test_other_finalizers_stay() -> None:
    world = World.at(50, gates=GATES)
    world.raw["metadata"]["finalizers"].append("example.com/theirs")
    world.delete()
    world.reconcile()
    assert world.raw["metadata"]["finalizers"] == ["example.com/theirs"]
    assert world.reconcile().actions == ()
    assert FINALIZER not in world.raw["metadata"]["finalizers"]


def test_the_object_goes_when_its_records_are_in_their_run() -> None:
    world = World.at(10, gates=[raw_gate()])
    world.edit(paused=True)
    world.reconcile(Fault.APPEND_REFUSED)
    world.delete()
    for _ in range(5):
        world.now += timedelta(seconds=10)
        world.reconcile(Fault.APPEND_REFUSED)
        assert (world.exists, world.percent) == (True, 0), "switched off at once"
    world.run(5)
    assert not world.exists
    assert Transition.PAUSED in world.recorded()
