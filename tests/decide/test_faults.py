"""One fault at every look of a life: the end is the same, no step is skipped or repeated, no record is lost, nothing rises unasked."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from itertools import groupby

import pytest

from tests.builders import raw_gate
from tests.decide.world import Fault, World
from tidegate.api.records import Transition
from tidegate.api.rollout_status import Phase

pytestmark = pytest.mark.levers

GATES = [raw_gate(rollback={"gt": 0.15, "confirm": 1})]
LOOKS = 30
"""A life takes so many looks at most, if nothing goes wrong."""
EXPOSURES = [0, 50, 0, 50, 0, 50, 100, 0]
ONCE = {
    Transition.ATTEMPT_STARTED: 3,
    Transition.STEP_EFFECTIVE: 4,
    Transition.ROLLED_BACK: 1,
    Transition.ENABLED: 1,
    Transition.SUCCEEDED: 1,
    Transition.DISABLED: 1,
}


def fails(world: World) -> None:
    world.readings["errors"] = 0.9


def tries_again(world: World) -> None:
    world.readings["errors"] = 0.0
    world.edit(revision="v3")


LIFE: list[tuple[Callable[[World], bool], Callable[[World], None]]] = [
    (lambda world: world.status.step_percent == 50, lambda world: world.edit(revision="v2")),
    (lambda world: world.status.attempt == 2 and world.status.step_percent == 50, fails),
    (lambda world: world.phase is Phase.ROLLED_BACK, tries_again),
    (lambda world: world.phase is Phase.SUCCEEDED, lambda world: world.edit(enabled=False)),
    (lambda world: world.phase is Phase.DISABLED and world.is_converged(), lambda world: world.edit(bake="1h")),
    (lambda world: world.status.observed_generation == world.raw["metadata"]["generation"], lambda world: world.delete()),
]
"""What people do, as soon as status says what they wait for."""


def lived(fault: Fault | None, first: int, times: int) -> World:
    """A whole life, with a fault in so many looks from the first on."""
    world, ahead = World(gates=GATES, percents=(50, 100), dwell="10s", bake="10s", revision="v1"), list(LIFE)
    for number in range(2 * LOOKS):
        world.reconcile(fault if first <= number < first + times else None)
        world.now += timedelta(seconds=max(world.wait if world.wait is not None else 1.0, 0.005))
        if ahead and ahead[0][0](world):
            ahead.pop(0)[1](world)
        if not world.exists:
            return world
    raise AssertionError(f"it never ends: {world.phase}, {world.status.waiting_for}")


@pytest.mark.thorough
@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("times", [1, 3])
def test_a_fault_at_every_reconcile_of_a_life(fault: Fault, times: int) -> None:
    for first in range(LOOKS):
        world = lived(fault, first, times)
        assert [percent for percent, _ in groupby(write.percent for _, write in world.writes)] == EXPOSURES
        assert [record.seq for record in world.records()] == list(range(1, len(world.records()) + 1))
        told = Counter(world.recorded())
        assert {kind: told[kind] for kind in ONCE} == ONCE


def test_a_status_that_can_never_be_written_exposes_nobody() -> None:
    world = World()
    for _ in range(50):
        world.reconcile(Fault.STATUS_REFUSED)
        world.now += timedelta(seconds=10)
    assert (world.percent, world.status.attempt) == (0, 0)
    assert len(world.writes) <= 2, "and the flag set is not written over and over"
    world.climb_to(10)
    assert world.status.attempt == 1
