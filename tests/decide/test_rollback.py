"""Going back: in the same reconcile, allow list included, and for good."""

from datetime import timedelta
from typing import Any

import pytest

from tests.builders import raw_gate, stalled_for
from tests.decide.world import Fault, World
from tidegate.api.conditions import ConditionType, Reason
from tidegate.api.records import Transition
from tidegate.api.rollout_status import Phase, State
from tidegate.levers.flag.definition import switched_off
from tidegate.levers.flag.flag_set import WriteFlag

IMMEDIATE = raw_gate(rollback={"gt": 0.15, "confirm": 1})


def climbing(percent: int = 50, **spec: Any) -> World:
    return World.at(percent, **({"gates": [IMMEDIATE]} | spec))


def fallen(**spec: Any) -> World:
    world = climbing(**spec)
    world.fall()
    world.run(1)
    return world


@pytest.mark.parametrize("percent", [10, 50, 100])
def test_any_rollback_leads_to_zero_in_the_same_look(percent: int) -> None:
    world = climbing(percent, flag={"allow": ["alice"], "deny": ["bob"]})
    world.readings["errors"] = 0.9
    world.now += timedelta(seconds=10)
    decision = world.reconcile()
    assert [action.percent for action in decision.actions if isinstance(action, WriteFlag)] == [0]
    assert world.effect == switched_off()
    assert (world.status.state, world.phase) == (State.ROLLBACK, Phase.ROLLING_BACK)


def test_what_is_left_of_it() -> None:
    world = fallen(revision="v7")
    status = world.status
    assert (status.state, status.phase, status.percent, status.rejected_revision) == (State.ROLLBACK, Phase.ROLLED_BACK, 0, "v7")
    assert (status.step, status.raising, status.effective_at, status.next_evaluation_at) == (0, None, None, None)
    assert stalled_for(status) is Reason.ROLLED_BACK
    ready = next(one for one in status.conditions if one.type is ConditionType.READY)
    assert (ready.status, "v7" in ready.message, "spec.revision" in ready.message) == ("False", True, True)
    assert world.definition is not None
    assert {"state": "ROLLBACK", "rejected": "v7", "attempt": 1}.items() <= world.definition["metadata"].items()
    record = next(one for one in world.records() if one.transition is Transition.ROLLED_BACK)
    assert (record.from_percent, record.to_percent) == (50, 0)
    assert [(one.name, one.value, one.verdict) for one in record.readings] == [("errors", "0.9", "ROLLBACK")]
    assert "gate errors: 0.9 (advance < 0.1, rollback > 0.15 on 1 samples)" in record.message


def test_it_is_absorbing() -> None:
    world = fallen()
    writes = len(world.writes)
    changes: tuple[tuple[str, Any], ...] = (
        ("paused", True),
        ("paused", False),
        ("gates", []),
        ("bake", "1h"),
        ("noData", {"deadline": "1m"}),
        ("initialPercent", 100),
    )
    for field, value in changes:
        world.edit(**{field: value})
        world.readings["errors"] = 0.0
        world.run(600)
        assert (world.phase, world.status.state, world.percent) == (Phase.ROLLED_BACK, State.ROLLBACK, 0)
    assert len(world.writes) == writes
    assert world.reconcile().requeue_after is None


@pytest.mark.parametrize("revision", ["v7", None])
def test_only_another_revision_begins_again(revision: str | None) -> None:
    world = fallen(revision=revision)
    assert world.status.rejected_revision == (revision or "")
    world.readings["errors"] = 0.0
    world.edit(revision="v8")
    world.climb_to(10)
    assert (world.status.attempt, world.status.revision) == (2, "v8")
    assert world.status.rejected_revision is None
    assert world.status.run == "search-2"
    world.until(Phase.SUCCEEDED)


