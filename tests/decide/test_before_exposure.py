"""What must be there before anybody is exposed, what will surprise, and gates that a person has to mend."""

import math
from typing import Any

import pytest

from tests.builders import START, answer, condition, policy, raw_gate, stalled_for
from tests.decide.world import World
from tidegate.api.conditions import ConditionType, Reason
from tidegate.api.records import Transition
from tidegate.api.rollout_status import Phase, State, Verdict
from tidegate.domain.answers import Answer, Failure

pytestmark = pytest.mark.levers

REFUSED = Failure(Reason.QUERY_REFUSED, "execution: many-to-many matching not allowed")
SILENT = Failure(Reason.PROMETHEUS_UNREACHABLE, "connection refused")


def available(world: World) -> tuple[str, str]:
    """Whether the source of metrics answers, and why not."""
    found = condition(world.status, ConditionType.METRICS_AVAILABLE)
    assert found is not None
    return found.status, found.reason


def test_a_metric_that_nobody_knows_exposes_nobody() -> None:
    world = World(gates=[raw_gate()])
    world.unknown_metrics = ("errros{}",)
    world.run(300)
    assert (world.percent, world.phase, stalled_for(world.status)) == (0, Phase.PENDING, Reason.NO_SUCH_SERIES)
    told = str(world.status.waiting_for)
    assert "no series of errros{} within 7 days" in told
    assert all(remedy in told for remedy in ("correct names", "or vector(0)", "startsEmpty: true"))
    world.unknown_metrics = ()
    world.climb_to(10)
    assert stalled_for(world.status) is None


def test_while_the_metrics_can_not_be_looked_up_nobody_is_exposed_and_nothing_is_stalled() -> None:
    world = World(gates=[raw_gate()])
    world.unknown_metrics = SILENT
    world.run(120)
    assert (world.percent, world.phase, stalled_for(world.status)) == (0, Phase.WAITING, None)
    assert "metrics can't be looked up: connection refused" in str(world.status.waiting_for)
    world.unknown_metrics = ()
    world.climb_to(10)


@pytest.mark.parametrize("nothing", [None, SILENT])
def test_a_median_that_can_not_be_read_exposes_nobody(nothing: Failure | None) -> None:
    world = World(gates=[raw_gate(relativeTo={"start": {"over": "1h"}})])
    world.medians["errors"] = nothing
    world.run(120)
    assert (world.percent, world.phase, stalled_for(world.status)) == (0, Phase.PENDING, Reason.BASELINE_MISSING)
    world.medians["errors"] = 0.5
    world.climb_to(10)
    assert [(one.gate, one.value) for one in world.status.baselines] == [("errors", "0.5")]


def test_the_median_is_read_once_and_anew_for_another_attempt() -> None:
    world = World(
        gates=[raw_gate(relativeTo={"start": {"over": "1h"}}, advance={"lt": 0.1}, rollback={"gt": 0.5, "confirm": 1})], revision="v1"
    )
    world.medians["errors"], world.readings["errors"] = 10.0, 10.0
    world.climb_to(10)
    world.medians["errors"] = 99.0
    world.run(20)
    assert [one.value for one in world.status.baselines] == ["10"]
    world.readings["errors"] = 15.1
    world.run_until(lambda world: world.status.state is State.ROLLBACK)
    world.readings["errors"] = 99.0
    world.edit(revision="v2")
    world.climb_to(10)
    assert [one.value for one in world.status.baselines] == ["99"]


def beside_the_start(query: str) -> list[dict[str, Any]]:
    return [raw_gate(query=query, relativeTo={"start": {"over": "1h"}}, advance={"lt": 0.1}, rollback={"gt": 0.5})]


def test_an_edited_gate_has_no_use_for_the_median_of_its_old_query() -> None:
    """In other units every reading would be far below it."""
    world = World(gates=beside_the_start("latency_ms"), noData={"deadline": "60s", "then": "rollback"})
    world.medians["errors"] = world.readings["errors"] = 500.0
    world.climb_to(10)
    world.medians["errors"], world.readings["errors"] = None, 2.0
    world.edit(gates=beside_the_start("latency_seconds"))
    world.run(600)
    (judged,) = world.status.gates
    assert (world.percent, judged.verdict, judged.no_data_reason) == (10, Verdict.NO_DATA, "BaselineMissing")
    assert world.status.baselines == ()
    world.medians["errors"] = 2.0
    world.climb_to(50)


