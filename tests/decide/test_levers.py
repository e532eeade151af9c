"""What the core promises of every lever: the flag, and a dial that it has never heard of."""

from datetime import timedelta

import pytest

from tests.builders import raw_gate, stalled_for
from tests.decide.world import Fault, World
from tidegate.api.conditions import Reason
from tidegate.api.records import Transition
from tidegate.api.rollout_status import Phase

pytestmark = pytest.mark.levers
GATES = [raw_gate(rollback={"gt": 0.15, "confirm": 1})]


def standing(percent: int = 50) -> World:
    world = World.at(percent, gates=GATES, percents=(percent, 100), dwell="1h", revision="v1")
    world.run(5)
    return world


@pytest.mark.parametrize("percent", [0, 20])
def test_what_is_turned_down_stays_and_status_says_what_clients_have(percent: int) -> None:
    world = standing()
    world.turn(percent)
    world.run(7200)
    assert (world.percent, world.status.percent, world.status.step_percent) == (percent, percent, 50)
    assert stalled_for(world.status) is Reason.LOWERED_ELSEWHERE
    assert f"turned down to {percent} %" in (world.status.waiting_for or "")
    assert world.recorded().count(Transition.LOWERED_ELSEWHERE) == 1
    assert world.is_converged()
    world.turn(50)
    world.climb_to(100)
    assert stalled_for(world.status) is None


def test_what_is_turned_up_is_corrected_at_once_and_recorded() -> None:
    world = standing()
    world.turn(80)
    world.reconcile()
    assert world.percent == 50
    assert world.recorded()[-1] is Transition.DRIFTED
    assert "percent 50 → 80" in world.records()[-1].message


def test_what_is_removed_is_restored_as_it_was_seen_last() -> None:
    world = standing()
    for percent in (30, 20):
        world.turn(percent)
        world.run(5)
    world.turn(None)
    world.run(5)
    assert (world.percent, world.status.override) == (20, 20)


def test_a_mark_of_an_external_writer_displaces_nobody() -> None:
    world = standing()
    world.forge(uid="u9", rollout="shop/another")
    world.reconcile()
    assert world.reading.mark is not None
    assert (world.reading.mark.uid, world.percent) == ("u1", 50)
    world.fall()


def test_a_mark_may_lower_and_gives_neither_text_nor_number() -> None:
    world = standing()
    world.forge(rejected="v1", percent=0)
    world.run(5)
    assert (world.phase, world.percent, world.status.attempt) == (Phase.ROLLED_BACK, 0, 1)
    record = next(one for one in world.records() if one.transition is Transition.ROLLED_BACK)
    assert "carries the mark of a rollback" in record.message


def test_a_mark_never_raises() -> None:
    world = standing()
    for attempt in (1, 2, 10**9):
        world.forge(percent=100, attempt=attempt)
        world.turn(100)
        world.reconcile()
        assert (world.percent, world.status.step_percent, world.status.attempt) == (50, 50, 1)
        world.now += timedelta(minutes=11)


def test_a_rejection_is_about_a_revision_for_ever() -> None:
    """v1 falls, v2 begins, and then v1 again: a Git revert."""
    world = standing()
    world.fall()
    world.readings["errors"] = 0.0
    world.edit(revision="v2")
    world.climb_to(50)
    world.edit(revision="v1")
    world.run(3600)
    assert (world.phase, world.percent, world.status.rejected_revision) == (Phase.ROLLED_BACK, 0, "v1")
    assert "stays rejected" in world.records()[-1].message or "stays rejected" in world.records()[-2].message
    assert [record.to_percent for record in world.records() if record.revision == "v1" and record.attempt == 3] == [0] * 2
    world.edit(retry=1)
    world.climb_to(50)
    assert world.recorded().count(Transition.RETRIED) == 1
    world.fall()
    world.readings["errors"] = 0.0
    world.run(3600)
    assert (world.phase, world.percent) == (Phase.ROLLED_BACK, 0), "the retry held once"


def test_a_rejection_outlives_the_object_and_its_name_and_the_mark() -> None:
    world = standing()
    world.fall()
    world.run(5)
    world.readings["errors"] = 0.0
    world.delete()
    world.run(5)
    world.forge(rejected=None, percent=0)
    world.create(gates=GATES, revision="v1", retry=3)
    world.raw["metadata"]["name"] = "renamed"
    world.run(3600)
    assert (world.phase, world.percent) == (Phase.ROLLED_BACK, 0)


def test_a_retry_is_not_forgotten_while_its_record_waits() -> None:
    world = standing()
    world.fall()
    world.readings["errors"] = 0.0
    for changes in ({"retry": 1}, {"revision": "v2"}, {"revision": "v1"}):
        world.edit(**changes)
        world.now += timedelta(seconds=10)
        world.reconcile(Fault.APPEND_REFUSED)
    world.climb_to(50)
