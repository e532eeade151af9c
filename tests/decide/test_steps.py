"""Steps edited while a rollout moves: the percent stays, and the next step is the first above it."""

import pytest

from tests.builders import raw_gate, spec
from tests.decide.world import World
from tidegate.api.rollout_status import Phase, State
from tidegate.domain.steps import dwell_at, next_after, number_of

pytestmark = pytest.mark.levers

STEPS = spec(percents=(10, 50, 100)).strategy.ladder()


@pytest.mark.parametrize(
    ("percent", "number", "following"), [(0, 0, 10), (5, 0, 10), (10, 1, 50), (11, 1, 50), (50, 2, 100), (99, 2, 100), (100, 3, None)]
)
def test_where_a_percent_stands(percent: int, number: int, following: int | None) -> None:
    step = next_after(STEPS, percent)
    assert (number_of(STEPS, percent), None if step is None else step.percent) == (number, following)


def test_between_two_steps_the_dwell_of_the_lower_one_counts() -> None:
    written = [{"percent": 10, "dwell": "1m"}, {"percent": 50, "dwell": "2m"}, {"percent": 100, "dwell": "3m"}]
    steps = spec(strategy={"canary": {"steps": written}}).strategy.ladder()
    assert [dwell_at(steps, percent).total_seconds() for percent in (5, 10, 49, 50, 99, 100)] == [60, 60, 60, 120, 120, 180]


@pytest.mark.parametrize(
    ("edited", "following", "step"),
    [
        ((10, 20, 60, 100), 60, 2),  # its own percent is no step any more
        ((50, 60, 100), 60, 1),
        ((70, 100), 70, 0),
        ((60, 100), 60, 0),
        ((100,), 100, 0),
        ((10, 20, 30, 40, 45, 100), 100, 5),
        ((1, 50, 51, 100), 51, 2),
    ],
)
def test_the_current_percent_stays_and_the_next_step_is_the_first_above_it(edited: tuple[int, ...], following: int, step: int) -> None:
    world = World.at(50)
    world.set_steps(*edited)
    world.reconcile()
    assert (world.percent, world.status.percent, world.status.step, world.status.steps) == (50, 50, step, len(edited))
    world.run_until(lambda it: it.percent != 50)
    assert world.percent == following
    world.until(Phase.SUCCEEDED)


def test_an_edit_does_not_restart_the_dwell() -> None:
    world = World.at(10)
    began = world.elapsed()
    world.run(30)
    world.set_steps(10, 30, 100)
    world.run_until(lambda it: it.percent == 30)
    assert world.elapsed() - began == pytest.approx(60, abs=0.2)


def test_an_edit_while_a_raise_is_under_way_decides_it_again() -> None:
    """The raise to 50 was written down; by the time it acts the steps say 30."""
    world = World.at(10, gates=[raw_gate()])
    world.run_until(lambda it: it.status.raising is not None)
    world.set_steps(10, 30, 100)
    world.climb_to(30)
    assert 50 not in [write.percent for _, write in world.writes]


def test_an_edit_after_the_end_changes_nothing() -> None:
    world = World.at(Phase.SUCCEEDED)
    world.set_steps(5, 100)
    world.run(600)
    assert (world.percent, world.status.state, world.phase) == (100, State.ENABLED, Phase.SUCCEEDED)
