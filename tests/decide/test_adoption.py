"""The first look: what is live is adopted, what was rejected stays rejected, and nothing is lowered by accident."""

from typing import Any

import pytest

from tests.builders import T0, raw_gate, target
from tests.decide.world import Fault, Run, World
from tidegate.api.feature_rollout import DeletionPolicy
from tidegate.api.records import Record, Transition
from tidegate.api.rollout_status import Phase, State
from tidegate.levers.flag.definition import definition_for

GATE: dict[str, Any] = {"gates": [raw_gate(rollback={"gt": 0.15, "confirm": 1})]}
PLAIN_OFF = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}


def share(percent: int, total: int = 100) -> dict[str, Any]:
    on = percent * total // 100
    return PLAIN_OFF | {"targeting": {"fractional": [["on", on], ["off", total - on]]}}


def test_a_hand_written_flag_that_is_off_begins_at_zero() -> None:
    world = World()
    world.put_flag(PLAIN_OFF)
    world.reconcile()
    assert (world.phase, world.status.state, world.status.percent) == (Phase.WAITING, State.DISABLED, 0)
    assert world.recorded() == [Transition.ATTEMPT_STARTED]
    assert world.definition is not None
    assert world.definition["metadata"]["uid"] == "u1"


@pytest.mark.parametrize("percent", [1, 30, 50, 99])
def test_a_flag_that_is_partly_on_is_adopted_at_its_percent(percent: int) -> None:
    world = World(**GATE, dwell="60s", flag={"allow": ["alice"], "deny": ["bob"]})
    world.put_flag(share(percent))
    world.reconcile()
    assert (world.phase, world.status.state, world.status.percent) == (Phase.PROGRESSING, State.ROLLING_OUT, percent)
    assert world.effect == definition_for(target(allow=["alice"], deny=["bob"]), percent)
    assert world.recorded() == [Transition.ADOPTED]
    world.run_until(lambda it: it.percent != percent)
    assert world.percent == next(step for step in (10, 50, 100) if step > percent)
    assert world.elapsed() >= 60, "the dwell of what was adopted begins with the adoption"


def test_a_flag_that_is_on_for_everybody_is_adopted_and_bakes_under_its_own_gates() -> None:
    world = World(**GATE, bake="60s")
    world.put_flag(PLAIN_OFF | {"defaultVariant": "on"})
    world.reconcile()
    assert (world.phase, world.status.state, world.status.percent, world.percent) == (Phase.BAKING, State.ENABLED, 100, 100)
    world.run(30)
    assert {write.percent for _, write in world.writes} == {100}
    world.fall()
    assert world.percent == 0


@pytest.mark.parametrize("percent", [100, 40, 10])
def test_initial_percent_where_there_is_no_flag_yet(percent: int) -> None:
    world = World(**GATE, initialPercent=percent)
    world.reconcile()
    assert world.percent is None, "first the intent, then the flag"
    world.run_until(lambda it: it.status.percent == percent)
    assert world.percent == percent
    assert world.status.state is (State.ENABLED if percent == 100 else State.ROLLING_OUT)
    assert world.recorded()[0] is Transition.ADOPTED
    assert world.status.raised_at is None, "it was live already: exposure did not rise"
    assert world.elapsed() < 1, "it waits for no gate and no dwell"


def test_initial_percent_waits_for_its_intent_though_the_finalizer_stands_already() -> None:
    world = World(initialPercent=100)
    world.reconcile(Fault.KILLED_AFTER_ACT)
    assert world.raw["metadata"]["finalizers"]
    world.reconcile()
    assert (world.percent, world.status.attempt) == (None, 1)
    world.run_until(lambda it: it.status.percent == 100)


def test_initial_percent_does_not_overrule_a_flag_that_stands_there() -> None:
    world = World(initialPercent=100)
    world.put_flag(share(30))
    world.run(5)
    assert world.percent == 30


def test_initial_percent_is_for_the_first_attempt_only() -> None:
    world = World.at(Phase.BAKING, **GATE, initialPercent=100, revision="v1")
    world.fall()
    world.readings["errors"] = 0.0
    world.edit(revision="v2")
    world.reconcile()
    assert (world.percent, world.phase) == (0, Phase.WAITING)
    world.climb_to(10)


