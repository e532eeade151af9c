"""A new revision, in every phase: a new attempt from 0 %, but for what is ENABLED, which keeps its percent."""

from collections.abc import Callable

import pytest

from tests.builders import raw_gate
from tests.decide.world import World
from tidegate.api.conditions import Reason
from tidegate.api.records import Transition
from tidegate.api.rollout_status import Phase, State
from tidegate.domain.problems import Problem

pytestmark = pytest.mark.levers

GATES = [raw_gate(rollback={"gt": 0.15, "confirm": 1})]


def pending(world: World) -> None:
    world.policy = Problem(Reason.POLICY_MISSING, "RolloutPolicy production does not exist")
    world.run(5)


def waiting(world: World) -> None:
    world.reconcile()


def progressing(world: World) -> None:
    world.climb_to(50)


def at_full_but_not_enabled(world: World) -> None:
    world.climb_to(100)


def paused(world: World) -> None:
    world.climb_to(50)
    world.edit(paused=True)
    world.run(5)
    world.edit(paused=False)


def baking(world: World) -> None:
    world.until(Phase.BAKING)


def succeeded(world: World) -> None:
    world.until(Phase.SUCCEEDED)
    world.run(1)


def rolled_back(world: World) -> None:
    world.climb_to(50)
    world.fall()
    world.readings["errors"] = 0.0


def raise_under_way(world: World) -> None:
    world.climb_to(10)
    world.run_until(lambda it: it.status.raising is not None)


FROM_ZERO = [waiting, progressing, at_full_but_not_enabled, paused, rolled_back, raise_under_way]
KEEPS = [baking, succeeded]


@pytest.mark.parametrize("reach", FROM_ZERO, ids=lambda it: it.__name__)
def test_begins_at_zero(reach: Callable[[World], None]) -> None:
    world = World(gates=GATES, revision="v1")
    reach(world)
    world.edit(revision="v2")
    world.reconcile()
    assert world.percent == 0
    assert (world.status.attempt, world.status.revision, world.status.state, world.phase) == (2, "v2", State.DISABLED, Phase.WAITING)
    assert (world.status.run, world.status.raising, world.status.gates, world.status.exposed_at) == ("search-2", None, (), None)
    world.until(Phase.SUCCEEDED)
    assert [record.transition for record in world.runs["search-2"].records][:2] == [Transition.ATTEMPT_STARTED, Transition.SPEC_EDITED]


@pytest.mark.parametrize("reach", KEEPS, ids=lambda it: it.__name__)
def test_of_an_enabled_flag_keeps_its_percent_and_runs_the_gates_again(reach: Callable[[World], None]) -> None:
    world = World(gates=GATES, revision="v1", dwell="60s", bake="120s")
    reach(world)
    world.edit(revision="v2")
    world.reconcile()
    began = world.elapsed()
    assert (world.percent, world.status.state, world.phase) == (100, State.ROLLING_OUT, Phase.PROGRESSING)
    assert (world.status.attempt, world.status.step) == (2, 3)
    world.readings["errors"] = 0.12
    world.run(300)
    assert (world.percent, world.phase) == (100, Phase.PROGRESSING), "the gates hold"
    world.readings["errors"] = 0.0
    world.until(Phase.BAKING)
    assert world.elapsed() - began >= 60
    world.until(Phase.SUCCEEDED)
    assert {write.percent for at, write in world.writes if (at.timestamp() - began) > 0 and write.mark.attempt == 2} == {100}


@pytest.mark.parametrize("reach", KEEPS, ids=lambda it: it.__name__)
def test_of_an_enabled_flag_may_still_be_rolled_back(reach: Callable[[World], None]) -> None:
    world = World(gates=GATES, revision="v1")
    reach(world)
    world.edit(revision="v2")
    world.run(15)
    world.readings["errors"] = 0.9
    world.run_until(lambda it: it.percent == 0, 30)
    assert world.status.rejected_revision == "v2"


def test_readings_from_before_the_new_attempt_do_not_roll_it_back() -> None:
    world = World(gates=GATES, revision="v1")
    baking(world)
    edited = world.elapsed()
    world.edit(revision="v2")
    world.readings["errors"] = lambda seconds: 0.9 if seconds <= edited else 0.0
    world.run(30)
    assert world.status.state is not State.ROLLBACK


def test_while_the_policy_is_missing() -> None:
    world = World(gates=GATES, revision="v1")
    pending(world)
    world.edit(revision="v2")
    world.run(60)
    assert (world.phase, world.percent, world.status.revision) == (Phase.PENDING, 0, "v2")


def test_taking_the_revision_away_is_a_change_too() -> None:
    world = World(gates=GATES, revision="v1")
    rolled_back(world)
    spec = {key: value for key, value in world.raw["spec"].items() if key != "revision"}
    world.raw["spec"] = spec
    world.edit()
    world.climb_to(10)
    assert (world.status.attempt, world.status.revision, world.status.rejected_revision) == (2, None, None)
