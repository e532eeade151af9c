"""The plan on the demo's clock: real thresholds, shortened durations, nothing that the API would refuse or the operator could not ask."""

from datetime import timedelta

import pytest

from demo import plan
from demo.plan import CLIMBS, DAYS, FALLS, Plan, load
from demo.scaling import Clock
from tidegate.domain.placeholders import render
from tidegate.domain.queries import compile_query

PRODUCTION = Clock(timedelta(days=1), timedelta(seconds=1))
PLACEHOLDERS = dict.fromkeys(("namespace", "name", "revision", "variant"), "x")


def scaled(seconds_per_day: int, interval: int = 1) -> Plan:
    return load(Clock(timedelta(seconds=seconds_per_day), timedelta(seconds=interval)))


def test_a_clock_that_runs_as_fast_as_the_plan_changes_nothing() -> None:
    found = load(PRODUCTION)
    assert [step.dwell for step in found.steps(CLIMBS)] == [timedelta(days=1)] * 3
    assert found.specs[CLIMBS].bake == timedelta(days=7)
    (calibration, *_) = found.specs[CLIMBS].gates
    assert calibration.rollback is not None
    assert calibration.rollback.for_ == timedelta(minutes=10)
    assert "[5m]" in str(found.guards[0].query)
    assert max(found.length(name) for name in found.specs) == DAYS * timedelta(days=1), "what the demo says it takes"


def test_the_policy_asks_the_prometheus_of_the_stage() -> None:
    policy, *_ = load(PRODUCTION, "http://127.0.0.1:9").manifests
    assert policy["spec"]["prometheus"] == {"url": "http://127.0.0.1:9", "interval": "1s"}


def test_forty_seconds_a_day_and_the_faulty_gate_has_a_bound_from_above_and_no_span() -> None:
    found = scaled(40)
    assert [(step.percent, step.dwell.total_seconds()) for step in found.steps(FALLS)] == [(25, 40), (50, 40), (100, 40)]
    assert found.length(FALLS) == timedelta(seconds=120)
    assert found.dwell(FALLS, 50) == timedelta(seconds=40)
    assert found.specs[FALLS].bake == timedelta(seconds=280)
    rule = found.faulty_gate.rollback
    assert rule is not None
    assert (rule.gt, rule.for_) == (0.07, None)


@pytest.mark.parametrize("seconds_per_day", [10, 40, 600, 3600])
@pytest.mark.parametrize("interval", [1, 5, 30])
def test_on_every_clock_a_rule_s_span_holds_five_evaluations_and_exceeds_the_query_s_range(seconds_per_day: int, interval: int) -> None:
    found = scaled(seconds_per_day, interval)
    for gate in (*found.guards, *(gate for name in found.specs for gate in found.gates(name))):
        assert gate.query is not None
        query = compile_query(render(gate.query, PLACEHOLDERS, timedelta(minutes=1)))
        if gate.rollback is not None and gate.rollback.for_ is not None:
            assert gate.rollback.for_ >= 5 * timedelta(seconds=interval)
            assert gate.rollback.for_ > query.reach


def test_thresholds_of_the_production_plan_are_kept_on_a_fast_clock() -> None:
    def bounds(plan: Plan) -> list[object]:
        gates = [gate for spec in plan.specs.values() for gate in spec.gates]
        rollbacks = [gate.rollback and gate.rollback.model_copy(update={"for_": None}) for gate in gates]
        return [*((gate.name, gate.advance, gate.samples and gate.samples.min) for gate in gates), *rollbacks]

    assert bounds(scaled(10)) == bounds(load(PRODUCTION))


def test_durations_are_whole_and_never_vanish() -> None:
    clock = Clock(timedelta(seconds=10), timedelta(seconds=1))
    assert clock.scaled_object({"bake": "0s", "dwell": "1m", "for": "1h"}) == {"bake": "0s", "dwell": "1s", "for": "5s"}


def test_only_durations_and_ranges_of_queries_are_touched() -> None:
    clock = Clock(timedelta(seconds=864), timedelta(seconds=1))
    kept = {"name": "5m", "staleness": "2m", "timeout": "5s", "min": 50, "percents": [25, 50], "note": "x[5m]"}
    assert clock.scaled_object(kept) == kept
    assert clock.scaled_object([{"query": 'rate(a{b="5m"}[10m]) / rate(c[1h])'}]) == [{"query": 'rate(a{b="5m"}[6s]) / rate(c[36s])'}]


def test_the_policy_asks_at_the_given_interval_and_only_serves_the_demo() -> None:
    (policy, *_) = scaled(40, interval=5).manifests
    assert policy["spec"]["prometheus"]["interval"] == "5s"
    assert policy["spec"]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": plan.NAMESPACE}


def test_the_application_shares_its_traffic_and_changes_with_its_code() -> None:
    config_map, deployment = plan.application("localhost/tidegate:1", 200)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    environment = {one["name"]: one["value"] for one in container["env"]}
    assert environment == {
        "FLAGS_HOST": "tidegate-flags.tidegate-system",
        "FLAGS_PORT": "8015",
        "FLAGS_SELECTOR": f"{plan.NAMESPACE}/{plan.FLAG_SET}",
        "REQUESTS_PER_SECOND": "100",
        "HOST": "0.0.0.0",
        "PORT": "8080",
    }
    assert deployment["spec"]["replicas"] == plan.REPLICAS
    assert "__main__.py" in config_map["data"]
    assert len(deployment["spec"]["template"]["metadata"]["annotations"]["tidegate.io/code"]) == 12
