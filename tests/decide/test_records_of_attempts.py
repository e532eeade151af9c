"""Which RolloutRun a record ends in: that of its own attempt, also where two attempts meet in one decision or one append."""

from datetime import timedelta

import pytest

from tests.builders import raw_gate
from tests.decide.world import Fault, World
from tidegate.api.records import Transition
from tidegate.api.rollout_status import Phase

GATES = [raw_gate(rollback={"gt": 0.15, "confirm": 1})]


def told_by(world: World, run: str) -> list[Transition]:
    return [record.transition for record in world.runs[run].records]


@pytest.mark.parametrize("fault", [Fault.KILLED_AFTER_ACT, Fault.STATUS_REFUSED])
def test_a_rollback_that_status_missed_is_told_in_the_run_that_it_rolled_back(fault: Fault) -> None:
    """The flag is lowered, status is not written, and a person asks for another revision before the next look."""
    world = World(gates=GATES, revision="v1")
    world.climb_to(50)
    world.readings["errors"] = 0.9
    world.now += timedelta(seconds=10)
    world.look(fault)
    world.readings["errors"] = 0.0
    world.edit(revision="v2")
    world.look()
    assert {name: (run.attempt, run.revision, run.rejected) for name, run in world.runs.items()} == {
        "search-1": (1, "v1", True),
        "search-2": (2, "v2", False),
    }
    assert told_by(world, "search-1")[-1] is Transition.ROLLED_BACK
    assert told_by(world, "search-2") == [Transition.ATTEMPT_STARTED, Transition.SPEC_EDITED]


def test_records_that_wait_when_the_next_attempt_begins_go_where_they_belong() -> None:
    world = World(gates=GATES, revision="v1")
    world.look(Fault.APPEND_REFUSED)
    world.run_until(lambda it: it.status.pending is None)
    world.climb_to(10)
    world.edit(paused=True)
    world.look(Fault.APPEND_REFUSED)
    world.edit(paused=False, revision="v2")
    world.look(Fault.APPEND_REFUSED)
    world.edit(revision="v3")
    world.look()
    assert told_by(world, "search-1")[-2:] == [Transition.SPEC_EDITED, Transition.PAUSED]
    assert told_by(world, "search-2") == [Transition.ATTEMPT_STARTED, Transition.SPEC_EDITED]
    assert (world.runs["search-2"].attempt, world.runs["search-2"].revision) == (2, "v2")
    assert told_by(world, "search-3") == [Transition.ATTEMPT_STARTED, Transition.SPEC_EDITED]


def test_every_record_names_its_attempt_and_revision() -> None:
    world = World(gates=GATES, revision="v1")
    world.climb_to(10)
    world.readings["errors"] = 0.9
    world.run_until(lambda it: it.phase is Phase.ROLLED_BACK)
    world.readings["errors"] = 0.0
    world.edit(revision="v2")
    world.climb_to(10)
    for name, run in world.runs.items():
        assert {(f"search-{record.attempt}", record.revision) for record in run.records} == {(name, run.revision)}
