"""Which RolloutRun a record ends in: that of its own attempt, also where two attempts meet in one decision or one append."""

from datetime import timedelta

import pytest

from tests.builders import raw_gate, stalled_for
from tests.decide.world import Fault, World
from tidegate.api.conditions import Reason
from tidegate.api.records import Transition
from tidegate.api.rollout_status import Phase, State

pytestmark = pytest.mark.levers

GATES = [raw_gate(rollback={"gt": 0.15, "confirm": 1})]


def told_by(world: World, run: str) -> list[Transition]:
    return [record.transition for record in world.runs[run].records]


@pytest.mark.parametrize("fault", [Fault.KILLED_AFTER_ACT, Fault.STATUS_REFUSED])
def test_a_rollback_that_status_missed_is_recorded_in_the_run_that_it_rolled_back(fault: Fault) -> None:
    """The flag is lowered, status is not written, and a person asks for another revision before the next look."""
    world = World.at(50, gates=GATES, revision="v1")
    world.readings["errors"] = 0.9
    world.now += timedelta(seconds=10)
    world.reconcile(fault)
    world.readings["errors"] = 0.0
    world.edit(revision="v2")
    world.reconcile()
    assert (world.percent, world.status.attempt, world.status.revision) == (0, 2, "v2")
    assert {name: (run.attempt, run.revision, run.rejected) for name, run in world.runs.items()} == {
        "search-1": (1, "v1", True),
        "search-2": (2, "v2", False),
    }
    assert told_by(world, "search-1")[-1] is Transition.ROLLED_BACK
    assert told_by(world, "search-2") == [Transition.ATTEMPT_STARTED, Transition.SPEC_EDITED]


def test_records_that_wait_when_the_next_attempt_begins_go_where_they_belong() -> None:
    world = World(gates=GATES, revision="v1")
    world.reconcile(Fault.APPEND_REFUSED)
    world.run_until(lambda it: it.status.pending is None)
    world.climb_to(10)
    world.edit(paused=True)
    world.reconcile(Fault.APPEND_REFUSED)
    world.edit(paused=False, revision="v2")
    world.reconcile(Fault.APPEND_REFUSED)
    world.edit(revision="v3")
    world.reconcile()
    assert told_by(world, "search-1")[-2:] == [Transition.SPEC_EDITED, Transition.PAUSED]
    assert told_by(world, "search-2") == [Transition.ATTEMPT_STARTED, Transition.SPEC_EDITED]
    assert (world.runs["search-2"].attempt, world.runs["search-2"].revision) == (2, "v2")
    assert told_by(world, "search-3") == [Transition.ATTEMPT_STARTED, Transition.SPEC_EDITED]


def test_every_record_names_its_attempt_and_revision() -> None:
    world = World.at(10, gates=GATES, revision="v1")
    world.fall()
    world.readings["errors"] = 0.0
    world.edit(revision="v2")
    world.climb_to(10)
    for name, run in world.runs.items():
        assert {(f"search-{record.attempt}", record.revision) for record in run.records} == {(name, run.revision)}


def test_no_record_is_lost_while_none_can_be_appended() -> None:
    """The RolloutRun is refused for hours, the feature falls, and something keeps switching it on."""
    world = World.at(50, gates=GATES, revision="v1")
    world.readings["errors"] = 0.9
    while world.status.state is not State.ROLLBACK:
        world.now += timedelta(seconds=10)
        world.reconcile(Fault.APPEND_REFUSED)
    world.readings["errors"] = 0.0
    for _ in range(200):
        world.now += timedelta(seconds=70)
        world.turn(100)
        world.reconcile(Fault.APPEND_REFUSED)
        assert world.percent == 0
    assert world.status.pending is not None
    assert len(world.status.pending.records) < 5
    world.run(700)
    assert world.status.pending is None
    assert world.recorded().count(Transition.ROLLED_BACK) == 1
    drifted = [record for record in world.records() if record.transition is Transition.DRIFTED]
    assert sum(record.count or 1 for record in drifted) >= 190, "counted in one record, within one a minute"
    assert [record.seq for record in world.records()] == list(range(1, world.status.seq + 1))


