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


def effect(world: World) -> dict[str, object]:
    return {key: value for key, value in (world.definition or {}).items() if key != "metadata"}


def deleted(reach: Reach, policy: str | None) -> tuple[World, dict[str, object]]:
    """The world afterwards, and what the flag was before."""
    world = World(gates=GATES, flag={"allow": ["alice"]}, deletionPolicy=policy)
    reach(world)
    before = effect(world)
    world.delete()
    if world.exists:
        status = world.status
        assert world.reconcile().status == status, "nothing is decided about an object on its way out"
    assert not world.exists
    return world, before


@pytest.mark.parametrize("reach", [waiting, *ON_ITS_WAY, *ENABLED], ids=lambda it: it.__name__)
def test_off_switches_off_first(reach: Reach) -> None:
    assert effect(deleted(reach, "Off")[0]) == switched_off()


@pytest.mark.parametrize("reach", [waiting, *ON_ITS_WAY, *ENABLED], ids=lambda it: it.__name__)
def test_keep_leaves_the_flag_as_it_is(reach: Reach) -> None:
    world, before = deleted(reach, "Keep")
    assert effect(world) == before


@pytest.mark.parametrize("reach", [waiting, *ON_ITS_WAY], ids=lambda it: it.__name__)
def test_by_default_off_before_it_is_enabled(reach: Reach) -> None:
    assert effect(deleted(reach, None)[0]) == switched_off()


@pytest.mark.parametrize("reach", ENABLED, ids=lambda it: it.__name__)
def test_by_default_kept_once_enabled(reach: Reach) -> None:
    assert deleted(reach, None)[0].percent == 100


@pytest.mark.parametrize("reach", [rolled_back, disabled], ids=lambda it: it.__name__)
@pytest.mark.parametrize("policy", ["Keep", "Off", None])
def test_terminal_there_is_nothing_to_undo(reach: Reach, policy: str | None) -> None:
    assert effect(deleted(reach, policy)[0]) == switched_off()


@pytest.mark.parametrize("reach", [waiting, *ON_ITS_WAY, *ENABLED], ids=lambda it: it.__name__)
@pytest.mark.parametrize("policy", ["Keep", "Off"])
def test_in_a_namespace_that_is_going_away_only_the_finalizer_goes(reach: Reach, policy: str) -> None:
    world = World(gates=GATES, deletionPolicy=policy)
    reach(world)
    writes = len(world.writes)
    world.namespace_terminating = True
    world.delete()
    world.reconcile()
    assert (world.exists, len(world.writes)) == (False, writes)


def test_a_switching_off_that_is_refused_keeps_the_object() -> None:
    world = World(gates=GATES)
    world.climb_to(50)
    world.delete()
    for _ in range(3):
        world.reconcile(Fault.ACTION_REFUSED)
        assert world.exists
    world.reconcile()
    assert not world.exists
    assert effect(world) == switched_off()


def test_with_an_invalid_spec_the_last_valid_one_says_what_to_do() -> None:
    world = World(gates=GATES)
    world.climb_to(50)
    world.edit(gates=[raw_gate(query="rate(")])
    world.reconcile()
    world.delete()
    world.reconcile()
    assert (world.exists, effect(world)) == (False, switched_off())


def test_a_spec_that_was_never_valid_goes_at_once() -> None:
    world = World(gates=[raw_gate(query="rate(")])
    world.reconcile()
    world.delete()
    assert not world.exists


def test_a_missing_policy_does_not_keep_an_object() -> None:
    world = World(gates=GATES)
    world.climb_to(50)
    world.policy = Problem(Reason.POLICY_MISSING, "gone")
    world.delete()
    world.reconcile()
    assert (world.exists, effect(world)) == (False, switched_off())


@pytest.mark.parametrize("problem", [Reason.CLAIMED, Reason.NOT_ADOPTABLE])
def test_a_flag_that_is_not_ours_is_left_alone(problem: Reason) -> None:
    world = World(gates=GATES)
    world.climb_to(50)
    writes = len(world.writes)
    world.flag_problem = Problem(problem, "not ours")
    world.delete()
    world.reconcile()
    assert (world.exists, len(world.writes)) == (False, writes)


def test_a_flag_that_somebody_removed_is_not_made_again() -> None:
    world = World(gates=GATES)
    world.climb_to(50)
    world.put_flag(None)
    world.delete()
    world.reconcile()
    assert (world.exists, world.definition) == (False, None)


def test_other_finalizers_stay() -> None:
    world = World(gates=GATES)
    world.climb_to(50)
    world.raw["metadata"]["finalizers"].append("example.com/theirs")
    world.delete()
    world.reconcile()
    assert world.raw["metadata"]["finalizers"] == ["example.com/theirs"]
    assert world.reconcile().actions == ()
    assert FINALIZER not in world.raw["metadata"]["finalizers"]


def test_the_object_goes_when_its_records_are_in_their_run() -> None:
    world = World(gates=[raw_gate()])
    world.climb_to(10)
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