def test_nor_has_one_that_is_edited_before_anybody_is_exposed() -> None:
    world = World(gates=beside_the_start("latency_ms"), paused=True)
    world.run(60)
    assert len(world.status.baselines) == 1
    world.medians["errors"] = None
    world.edit(gates=beside_the_start("latency_seconds"), paused=False)
    world.run(120)
    assert (world.percent, world.phase, stalled_for(world.status)) == (0, Phase.PENDING, Reason.BASELINE_MISSING)


def test_a_baseline_that_the_policy_has_not_measured_exposes_nobody() -> None:
    world = World(gates=[raw_gate(relativeTo={"baseline": "normal"})])
    world.run(120)
    assert (world.percent, stalled_for(world.status)) == (0, Reason.BASELINE_MISSING)
    world.policy = policy(baselines={"normal": 1.0})
    world.climb_to(10)


def test_a_template_that_is_missing_holds_and_the_other_gates_stay_armed() -> None:
    world = World(gates=[raw_gate(rollback={"gt": 0.15, "confirm": 1}), {"use": "latency"}])
    world.policy = policy(gateTemplates=[raw_gate("latency")])
    world.climb_to(10)
    world.run(11)
    assert {gate.name for gate in world.status.gates} == {"errors", "latency"}
    world.policy = policy(gateTemplates=[raw_gate("saturation")], generation=2)
    world.run(300)
    assert (world.percent, stalled_for(world.status)) == (10, Reason.TEMPLATE_MISSING)
    assert "gate latency uses template latency, which the RolloutPolicy doesn't have (it has saturation)" in str(world.status.waiting_for)
    world.readings["errors"] = 0.9
    world.run_until(lambda world: world.status.state is State.ROLLBACK)


def test_a_query_that_prometheus_refuses_stalls_and_rolls_nothing_back() -> None:
    world = World.at(10, gates=[raw_gate()], guards=(raw_gate("uptime"),))
    world.readings["joined"] = REFUSED
    world.edit(gates=[raw_gate(), raw_gate("joined")])
    world.run(300)
    assert (world.percent, stalled_for(world.status)) == (10, Reason.QUERY_REFUSED)
    assert available(world) == ("True", "Answering")
    world.readings["joined"] = 0.0
    world.run_until(lambda world: world.status.percent == 50)


def test_a_query_that_was_answered_before_is_refused_by_a_fault_of_the_source() -> None:
    """Thanos tells an outage of what it asks as 422 (case 13)."""
    world = World.at(10, gates=[raw_gate()], noData={"deadline": "30s", "then": "rollback"})
    world.readings["errors"] = REFUSED
    world.run(300)
    assert (world.percent, world.status.state, stalled_for(world.status)) == (10, State.ROLLING_OUT, None)
    assert "refuses a query that it has answered before" in world.status.gates[0].message
    assert available(world) == ("False", "PrometheusError")
    world.readings["errors"] = 0.0
    world.run_until(lambda world: world.status.percent == 50)


def test_so_it_is_of_a_guard_before_anybody_is_exposed() -> None:
    world = World(guards=(raw_gate("uptime"),), paused=True)
    world.run(60)
    world.readings["uptime"] = REFUSED
    world.edit(paused=False)
    world.run(60)
    assert (world.percent, world.phase, stalled_for(world.status)) == (0, Phase.WAITING, None)
    assert (world.status.gates[0].no_data_reason, *available(world)) == ("PrometheusError", "False", "PrometheusError")
    world.readings["uptime"] = 0.0
    world.climb_to(10)


def test_another_query_was_not_answered_before() -> None:
    """A bad edit never rolls back, and what refuses it may as well be an outage that comes with it."""
    world = World.at(10, gates=[raw_gate()], noData={"deadline": "60s", "then": "rollback"})
    world.readings["errors"] = REFUSED
    world.edit(gates=[raw_gate(query="joined")])
    world.run(300)
    assert (world.percent, stalled_for(world.status)) == (10, Reason.QUERY_REFUSED)


