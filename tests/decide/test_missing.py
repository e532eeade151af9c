"""Data that stay away once nothing else holds a step: from when on a person is asked for, and with which words."""

from datetime import timedelta

import pytest

from tests.builders import after, condition, policy, raw_gate, stalled_for
from tests.decide.world import World
from tidegate.api.conditions import ConditionType, Reason
from tidegate.api.rollout_status import Phase
from tidegate.domain.answers import Failure

GATES = [raw_gate(rollback={"gt": 0.15, "confirm": 1})]
DEAD = Failure(Reason.PROMETHEUS_UNREACHABLE, "connection refused")


def ready(world: World) -> tuple[str, str]:
    found = condition(world.status, ConditionType.READY)
    assert found is not None
    return found.reason, found.message


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        (None, "see that its metrics are scraped, or correct its query"),
        (DEAD, "see that http://prometheus:9090 answers, or correct spec.prometheus of RolloutPolicy production"),
    ],
)
def test_five_minutes_after_the_dwell_a_person_is_asked_for(said: Failure | None, remedy: str) -> None:
    world = World.at(10, gates=GATES, dwell="10m")
    world.readings["errors"] = said
    world.run(10)
    assert world.status.without_data_since is not None
    world.run(600 + 290 - world.elapsed())
    assert stalled_for(world.status) is None
    world.run(40)
    reason, message = ready(world)
    assert (reason, stalled_for(world.status)) == ("NoData", Reason.NO_DATA)
    assert message.startswith("no data since 2026-12-01T09:0")
    assert "gate errors" in message
    assert message.endswith(remedy)
    assert (world.percent, world.phase) == (10, Phase.PROGRESSING), "nothing else follows"
    world.readings["errors"] = 0.0
    world.run(10)
    assert stalled_for(world.status) is None
    assert world.status.without_data_since is None


def test_where_the_dwell_is_over_already_they_get_five_minutes_from_when_they_went() -> None:
    world = World.at(10, gates=GATES)
    world.readings["errors"] = 0.12
    world.run(600)
    world.readings["errors"] = None
    world.run(290)
    assert stalled_for(world.status) is None
    world.run(40)
    assert stalled_for(world.status) is Reason.NO_DATA


@pytest.mark.parametrize("where", [Phase.WAITING, Phase.BAKING])
def test_a_guard_without_data_asks_for_a_person_too_before_the_first_exposure_and_while_it_bakes(where: Phase) -> None:
    world = World(guards=(raw_gate("uptime"),), bake="60s")
    if where is Phase.BAKING:
        world.until(where)
    world.readings["uptime"] = None
    world.run(280)
    assert stalled_for(world.status) is None
    world.run(60)
    assert (stalled_for(world.status), world.phase) == (Reason.NO_DATA, where)
    assert "guard uptime" in ready(world)[1]


def test_metrics_that_can_not_be_looked_up_ask_for_a_person_before_the_first_exposure() -> None:
    world = World(gates=GATES)
    world.unknown_metrics = DEAD
    world.run(400)
    assert (world.percent, stalled_for(world.status)) == (0, Reason.NO_DATA)
    assert "the gates' metrics can't be looked up: connection refused; see that http://prometheus:9090 answers" in ready(world)[1]


def test_a_gate_that_only_notifies_holds_nothing_and_asks_for_nobody() -> None:
    world = World.at(10, guards=({**raw_gate("uptime"), "onBreach": "notify"},), dwell="1h")
    world.readings["uptime"] = None
    world.run(1000)
    assert stalled_for(world.status) is None


def test_a_source_that_is_silent_is_said_in_ready_at_once() -> None:
    world = World.at(10, gates=GATES, dwell="1h")
    world.readings["errors"] = DEAD
    world.run(15)
    assert ready(world) == ("Progressing", "step 1 of 3, 10 %; the source of metrics gives no answer: connection refused")
    found = condition(world.status, ConditionType.METRICS_AVAILABLE)
    assert found is not None
    assert (found.status, found.reason) == ("False", "PrometheusUnreachable")


def test_before_the_first_exposure_too() -> None:
    world = World(gates=GATES)
    world.readings["errors"] = DEAD
    world.unknown_metrics = DEAD
    world.run(15)
    assert (world.percent, ready(world)[0]) == (0, "Waiting")
    assert "the source of metrics gives no answer: connection refused" in ready(world)[1]
    found = condition(world.status, ConditionType.METRICS_AVAILABLE)
    assert found is not None
    assert found.reason == "PrometheusUnreachable"


def test_of_a_policy_that_is_gone_nothing_is_missing() -> None:
    world = World.at(10, gates=GATES)
    world.readings["errors"] = None
    world.run(10)
    world.now += timedelta(hours=1)
    world.policy = policy(generation=2)
    world.edit(enabled=False)
    world.reconcile()
    assert world.status.without_data_since is None
    assert after(0) < world.now


def test_a_median_that_was_not_asked_for_yet_is_waited_for_and_asks_for_nobody() -> None:
    world = World(gates=[raw_gate(relativeTo={"start": {"over": "1h"}})])
    world.reconcile()
    assert (world.phase, stalled_for(world.status)) == (Phase.WAITING, None)
    assert "gate errors: its median before the start is not read yet" in (world.status.waiting_for or "")
    world.climb_to(10)