@pytest.mark.parametrize("fault", list(Fault))
def test_a_first_reconcile_that_is_cut_short_changes_nothing_in_the_end(fault: Fault) -> None:
    for begun in (None, PLAIN_OFF, share(30), PLAIN_OFF | {"defaultVariant": "on"}):
        cut, whole = World(), World()
        for world in (cut, whole):
            world.put_flag(begun) if begun else None
        for _ in range(3):
            cut.reconcile(fault)
        for world in (cut, whole):
            world.run(20)
        assert (cut.percent, cut.phase, cut.status.state) == (whole.percent, whole.phase, whole.status.state)
        assert cut.status.attempt == 1
        assert cut.recorded()[0] is whole.recorded()[0]


# the same object, written anew


def recreated(world: World, **spec: Any) -> World:
    world.delete()
    world.run(5)
    assert not world.exists
    world.create(**spec)
    return world


def rejected(revision: str | None) -> World:
    spec = GATE | ({"revision": revision} if revision else {})
    world = World.at(50, **spec)
    world.fall()
    world.run(1)
    world.readings["errors"] = 0.0
    return recreated(world, **spec)


@pytest.mark.parametrize("revision", ["v7", None])
@pytest.mark.parametrize("gone", ["nothing", "flag", "flag set", "runs"])
def test_a_rejected_revision_stays_rejected_for_an_object_that_is_created_again(revision: str | None, gone: str) -> None:
    world = rejected(revision)
    match gone:
        case "flag":
            world.put_flag(None)
        case "flag set":
            world.config_map = None
        case "runs":
            world.runs.clear()
    seq = max((record.seq for record in world.records()), default=0)
    world.run(3600)
    assert (world.phase, world.status.state, world.percent) == (Phase.ROLLED_BACK, State.ROLLBACK, 0)
    assert world.status.rejected_revision == (revision or "")
    assert world.status.seq == seq + 1, "its records go on where those of the old object ended"
    world.edit(revision="v8")
    world.climb_to(10)
    assert world.status.attempt == (2 if gone == "runs" else 3)


def test_initial_percent_does_not_revive_a_rejected_revision() -> None:
    world = World.at(Phase.BAKING, **GATE, revision="v7", initialPercent=100)
    world.fall()
    world.run(1)
    world = recreated(world, **GATE, revision="v7", initialPercent=100)
    world.config_map = None
    world.readings["errors"] = 0.0
    world.run(600)
    assert (world.phase, world.percent) == (Phase.ROLLED_BACK, 0)


def test_an_object_created_again_adopts_what_is_live_as_another_attempt() -> None:
    world = World.at(50, **GATE, deletionPolicy=DeletionPolicy.KEEP.value)
    world = recreated(world, **GATE)
    world.reconcile()
    assert (world.percent, world.status.percent, world.phase) == (50, 50, Phase.PROGRESSING)
    assert (world.status.attempt, world.status.run) == (2, "search-2")
    world.climb_to(100)


def test_a_definition_that_cannot_be_read_is_never_adopted_as_live() -> None:
    """A person rewrote the flag of a rollout that is gone. What it exposes is unknown, so it must not be taken for 100 %."""
    world = World.at(10, **GATE, deletionPolicy="Keep")
    by_hand = {"targeting": {"if": [{"==": [{"var": "tier"}, "pro"]}, "on", "off"]}}
    world.edit_flag(**by_hand)
    world = recreated(world, **GATE)
    before = world.definition
    world.run(60)
    assert world.definition == before
    assert world.status.state is not State.ENABLED
    assert "can't be taken over" in (world.status.waiting_for or "")


@pytest.mark.parametrize("revision", ["v7", None])
def test_a_rejection_is_about_a_flag_and_not_about_a_name(revision: str | None) -> None:
    """Of a rollout of this name the flag was another: what is live now was never rolled back."""
    world = rejected(revision)
    for run in world.runs.values():
        run.target = "flag/shop-flags/another-flag"
    world.put_flag(PLAIN_OFF | {"defaultVariant": "on"})
    world.run(5)
    assert (world.percent, world.phase, world.status.rejected_revision) == (100, Phase.BAKING, None)
    assert (world.status.attempt, world.status.run) == (2, "search-2"), "its records get a run of their own"
    assert world.status.seq > max(record.seq for record in world.runs["search-1"].records)


def test_a_rejection_outlives_a_run_of_another_flag_in_between() -> None:
    world = rejected("v7")
    record = Record(seq=40, time=T0, transition=Transition.ADOPTED)
    world.runs["search-2"] = Run(2, "v7", "flag/shop-flags/another-flag", records=[record])
    world.config_map = None
    world.run(5)
    assert (world.phase, world.status.rejected_revision, world.status.run) == (Phase.ROLLED_BACK, "v7", "search-3")
    assert world.status.seq == 41