@pytest.mark.parametrize(
    "reading",
    [
        REFUSED,
        Answer(START, "string", (), None, 0, 0),
        Answer(START, "matrix", (), None, 0, 0),
        Answer(START, "native histogram", (), START, 0, 0),
        answer(*range(101)),
    ],
    ids=["refused", "string", "matrix", "native histogram", "too many series"],
)
def test_a_gate_that_can_never_be_judged_exposes_nobody(reading: Failure | Answer) -> None:
    world = World(gates=[raw_gate()])
    world.readings["errors"] = reading
    world.run(300)
    assert (world.percent, world.phase, stalled_for(world.status)) == (0, Phase.PENDING, Reason.QUERY_REFUSED)
    assert "gate errors can never be judged: " in str(world.status.waiting_for)
    world.readings["errors"] = 0.0
    world.climb_to(10)
    assert stalled_for(world.status) is None


@pytest.mark.parametrize("reading", [REFUSED, answer(*range(101))], ids=["refused", "too many series"])
def test_a_gate_that_does_not_apply_yet_keeps_nobody_back(reading: Failure | Answer) -> None:
    world = World(gates=[raw_gate(when="market_open")], guards=(raw_gate("uptime", when="market_open"),))
    world.readings |= {"errors": reading, "uptime": reading}
    world.whens |= {"errors": 0.0, "uptime": 0.0}
    world.climb_to(10)
    assert {gate.verdict for gate in world.status.gates} == {Verdict.NOT_APPLICABLE}


@pytest.mark.parametrize("reading", [None, SILENT, math.nan], ids=["empty", "silent", "NaN"])
def test_what_may_come_once_somebody_is_exposed_keeps_nobody_back(reading: Failure | float | None) -> None:
    """`variant="on"` has no series, and a ratio of nothing is NaN, while nobody has the feature."""
    world = World(gates=[raw_gate()])
    world.readings["errors"] = reading
    world.climb_to(10)


QUESTIONABLE: list[tuple[dict[str, Any], Reason | None]] = [
    ({"query": "rate(errors[5m])", "rollback": {"gt": 1, "for": "6m"}}, None),
    ({"query": "rate(errors[5m])", "rollback": {"gt": 1, "for": "5m"}}, Reason.FOR_WITHIN_RANGE),
    ({"query": "max_over_time(rate(errors[5m])[5m:1m])", "rollback": {"gt": 1, "for": "6m"}}, Reason.FOR_WITHIN_RANGE),
    ({"query": "errors", "rollback": {"gt": 1, "for": "19s"}}, Reason.FOR_WITHIN_INTERVALS),
    ({"query": "errors", "rollback": {"gt": 1, "for": "20s"}}, None),
    ({"query": "rate(errors[10m])", "rollback": {"gt": 1}}, Reason.DWELL_WITHIN_RANGE),
    ({"query": "rate(errors[$window])", "rollback": {"gt": 1, "for": "20s"}}, None),
    ({"query": 'errors{variant="on"}', "relativeTo": {"start": {"over": "1h"}}}, Reason.VARIANT_IN_START),
    ({"query": 'errors{variant=~"on|off"}', "relativeTo": {"start": {"over": "1h"}}}, Reason.VARIANT_IN_START),
    ({"query": 'errors / total{variant="$variant"}', "relativeTo": {"start": {"over": "1h"}}}, Reason.VARIANT_IN_START),
    ({"query": 'errors{product_variant="large"}', "relativeTo": {"start": {"over": "1h"}}}, None),
    ({"query": 'errors{path="?variant=on"}', "relativeTo": {"start": {"over": "1h"}}}, None),
    ({"query": "errors", "relativeTo": {"start": {"over": "1h"}}}, None),
    ({"query": 'errors{variant="on"}', "relativeTo": {"offset": "1h"}}, None),
]


@pytest.mark.parametrize(("fields", "reason"), QUESTIONABLE)
def test_what_will_surprise_is_recorded_and_nothing_else_follows(fields: dict[str, Any], reason: Reason | None) -> None:
    world = World.at(10, gates=[raw_gate(**fields)], dwell="10m")
    found = condition(world.status, ConditionType.QUESTIONABLE)
    assert (None if found is None else found.reason) == (None if reason is None else reason.value)
    assert stalled_for(world.status) is None


