"""Attempts that are asked for again and again: ten begin at once, then one every six minutes; what lowers never waits."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import T0, after, condition, raw_gate
from tests.decide.world import Fault, World
from tidegate.api.conditions import ConditionType, Reason
from tidegate.api.records import Transition
from tidegate.api.rollout_status import Phase, State
from tidegate.domain.pace import AT_ONCE, EVERY, due, next_after, next_of

pytestmark = pytest.mark.levers
GATES: dict[str, Any] = {"gates": [raw_gate(rollback={"gt": 0.15, "confirm": 1})]}
FLOOD = 164


def asked(world: World, ask: Callable[[World, int], None], times: int = FLOOD, seconds: float = 15) -> None:
    """So many attempts are asked for within so many seconds, evenly."""
    for number in range(times):
        ask(world, number)
        world.run(seconds / times)


def another_revision(world: World, number: int) -> None:
    world.edit(revision=f"r{number}")


def switched(world: World, number: int) -> None:
    world.edit(enabled=number % 2 == 1)


def made_again(world: World, number: int) -> None:
    world.delete()
    world.run(0.01)
    world.create(**GATES, revision=f"r{number}")


def held(world: World) -> str | None:
    """What Stalled says of attempts that wait."""
    found = condition(world.status, ConditionType.STALLED)
    return found.message if found is not None and found.reason == Reason.TOO_MANY_ATTEMPTS else None


@pytest.mark.parametrize("ask", [another_revision, switched, made_again])
def test_a_flood_begins_ten_attempts_and_then_one_every_six_minutes(ask: Callable[[World, int], None]) -> None:
    world = World(**GATES)
    world.run(1)
    asked(world, ask)
    assert len(world.runs) == AT_ONCE
    assert (held(world) or "").endswith("See what asks so often")
    asked(world, ask, times=400, seconds=3600)
    assert AT_ONCE + 9 <= len(world.runs) <= AT_ONCE + 10


def test_of_what_is_asked_for_meanwhile_only_the_newest_begins_and_as_soon_as_it_is_said() -> None:
    world = World(**GATES)
    world.run(1)
    asked(world, another_revision, seconds=20)
    at = world.status.next_attempt_at
    assert at is not None
    newest = f"r{FLOOD - 1}"
    assert f"the attempt that spec.revision {newest} asks for begins at {at:%Y-%m-%dT%H:%M:%SZ}" in (world.status.waiting_for or "")
    assert world.status.revision == f"r{AT_ONCE - 2}", "the attempt that is held"
    world.run_until(lambda it: it.status.revision == newest, 3600)
    assert timedelta(0) <= world.now - at <= timedelta(seconds=1)
    assert held(world) is None
    assert [run.revision for run in world.runs.values()][-1] == newest
    world.climb_to(100)


def flooded_at(percent: int) -> World:
    """A world that has come to a percent, and whose next attempt has to wait."""
    world = World(**GATES, dwell="10s", bake="1h")
    world.run(1)
    asked(world, another_revision, AT_ONCE - 1, 5)
    world.climb_to(percent)
    world.edit(revision="one-more")
    world.reconcile()
    assert held(world) is not None
    return world


@pytest.mark.parametrize("percent", [10, 50, 100])
def test_meanwhile_the_attempt_is_held_and_its_rollback_rules_are_armed(percent: int) -> None:
    world = flooded_at(percent)
    attempt = world.status.attempt
    world.run(120)
    assert (world.percent, world.status.attempt) == (percent, attempt)
    world.readings["errors"] = 0.9
    world.run_until(lambda it: it.percent == 0, 11)
    assert world.status.state is State.ROLLBACK
    assert world.status.revision != "one-more"
    world.run(1)
    assert held(world) is not None, "what waits is still said"
    assert "rolled back" in (world.status.waiting_for or "")


@pytest.mark.parametrize("fault", [Fault.KILLED_AFTER_STATUS, Fault.STATUS_REFUSED, Fault.APPEND_REFUSED])
def test_it_is_known_again_wherever_a_process_dies(fault: Fault) -> None:
    world = World(**GATES)
    for number in range(40):
        world.edit(revision=f"r{number}")
        world.reconcile(fault)
        world.run(0.3)
    assert len(world.runs) == AT_ONCE


def test_switching_off_never_waits() -> None:
    world = flooded_at(50)
    world.edit(enabled=False)
    world.run(0.1)
    assert (world.percent, world.phase) == (0, Phase.DISABLED)
    world.edit(enabled=True)
    world.run(1)
    assert (world.percent, world.phase) == (0, Phase.DISABLED)
    assert "spec.enabled true asks for begins at" in (world.status.waiting_for or "")
    world.run_until(lambda it: it.percent == 10, 3600)


def test_a_retry_waits_and_holds_once() -> None:
    world = flooded_at(50)
    world.edit(revision=world.status.revision)
    world.fall()
    world.edit(retry=1)
    world.run(1)
    assert (world.status.state, world.status.retry) == (State.ROLLBACK, 0)
    assert "spec.retry 1 asks for begins at" in (world.status.waiting_for or "")
    world.readings["errors"] = 0.0
    world.run_until(lambda it: it.status.retry == 1, 3600)
    assert world.recorded().count(Transition.RETRIED) == 1
    world.climb_to(10)


def test_a_revision_that_was_rejected_is_switched_off_at_once_and_begins_nothing_more() -> None:
    """Where it would lower; nobody can flood by turning to rejected ones and back."""
    world = World(**GATES, revision="bad")
    world.climb_to(10)
    world.fall()
    world.readings["errors"] = 0.0
    asked(world, another_revision, AT_ONCE - 1, 5)
    world.climb_to(10)
    attempt = world.status.attempt
    assert attempt == AT_ONCE
    world.edit(revision="bad")
    world.run(0.1)
    assert (world.percent, world.status.state, world.status.attempt) == (0, State.ROLLBACK, attempt + 1)
    world.edit(revision="bad-too")
    world.run(1)
    assert world.status.attempt == attempt + 1


@pytest.mark.parametrize("percent", [10, 100])
def test_an_object_that_is_made_again_takes_over_what_is_exposed_at_once(percent: int) -> None:
    """However often it was: nobody else would roll it back."""
    world = flooded_at(percent)
    world.edit(deletionPolicy="Keep")
    world.run(0.1)
    world.delete()
    world.run(0.1)
    world.create(**GATES)
    world.run(0.1)
    assert (world.percent, world.status.attempt) == (percent, AT_ONCE + 1)
    world.readings["errors"] = 0.9
    world.run_until(lambda it: it.percent == 0, 11)


def test_an_object_that_is_made_again_and_shows_nothing_waits_and_says_so() -> None:
    world = flooded_at(10)
    world.delete()
    world.run(0.1)
    assert world.percent == 0
    writes = len(world.writes)
    world.create(**GATES)
    world.run(1)
    assert (world.status.attempt, len(world.writes)) == (0, writes)
    assert "the first attempt of this FeatureRollout, after many at its target, begins at " in (held(world) or "")
    world.climb_to(10)


def test_a_rollout_that_has_succeeded_says_what_waits() -> None:
    world = World(**GATES, dwell="1s", bake="1s")
    world.run(1)
    asked(world, another_revision, AT_ONCE - 1, 1)
    world.until(Phase.SUCCEEDED)
    world.edit(revision="one-more")
    world.run(0.1)
    assert (held(world) or "").startswith("the attempt that spec.revision one-more asks for begins at ")
    assert world.status.waiting_for == held(world)
    world.run_until(lambda it: it.status.revision == "one-more", 3600)


# the arithmetic


@given(st.lists(st.floats(0, 7200), max_size=60))
def test_of_those_that_wait_for_their_turn_no_more_begin_than_may(seconds: list[float]) -> None:
    begun: list[float] = []
    next_at = None
    for one in sorted(seconds):
        if due(next_at, after(one)) is None:
            begun.append(one)
            next_at = next_after(next_at, after(one))
    window = EVERY.total_seconds()
    for number in range(AT_ONCE, len(begun)):
        assert begun[number] - begun[number - AT_ONCE] >= window - 1e-3
    assert next_of(map(after, begun)) == next_at, "the runs say the same as status"


@given(st.lists(st.floats(0, 600), max_size=40))
def test_nobody_waits_for_longer_than_one_turn(seconds: list[float]) -> None:
    """Whatever began without waiting."""
    at = next_of(map(after, seconds))
    assert at is None or at <= after(max(seconds)) + EVERY


def test_a_clock_that_was_set_back_keeps_nobody_waiting() -> None:
    assert due(T0 + timedelta(days=1), T0) is None
