"""What others put back of a rollout whose lever was lost: what status says was in force, and nothing more."""

import pytest

from tests.builders import raw_gate
from tests.decide.world import World
from tidegate.api.rollout_status import Phase
from tidegate.decide.rollout.restoring import restored
from tidegate.domain.exposure import Write

pytestmark = pytest.mark.levers

GATES = [raw_gate(rollback={"gt": 0.15, "confirm": 1})]


def put_back(world: World) -> tuple[Write, ...]:
    snapshot = world.snapshot()
    assert snapshot.lever is not None
    return restored(snapshot.rollout, snapshot.lever, world.now)


def percents(world: World) -> list[int]:
    return [write.percent for write in put_back(world)]


@pytest.mark.parametrize("where", [10, 50, Phase.BAKING, Phase.SUCCEEDED, Phase.ROLLED_BACK])
def test_it_is_what_its_own_reconcile_writes(where: int | Phase) -> None:
    world = World(gates=GATES, dwell="1h" if where == 10 else "60s", revision="v1")
    if where is Phase.ROLLED_BACK:
        world.climb_to(10)
        world.fall()
    else:
        world.get_to(where)
    world.run(5)
    (back,) = put_back(world)
    world.turn(None)
    own = [action for action in world.reconcile().actions if isinstance(action, Write)]
    assert [(one.percent, one.mark.claim) for one in own] == [(back.percent, back.mark.claim)]


def test_a_raise_that_is_not_made_yet_is_not_made_by_it() -> None:
    world = World.at(10, gates=GATES)
    world.run_until(lambda one: one.status.raising is not None and one.status.pending is None)
    assert percents(world) == [10]


def test_what_a_hand_turned_down_stays_down() -> None:
    world = World.at(50, gates=GATES, percents=(50, 100), dwell="1h")
    world.turn(20)
    world.run(5)
    assert percents(world) == [20]


def test_what_is_switched_off_stays_off() -> None:
    world = World.at(50, gates=GATES)
    world.edit(enabled=False)
    assert percents(world) == [0]


def test_of_what_it_does_not_own_or_is_about_to_leave_nothing_is_put_back() -> None:
    world = World(gates=GATES)
    assert percents(world) == [], "it was never there"
    world.climb_to(10)
    world.delete()
    assert percents(world) == []


def test_nobody_is_exposed_who_could_not_be_switched_off_again() -> None:
    world = World.at(10, gates=GATES, dwell="1h")
    world.raw["metadata"]["finalizers"] = []
    assert percents(world) == []
