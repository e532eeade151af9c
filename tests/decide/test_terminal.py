"""A rollout that wants no further look has said all there is to say: whatever makes it look again finds nothing to write."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.builders import raw_gate
from tests.decide.world import World
from tidegate.api.rollout_status import Phase

pytestmark = pytest.mark.levers


def left_alone(_: World) -> None:
    """Climbs, bakes and succeeds."""


def in_breach(world: World) -> None:
    world.climb_to(50)
    world.readings["errors"] = 0.9


def disabled(world: World) -> None:
    world.climb_to(50)
    world.edit(enabled=False)


def disabled_before_anybody_saw_it(world: World) -> None:
    world.readings["guard"] = 0.9
    world.run(15)
    world.edit(enabled=False)


ENDS = {
    left_alone: Phase.SUCCEEDED,
    in_breach: Phase.ROLLED_BACK,
    disabled: Phase.DISABLED,
    disabled_before_anybody_saw_it: Phase.DISABLED,
}


@pytest.mark.parametrize("happens", ENDS, ids=lambda it: it.__name__)
@pytest.mark.parametrize("guards", [(), (raw_gate("guard"),)], ids=["no guard", "a guard"])
def test_nothing_is_left_to_write(happens: Callable[[World], None], guards: tuple[dict[str, object], ...]) -> None:
    world = World(gates=[raw_gate(rollback={"gt": 0.15, "confirm": 1})], guards=guards)
    happens(world)
    while (wait := world.reconcile().requeue_after) is not None:
        world.now += timedelta(seconds=max(wait, 0.005))
    assert world.phase is ENDS[happens]
    assert world.is_converged()