def test_nothing_begins_on_top_of_records_that_can_not_be_appended() -> None:
    world = World.at(10, gates=GATES, revision="v0")
    for number in range(1, 200):
        world.edit(revision=f"v{number}")
        world.now += timedelta(seconds=10)
        world.reconcile(Fault.APPEND_REFUSED)
    assert world.status.pending is not None
    assert len(world.status.pending.records) <= 64
    waiting = {record.seq for record in world.status.pending.records}
    world.run(60)
    assert waiting <= {record.seq for record in world.records()}
    assert [record.seq for record in world.records()] == list(range(1, world.status.seq + 1))
    assert (world.status.revision, world.status.phase) == ("v199", Phase.PROGRESSING)


def refused_for(world: World, seconds: int) -> None:
    """At each evaluation the records are refused."""
    world.unrecordable = "exceeded quota: records"
    for _ in range(seconds // 10):
        world.reconcile()
        world.now += timedelta(seconds=10)


def test_a_raise_whose_record_is_refused_is_withdrawn_and_decided_anew_once_it_can_be_recorded() -> None:
    world = World.at(10, gates=GATES, dwell="30s")
    world.run(15)
    refused_for(world, 300)
    assert (world.percent, world.status.raising) == (10, None)
    assert stalled_for(world.status) is Reason.NOT_RECORDED
    assert "exceeded quota: records" in (world.status.waiting_for or "")
    assert world.is_converged(), "it is told once"
    world.unrecordable = None
    world.climb_to(50)
    assert stalled_for(world.status) is None
    assert "Unrecorded" not in {one.type.value for one in world.status.conditions}
    told = world.recorded()
    decided = [number for number, one in enumerate(told) if one is Transition.STEP_DECIDED]
    assert told[decided[1] :] == [
        Transition.STEP_DECIDED,
        Transition.STEP_WITHDRAWN,
        Transition.STEP_DECIDED,
        Transition.STEP_EFFECTIVE,
    ], "on the numbers of then"


def test_no_bake_ends_while_records_are_refused() -> None:
    world = World.at(Phase.BAKING, gates=GATES, bake="60s")
    world.edit(bake="61s")
    refused_for(world, 300)
    assert (world.phase, stalled_for(world.status)) == (Phase.BAKING, Reason.NOT_RECORDED)
    world.unrecordable = None
    world.until(Phase.SUCCEEDED)
    assert stalled_for(world.status) is None


@pytest.mark.flag
def test_what_was_appended_before_a_crash_is_not_counted_on() -> None:
    """The record is in the run and still in status: the next of its kind is another record."""
    world = World.at(50, gates=GATES, percents=(50, 100), dwell="1h")
    world.turn(60)
    world.reconcile(Fault.KILLED_AFTER_APPEND)
    world.now += timedelta(seconds=65)
    world.turn(70)
    world.run(70)
    drifted = [record for record in world.records() if record.transition is Transition.DRIFTED]
    assert world.status.drift is not None
    assert sum(record.count or 1 for record in drifted) == world.status.drift.total == 2


@pytest.mark.flag
def test_an_edit_that_came_with_a_refused_write_is_recorded_once_it_is_made() -> None:
    world = World.at(50, gates=GATES, percents=(50, 100), dwell="1h")
    edits = world.recorded().count(Transition.SPEC_EDITED)
    world.edit(bake="333s", target={"flag": {"key": "new-search", "configMap": "shop-flags", "allow": ["eve"]}})
    world.refusal = "the ConfigMap is immutable"
    world.reconcile()
    assert stalled_for(world.status) is Reason.NOT_WRITABLE
    world.refusal = None
    world.run(5)
    assert world.recorded().count(Transition.SPEC_EDITED) == edits + 1
    assert world.status.valid_spec is not None
    assert world.status.valid_spec["bake"] == "333s"
