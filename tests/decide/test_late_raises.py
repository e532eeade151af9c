"""A raise that was decided may be on its way while it is taken back. Whatever takes it back leaves a flag that it no longer fits."""

from collections.abc import Callable

import pytest

from tests.builders import raw_gate
from tests.decide.world import World
from tidegate.api.conditions import Reason
from tidegate.domain.problems import Problem
from tidegate.domain.snapshot import Snapshot

pytestmark = pytest.mark.levers

GATES = [raw_gate()]


def on_its_way(world: World, from_percent: int) -> Snapshot:
    """What the leader saw that is about to send the raise."""
    world.run_until(lambda it: it.percent == from_percent and it.status.raising is not None and it.status.pending is None)
    return world.snapshot()


def switched_off(world: World) -> None:
    world.edit(enabled=False)


def another_revision(world: World) -> None:
    world.edit(revision="v2")


def paused(world: World) -> None:
    world.edit(paused=True)


def other_steps(world: World) -> None:
    world.set_steps(5, 40, 100)


def broken(world: World) -> None:
    world.edit(gates=[raw_gate(query="rate(")])


def policy_gone(world: World) -> None:
    world.policy = Problem(Reason.POLICY_MISSING, "RolloutPolicy production does not exist")


def breach(world: World) -> None:
    world.readings["guard"] = 1.0


TAKE_BACK = [switched_off, another_revision, paused, other_steps, broken, policy_gone, breach]


@pytest.mark.parametrize("from_percent", [0, 10])
@pytest.mark.parametrize("take_back", TAKE_BACK, ids=lambda it: it.__name__)
def test_a_raise_that_arrives_after_it_was_taken_back(from_percent: int, take_back: Callable[[World], None]) -> None:
    world = World(guards=(raw_gate("guard", rollback={"gt": 0.15, "confirm": 1}),), gates=GATES)
    seen = on_its_way(world, from_percent)
    take_back(world)
    world.reconcile()
    assert world.status.raising != seen.rollout.status.raising
    after = world.percent
    assert after is not None
    assert after <= from_percent
    world.reconcile(seen=seen)
    assert world.percent == after


@pytest.mark.parametrize("from_percent", [0, 10])
@pytest.mark.parametrize("policy", ["Keep", "Off"])
def test_a_raise_that_arrives_after_the_object_was_deleted(from_percent: int, policy: str) -> None:
    world = World(gates=GATES, deletionPolicy=policy)
    seen = on_its_way(world, from_percent)
    world.delete()
    world.reconcile()
    assert not world.exists
    after = world.percent
    assert after == (from_percent if policy == "Keep" else 0)
    world.reconcile(seen=seen)
    assert world.percent == after


def test_a_flag_from_which_nothing_was_taken_back_is_not_written_again() -> None:
    world = World.at(10, gates=GATES)
    writes = len(world.writes)
    world.edit(paused=True)
    world.run(120)
    assert len(world.writes) == writes
