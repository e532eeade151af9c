"""One fault at every look of a life: the end is the same, no step is skipped or repeated, no record is lost, nothing rises unasked."""

from datetime import timedelta
from itertools import pairwise

import pytest

from tests.builders import raw_gate
from tests.decide.world import Fault, World
from tidegate.api.records import Transition
from tidegate.api.rollout_status import Phase, State
from tidegate.domain.snapshot import Snapshot

pytestmark = pytest.mark.levers

LOOKS = 17
"""A climb without gates takes so many looks."""


def step(world: World, fault: Fault | None = None, seen: Snapshot | None = None) -> Snapshot:
    """A look, then on to the next one; what this one saw."""
    snapshot = world.snapshot()
    world.reconcile(fault, seen=seen)
    world.now += timedelta(seconds=max(world.wait if world.wait is not None else 1.0, 0.005))
    return snapshot


def exposures(world: World) -> list[tuple[float, int]]:
    """(seconds, percent) of each write that changed what clients get."""
    out: list[tuple[float, int]] = []
    for at, write in world.writes:
        if not out or out[-1][1] != write.percent:
            out.append((at.timestamp(), write.percent))
    return out


def check_climb(world: World, *climbs: list[int]) -> None:
    assert (world.phase, world.percent, world.status.attempt) == (Phase.SUCCEEDED, 100, 1)
    climbed = exposures(world)
    assert [percent for _, percent in climbed] in (climbs or ([0, 10, 50, 100],))
    dwells = [later - earlier for (earlier, _), (later, _) in pairwise(climbed[-3:])]
    assert [60 <= dwell <= 100 for dwell in dwells] == [True, True]
    numbers = [record.seq for record in world.records()]
    assert numbers == list(range(1, len(numbers) + 1))
    told = world.recorded()
    for once in (Transition.ATTEMPT_STARTED, Transition.ENABLED, Transition.SUCCEEDED):
        assert told.count(once) == 1
    assert told.count(Transition.STEP_EFFECTIVE) == 3


def test_the_undisturbed_climb_takes_that_many_looks() -> None:
    world = World()
    for _ in range(LOOKS):
        step(world)
    assert world.phase is Phase.SUCCEEDED
    check_climb(world)


@pytest.mark.thorough
@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("times", [1, 3])
def test_a_fault_at_every_reconcile_of_a_climb(fault: Fault, times: int) -> None:
    for number in range(LOOKS):
        world = World()
        for _ in range(number):
            step(world)
        for _ in range(times):
            world.reconcile(fault)
            world.now += timedelta(seconds=0.2)
        world.run_until(lambda it: it.phase is Phase.SUCCEEDED)
        world.run(1)
        check_climb(world)
        assert world.is_converged()


@pytest.mark.thorough
@pytest.mark.parametrize("age", [1, 2, 3])
def test_a_reconcile_at_an_old_reading_at_every_reconcile_of_a_climb(age: int) -> None:
    for number in range(age, LOOKS):
        world = World()
        seen = [step(world) for _ in range(number)]
        step(world, seen=seen[-age])
        world.run_until(lambda it: it.phase is Phase.SUCCEEDED)
        world.run(1)
        check_climb(world, [0, 10, 50, 100], [0, 10, 0, 10, 50, 100])  # going down needs no fresh reading


@pytest.mark.thorough
@pytest.mark.parametrize("fault", list(Fault))
def test_a_fault_at_every_reconcile_around_a_rollback(fault: Fault) -> None:
    for number in range(6):
        world = World(gates=[raw_gate()], dwell="1h", revision="v7", flag={"allow": ["alice"]})
        world.climb_to(10)
        world.readings["errors"] = 0.9
        for _ in range(number):
            step(world)
        world.reconcile(fault)
        world.now += timedelta(seconds=0.2)
        world.run_until(lambda it: it.phase is Phase.ROLLED_BACK, 120)
        world.readings["errors"] = 0.0
        world.run(600)
        assert (world.percent, world.phase, world.status.state) == (0, Phase.ROLLED_BACK, State.ROLLBACK)
        assert world.status.rejected_revision == "v7"
        assert "targeting" not in (world.definition or {})
        assert world.recorded().count(Transition.ROLLED_BACK) == 1
        assert [percent for _, percent in exposures(world)] == [0, 10, 0]
        assert world.is_converged()


@pytest.mark.thorough
@pytest.mark.parametrize("fault", list(Fault))
def test_a_fault_at_every_reconcile_around_a_new_revision(fault: Fault) -> None:
    for number in range(5):
        world = World(revision="v1")
        world.climb_to(50)
        world.edit(revision="v2")
        for _ in range(number):
            step(world)
        world.reconcile(fault)
        world.now += timedelta(seconds=0.2)
        world.run_until(lambda it: it.phase is Phase.SUCCEEDED)
        assert (world.status.attempt, world.percent) == (2, 100)
        assert [percent for _, percent in exposures(world)] == [0, 10, 50, 0, 10, 50, 100]


@pytest.mark.thorough
@pytest.mark.parametrize("fault", list(Fault))
def test_a_fault_at_every_reconcile_around_switching_off_and_deleting(fault: Fault) -> None:
    for number in range(4):
        world = World()
        world.climb_to(50)
        world.edit(enabled=False)
        for _ in range(number):
            step(world)
        world.reconcile(fault)
        world.run(5)
        assert (world.percent, world.phase) == (0, Phase.DISABLED)
        world.edit(enabled=True)
        world.climb_to(10)
        world.delete()
        world.reconcile(fault)
        if world.exists:
            world.reconcile()
        assert (world.exists, world.percent) == (False, 0)


def test_a_status_that_can_never_be_written_exposes_nobody() -> None:
    world = World()
    for _ in range(50):
        world.reconcile(Fault.STATUS_REFUSED)
        world.now += timedelta(seconds=10)
    assert (world.percent, world.status.attempt) == (0, 0)
    assert len(world.writes) <= 2, "and the flag set is not written over and over"
    world.climb_to(10)
    assert world.status.attempt == 1
