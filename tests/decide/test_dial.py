"""What a flag can't show: a lever that settles late, and one that is stuck."""

from datetime import timedelta

import pytest

from tests.builders import raw_gate
from tests.decide.world import World
from tidegate.api.records import Transition
from tidegate.api.rollout_status import Phase

GATES = [raw_gate(rollback={"gt": 0.15, "confirm": 1})]


@pytest.fixture(autouse=True)
def dial(lever_kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(World, "lever_kind", "dial")


@pytest.mark.parametrize("lag", [1, 3, 20])
def test_the_dwell_begins_when_a_raise_has_settled(lag: int) -> None:
    world = World(gates=GATES, percents=(50, 100), dwell="60s")
    assert world.dial is not None
    world.dial.lag = lag
    world.run_until(lambda it: it.percent == 50)
    written = world.now
    while world.status.effective_at is None:
        assert world.status.raising is not None, "it stays under way meanwhile"
        assert world.recorded()[-1] is Transition.STEP_DECIDED
        world.now += timedelta(seconds=1)
        world.reconcile()
    assert world.now - written >= timedelta(seconds=lag - 1)
    assert world.status.effective_at == world.now
    settled = world.now
    world.run_until(lambda it: it.percent == 100)
    assert world.now - settled >= timedelta(seconds=60)


def test_a_rollback_waits_for_nothing_to_settle() -> None:
    world = World.at(50, gates=GATES, percents=(50, 100), dwell="60s", guards=(raw_gate("guard", rollback={"gt": 0.15, "confirm": 1}),))
    assert world.dial is not None
    world.dial.lag = 10**6
    world.run_until(lambda it: it.percent == 100)
    world.run(60)
    assert world.status.step_percent == 50, "the raise has not settled"
    world.fall()
    assert world.percent == 0


def test_a_lever_that_is_stuck_is_tried_until_it_moves() -> None:
    world = World.at(50, gates=GATES, percents=(50, 100), dwell="60s")
    assert world.dial is not None
    world.dial.refuses = True
    world.readings["errors"] = 0.9
    for _ in range(5):
        world.now += timedelta(seconds=10)
        world.reconcile()
    assert (world.percent, world.status.phase) == (50, Phase.ROLLING_BACK), "the rollback stands in status"
    world.readings["errors"] = 0.0
    world.dial.refuses = False
    world.run(30)
    assert (world.percent, world.phase) == (0, Phase.ROLLED_BACK)