def test_off_and_on_again_does_not_lift_a_rejection() -> None:
    world = fallen(revision="v7")
    world.readings["errors"] = 0.0
    world.edit(enabled=False)
    world.run(5)
    assert (world.phase, world.status.rejected_revision) == (Phase.DISABLED, "v7")
    world.edit(enabled=True)
    world.run(600)
    assert (world.phase, world.percent) == (Phase.ROLLED_BACK, 0)
    world.edit(enabled=False)
    world.run(5)
    world.edit(enabled=True, revision="v8")
    world.climb_to(10)


@pytest.mark.parametrize("refused", range(1, 4))
def test_a_refused_status_write_delays_no_rollback(refused: int) -> None:
    """Evidence of a `for` grows although not one status of it can be written."""
    world = climbing(10, gates=[raw_gate(rollback={"gt": 0.15, "for": "30s"})], dwell="1h")
    world.readings["errors"] = 0.9
    for _ in range(5):
        world.now += timedelta(seconds=10)
        world.reconcile(Fault.STATUS_REFUSED)
    assert world.percent == 0
    assert world.status.state is State.ROLLING_OUT, "status says nothing of it yet"
    for _ in range(refused):
        world.readings["errors"] = 0.0  # the numbers are fine again: that changes nothing
        world.now += timedelta(seconds=10)
        world.reconcile(Fault.STATUS_REFUSED)
        assert world.percent == 0
    world.until(Phase.ROLLED_BACK, 60)
    assert Transition.ROLLED_BACK in world.recorded()


@pytest.mark.parametrize("fault", [Fault.KILLED_AFTER_ACT, Fault.STATUS_REFUSED])
def test_the_mark_outranks_status(fault: Fault) -> None:
    """The lowering was made, and the process died before it could say so: whoever comes next must not climb back."""
    world = climbing(revision="v7")
    world.readings["errors"] = 0.9
    world.now += timedelta(seconds=10)
    world.reconcile(fault)
    assert (world.percent, world.status.state) == (0, State.ROLLING_OUT)
    world.readings["errors"] = 0.0
    world.until(Phase.ROLLED_BACK, 60)
    world.run(3600)
    assert (world.percent, world.status.rejected_revision) == (0, "v7")
    record = next(one for one in world.records() if one.transition is Transition.ROLLED_BACK)
    assert "the mark of a rollback" in record.message, "what stands beside the lever gives no text"


def test_why_comes_before_how_in_ready_stalled_and_waiting_for() -> None:
    world = fallen(revision="v7")
    said = {one.message for one in world.status.conditions if one.type in (ConditionType.READY, ConditionType.STALLED)}
    assert said == {world.status.waiting_for}
    (text,) = said
    assert text.startswith("gate errors: 0.9 (advance < 0.1, rollback > 0.15 on 1 samples) since 2026-12-01T09:")
    assert ' of 1 samples, at pod="0"; rolled back at 2026-12-01T09:' in text
    assert text.endswith(". Set spec.revision to a new value, or raise spec.retry to try again: revision v7 stays rejected")


def test_the_cause_is_that_of_the_attempt() -> None:
    world = fallen(revision="v7")
    world.edit(revision="v8")
    world.readings["errors"] = 0.0
    world.climb_to(10)
    assert world.status.rolled_back_because is None
    world.edit(revision="v7")
    world.run(1)
    assert world.status.rolled_back_because == "revision v7 was rolled back before: it stays rejected"
    assert (world.status.waiting_for or "").startswith("revision v7 was rolled back before: it stays rejected; rolled back at ")


def test_a_status_of_an_older_version_says_what_it_knows() -> None:
    world = fallen()
    del world.raw["status"]["rolledBackBecause"]
    world.reconcile()
    assert (world.status.waiting_for or "").startswith("rolled back at 2026-12-01T09:")


def test_what_a_rollback_says_is_bounded() -> None:
    world = climbing(gates=[raw_gate(name="x" * 63, advance=None, rollback={"gt": 0.15, "confirm": 1})])
    world.readings["x" * 63] = 0.9
    world.until(Phase.ROLLED_BACK)
    assert len(world.status.waiting_for or "") <= 1024
