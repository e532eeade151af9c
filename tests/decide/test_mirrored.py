"""What is said of the flag's copy in a FeatureFlag. It never decides anything."""

from dataclasses import replace

import pytest

from tests.builders import condition
from tests.decide.world import World
from tidegate.api.conditions import Condition, ConditionType, Reason
from tidegate.decide.rollout import decide
from tidegate.domain.snapshot import Mirrored, Problem

TAKEN = Mirrored(True, Problem(Reason.FEATURE_FLAG_TAKEN, "FeatureFlag flags: flag search is written by me"))


def said(world: World, mirrored: Mirrored | None) -> Condition | None:
    return condition(decide(replace(world.snapshot(), mirrored=mirrored), world.now).status, ConditionType.MIRRORED)


@pytest.mark.parametrize(
    ("mirrored", "status", "reason"),
    [(Mirrored(True), "True", Reason.MIRRORED), (TAKEN, "False", Reason.FEATURE_FLAG_TAKEN)],
)
def test_how_the_copy_stands(mirrored: Mirrored, status: str, reason: Reason) -> None:
    world = World()
    world.climb_to(10)
    found = said(world, mirrored)
    assert found is not None
    assert (found.status, found.reason) == (status, reason)
    assert found.message == (mirrored.problem.message if mirrored.problem else "")


def test_without_the_kind_nothing_is_said() -> None:
    world = World()
    world.climb_to(10)
    assert said(world, None) is None
    assert said(world, Mirrored(known=False)) is None


def test_what_is_not_known_after_a_restart_stands_as_it_did() -> None:
    world = World()
    world.climb_to(10)
    snapshot = replace(world.snapshot(), mirrored=TAKEN)
    before = decide(snapshot, world.now).status
    restarted = replace(snapshot, rollout=replace(snapshot.rollout, status=before), mirrored=Mirrored(known=False))
    assert condition(decide(restarted, world.now).status, ConditionType.MIRRORED) == condition(before, ConditionType.MIRRORED)


def test_it_changes_no_action() -> None:
    world = World()
    for _ in range(12):
        snapshot = world.snapshot()
        plain, taken = decide(snapshot, world.now), decide(replace(snapshot, mirrored=TAKEN), world.now)
        assert (plain.actions, plain.requeue_after) == (taken.actions, taken.requeue_after)
        world.look()
