"""A segment: the percentage is a share of it, and what stands in the document is taken over only if it is about the same users."""

from datetime import timedelta
from typing import Any

import pytest

from tests.builders import raw_gate, stalled_for, target
from tests.decide.world import World
from tests.levers.evaluator import Evaluator
from tidegate.api.conditions import Reason
from tidegate.api.rollout_status import Phase, State
from tidegate.levers.flag.definition import definition_for

GATES = [raw_gate(rollback={"gt": 0.15, "confirm": 1})]
PRO = [{"attribute": "tier", "in": ["pro", "enterprise"]}]
FREE = [{"attribute": "tier", "in": ["free"]}]


def segmented(segment: list[dict[str, Any]] | None = PRO, **spec: Any) -> World:
    return World(**{"gates": GATES, "flag": {"segment": segment}} | spec)


def shares(world: World) -> tuple[float, float]:
    """(percent of the segment, percent of others) that see the feature."""
    evaluator, clients = Evaluator(world.effect, at=world.now.timestamp()), [f"user-{number}" for number in range(1000)]
    inside = sum(evaluator.sees(client, tier="pro") for client in clients)
    outside = sum(evaluator.sees(client, tier="free") or evaluator.sees(client) for client in clients)
    return inside / 10, outside / 10


@pytest.mark.parametrize("lease", [None, 60])
def test_it_climbs_in_its_segment_and_is_off_outside_at_every_step(lease: int | None) -> None:
    world = World(gates=GATES, flag={"segment": PRO} | ({"leaseSeconds": lease} if lease else {}))
    world.reconcile()
    assert shares(world) == (0, 0)
    for percent in (10, 50, 100):
        world.climb_to(percent)
        inside, outside = shares(world)
        assert abs(inside - percent) < 4
        assert outside == 0
    world.until(Phase.SUCCEEDED)
    assert shares(world) == (100, 0)
    assert world.status.percent == 100
    world.reconcile()  # it lets its finalizer go
    assert world.is_converged()


def test_an_edited_segment_counts_at_once_at_the_same_percent() -> None:
    world = segmented(dwell="1h")
    world.climb_to(10)
    world.edit_target(segment=FREE)
    world.reconcile()
    assert world.effect == definition_for(target(segment=FREE), 10)
    assert world.status.percent == 10


@pytest.mark.parametrize(("live", "wanted"), [(None, PRO), (PRO, None), (FREE, PRO), ([*PRO, {"attribute": "region", "in": ["eu"]}], PRO)])
@pytest.mark.parametrize("percent", [30, 100])
def test_a_share_of_others_is_not_taken_over(live: list[dict[str, Any]] | None, wanted: list[dict[str, Any]] | None, percent: int) -> None:
    world = segmented(wanted)
    written = definition_for(target(segment=live), percent)
    world.put_flag(written)
    world.run(120)
    assert world.definition == written
    assert stalled_for(world.status) is Reason.NOT_ADOPTABLE
    assert "a share of others than the segment" in (world.status.waiting_for or "")
    assert "spec.target.flag.segment" in (world.status.waiting_for or "")
    world.put_flag(definition_for(target(segment=wanted), percent))
    world.run(1)
    assert (world.status.percent, world.percent) == (percent, percent)


@pytest.mark.parametrize("percent", [30, 100])
def test_a_share_of_the_same_segment_is_taken_over(percent: int) -> None:
    world = segmented()
    world.put_flag(definition_for(target(segment=PRO), percent))
    world.reconcile()
    assert (world.status.percent, world.percent) == (percent, percent)
    assert world.status.state is (State.ENABLED if percent == 100 else State.ROLLING_OUT)


@pytest.mark.parametrize("enabled", [True, False])
def test_what_is_off_or_shall_be_off_is_taken_over_whatever_its_segment(enabled: bool) -> None:
    world = segmented(enabled=enabled)
    world.put_flag(definition_for(target(segment=FREE), 0 if enabled else 30))
    world.reconcile()
    assert (world.percent, world.status.attempt) == (0, 1)
    assert stalled_for(world.status) is None


def test_the_segment_stays_around_what_a_lease_brings_back() -> None:
    world = World.at(100, gates=GATES, flag={"segment": PRO, "leaseSeconds": 60})
    world.now += timedelta(seconds=100)
    assert shares(world) == (0, 0)
    world.climb_to(100)
    assert shares(world) == (100, 0)