def test_latencies_are_looked_at_for_surprises_too() -> None:
    latency = {"histogram": "seconds_bucket", "over": "5m"}
    gate = {"name": "slow", "latency": latency, "rollback": {"gt": 1, "for": "5m"}}
    world = World.at(10, gates=[gate], dwell="10m")
    found = condition(world.status, ConditionType.QUESTIONABLE)
    assert found is not None
    assert (found.reason, found.message) == (
        "ForWithinRange",
        "gate slow: rollback.for (5m) is not above its range (5m), so one burst can fill it",
    )


def test_samples_that_will_come_too_late_are_forecast() -> None:
    world = World(gates=[raw_gate(samples={"count": "n", "min": 50})], dwell="60s", stepDeadline="60s")
    world.samples["errors"] = 10.0
    world.climb_to(10)
    world.run(40)  # a quarter of an hour to go at this pace
    found = condition(world.status, ConditionType.QUESTIONABLE)
    assert found is not None
    assert found.reason == "SamplesOutOfReach"
    assert "its 50 samples are there at" in found.message
    world.samples["errors"] = 50.0
    world.run_until(lambda world: world.status.percent == 50)
    assert condition(world.status, ConditionType.QUESTIONABLE) is None


def test_a_gate_that_does_not_apply_holds_nothing() -> None:
    world = World(gates=[raw_gate(when="market_open")])
    world.readings["errors"], world.whens["errors"] = 0.9, 0.0
    world.run_until(lambda world: world.status.phase is Phase.SUCCEEDED)
    assert Transition.ROLLED_BACK not in world.recorded()


def test_market_closed_overnight() -> None:
    """Nothing trades: no verdict, no deadline, no step by a reading of yesterday; in the morning the gate speaks again."""
    world = World(
        gates=[raw_gate(when="market_open", rollback={"gt": 0.15, "confirm": 1})],
        noData={"deadline": "60s", "then": "rollback"},
        dwell="5m",
    )
    world.climb_to(10)
    world.readings["errors"], world.whens["errors"] = None, 0.0
    world.run(200)
    assert (world.percent, world.status.gates[0].verdict) == (10, Verdict.NOT_APPLICABLE)
    world.readings["errors"], world.whens["errors"] = 0.9, 1.0
    world.run_until(lambda world: world.status.state is State.ROLLBACK)


def test_a_concurrent_baseline_ends_at_a_hundred_percent() -> None:
    world = World(gates=[raw_gate(relativeTo={"query": "off"}, rollback={"gt": 0.15, "confirm": 1})], bake="60s")
    world.readings["errors"], world.bases["errors"] = 1.0, 1.0
    world.climb_to(100)
    world.readings["errors"] = 9.0
    world.run_until(lambda world: world.status.phase is Phase.SUCCEEDED)
    assert Transition.ROLLED_BACK not in world.recorded()


def test_a_bake_does_not_end_in_a_breach() -> None:
    world = World.at(Phase.BAKING, gates=[raw_gate(rollback={"gt": 0.15, "for": "60s"})], bake="60s")
    world.run(15)
    world.readings["errors"] = 0.9
    world.run_until(lambda world: world.status.state is State.ROLLBACK, 200)


@pytest.mark.parametrize("said", [None, SILENT])
def test_a_bake_does_not_end_without_numbers(said: Failure | None) -> None:
    world = World.at(Phase.BAKING, gates=[raw_gate()], bake="60s")
    world.readings["errors"] = said
    world.run(300)
    assert world.phase is Phase.BAKING
    world.readings["errors"] = 0.0
    world.until(Phase.SUCCEEDED, 30)


@pytest.mark.parametrize("delay", ["0s", "5s", "30s"])
def test_a_window_since_the_step_lies_after_it_whatever_the_delay_of_the_source(delay: str) -> None:
    world = World(gates=[raw_gate(query="rate(errors[$window])")], dwell="60s")
    world.policy = policy(delay=delay)
    world.climb_to(10)
    began = world.elapsed()
    assert world.climb_to(50) - began <= 60 + 30 + 20 + 1


def test_switching_off_waits_for_no_answer() -> None:
    world = World.at(10, gates=[raw_gate()], guards=(raw_gate("uptime"),))
    world.edit(enabled=False)
    assert world.snapshot().answers == {}
    world.reconcile()
    assert world.percent == 0


def test_a_feature_that_is_live_already_waits_for_no_metric() -> None:
    world = World(gates=[raw_gate()], initialPercent=100)
    world.unknown_metrics = ("errros{}",)
    world.run_until(lambda world: world.percent == 100, 5)
