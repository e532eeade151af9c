"""What /metrics tells of rollouts: each series, which of them replace others, and that all of them vanish with the object."""

from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from tests.builders import after, policy, raw_gate, spec
from tests.decide.world import World
from tidegate.api.conditions import Condition, ConditionType, Reason
from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.records import Record, Transition
from tidegate.api.rollout_status import FeatureRolloutStatus, GateSource, GateStatus, Pending, Phase, State, Verdict
from tidegate.decide.rollout.deciding import decide
from tidegate.domain.exposure import Reading
from tidegate.domain.keys import Key, Kind
from tidegate.domain.problems import Problem
from tidegate.domain.snapshot import Policy, Rollout, Snapshot
from tidegate.report.rollout_metrics import RolloutMetrics

SEARCH, BANNER = (Key(Kind.FEATURE_ROLLOUT, "shop", name) for name in ("search", "banner"))
WHERE = {"namespace": "shop", "name": "search"}
GATED = spec(gates=[raw_gate("errors", advance={"lt": 0.1}, rollback={"gt": 0.15})])


def status(*records: Record, **fields: Any) -> FeatureRolloutStatus:
    defaults: dict[str, Any] = {"attempt": 1, "state": State.ROLLING_OUT, "phase": Phase.PROGRESSING, "percent": 25, "step": 1}
    return FeatureRolloutStatus(**(defaults | {"pending": Pending(records=records) if records else None} | fields))


def record(seq: int, transition: Transition) -> Record:
    return Record(seq=seq, time=after(0), transition=transition)


def gate(name: str, source: GateSource = GateSource.ROLLOUT, **fields: Any) -> GateStatus:
    return GateStatus(source=source, name=name, **({"verdict": Verdict.HOLD} | fields))


def condition(kind: ConditionType, reason: Reason) -> Condition:
    return Condition(type=kind, status="True", reason=reason.value, last_transition_time=after(0))


ANSWERING = condition(ConditionType.METRICS_AVAILABLE, Reason.ANSWERING)


def snapshot(
    before: FeatureRolloutStatus | None = None,
    *,
    written: FeatureRolloutSpec | None = GATED,
    used: Policy | Problem | None = None,
    **fields: Any,
) -> Snapshot:
    found = Rollout("shop", "search", "u1", 1, "1", False, (), written, None, before or FeatureRolloutStatus())
    return Snapshot(replace(found, **fields), used or policy(), Reading(25, None, None))


class Shown:
    """The metrics and what a scrape finds of them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = RolloutMetrics(self.registry)

    def show(self, now: FeatureRolloutStatus, seen: Snapshot | None = None, key: Key = SEARCH) -> None:
        self.metrics.show(key, seen or snapshot(), now)

    def record(self, *records: Record, name: str = "search") -> None:
        self.metrics.recorded(replace(snapshot().rollout, name=name), records)

    def series(self, metric: str, **labels: str) -> dict[tuple[str, ...], float]:
        """The samples of a metric that carry these labels, by the values of their other labels."""
        return {
            tuple(value for label, value in sample.labels.items() if label not in labels): sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == metric and labels.items() <= sample.labels.items()
        }

    def happened(self) -> dict[tuple[str, ...], float]:
        """The transitions of the rollout that were counted."""
        return {labels: number for labels, number in self.series("tidegate_rollout_transitions_total", **WHERE).items() if number}

    def everything_of(self, name: str) -> list[str]:
        return [sample.name for family in self.registry.collect() for sample in family.samples if sample.labels.get("name") == name]


@pytest.fixture
def shown() -> Shown:
    return Shown()


def test_state_phase_percent_and_step_each_in_the_place_of_the_one_before(shown: Shown) -> None:
    shown.show(status(percent=25, step=2))
    assert shown.series("tidegate_rollout_state", **WHERE) == {("ROLLING_OUT",): 1}
    assert shown.series("tidegate_rollout_phase", **WHERE) == {("Progressing",): 1}
    assert shown.series("tidegate_rollout_percent", **WHERE) == {(): 25}
    assert shown.series("tidegate_rollout_step", **WHERE) == {(): 2}
    shown.show(status(state=State.ROLLBACK, phase=Phase.ROLLED_BACK, percent=0, step=0))
    assert shown.series("tidegate_rollout_state", **WHERE) == {("ROLLBACK",): 1}
    assert shown.series("tidegate_rollout_phase", **WHERE) == {("RolledBack",): 1}
    assert shown.series("tidegate_rollout_percent", **WHERE) == {(): 0}


def test_an_exposure_that_was_never_read_is_not_shown_as_zero(shown: Shown) -> None:
    shown.show(status(percent=None))
    assert shown.series("tidegate_rollout_percent") == {}
    assert shown.series("tidegate_rollout_step", **WHERE) == {(): 1}


def test_each_gate_with_its_reading_and_verdict(shown: Shown) -> None:
    gates = (
        gate("errors", value="0.12"),
        gate("errors", GateSource.POLICY, value="-1e-07", verdict=Verdict.ADVANCE),
        gate("silent", verdict=Verdict.NO_DATA),
    )
    shown.show(status(gates=gates))
    assert shown.series("tidegate_gate_value", **WHERE) == {("rollout", "errors"): 0.12, ("policy", "errors"): -1e-07}
    assert shown.series("tidegate_gate_verdict", **WHERE) == {
        ("rollout", "errors", "HOLD"): 1,
        ("policy", "errors", "ADVANCE"): 1,
        ("rollout", "silent", "NO_DATA"): 1,
    }


def test_a_verdict_and_a_value_are_those_of_the_last_look(shown: Shown) -> None:
    shown.show(status(gates=(gate("errors", value="0.12"),)))
    shown.show(status(gates=(gate("errors", verdict=Verdict.NO_DATA),)))
    assert shown.series("tidegate_gate_verdict", **WHERE) == {("rollout", "errors", "NO_DATA"): 1}
    assert shown.series("tidegate_gate_value") == {}, "a reading that is no longer there must not look alive"


def test_every_bound_of_gates_and_guards(shown: Shown) -> None:
    gates = [
        raw_gate("errors", advance={"lt": 0.1}, rollback={"gt": 0.15}),
        raw_gate("band", advance={"gte": 0.4, "lte": 0.6}, rollback={"lt": 0.3, "gt": 0.7}),
        {"name": "freeze", "query": "x", "advance": {"lt": 0}},
    ]
    guards = policy({"name": "errors", "query": "x", "rollback": {"gte": 5}})
    shown.show(status(), snapshot(written=spec(gates=gates), used=guards))
    assert shown.series("tidegate_gate_threshold", **WHERE) == {
        ("rollout", "errors", "advance", "lt"): 0.1,
        ("rollout", "errors", "rollback", "gt"): 0.15,
        ("rollout", "band", "advance", "gte"): 0.4,
        ("rollout", "band", "advance", "lte"): 0.6,
        ("rollout", "band", "rollback", "lt"): 0.3,
        ("rollout", "band", "rollback", "gt"): 0.7,
        ("rollout", "freeze", "advance", "lt"): 0,
        ("policy", "errors", "rollback", "gte"): 5,
    }


def test_thresholds_are_those_of_the_rules_that_are_armed(shown: Shown) -> None:
    """While the spec that was written can't be followed, the last valid one's are; without any, and without a policy, there are none."""
    problem, missing = Problem(Reason.INVALID_QUERY, "no"), Problem(Reason.POLICY_MISSING, "no")
    edited = spec(gates=[raw_gate("errors", advance={"lt": 0.9}, rollback=None)])
    shown.show(status(), snapshot(written=edited, used=missing, problem=problem, last_valid_spec=GATED))
    assert shown.series("tidegate_gate_threshold", gate="errors", **WHERE) == {
        ("rollout", "advance", "lt"): 0.1,
        ("rollout", "rollback", "gt"): 0.15,
    }
    shown.show(status(), snapshot(written=None, used=missing, problem=problem))
    assert shown.series("tidegate_gate_threshold") == {}


def test_transitions_count_when_they_are_recorded_and_not_when_they_are_decided(shown: Shown) -> None:
    """Each from 0, before it first happened: without a 0 the first one is no increase, and no alert."""
    first, second = record(1, Transition.ATTEMPT_STARTED), record(2, Transition.STEP_DECIDED)
    for _ in range(3):
        shown.show(status(first, second, seq=2))
    assert shown.series("tidegate_rollout_transitions_total", **WHERE) == {(one.value,): 0 for one in Transition}
    shown.record(first, second)
    shown.record(record(3, Transition.STEP_DECIDED))
    assert shown.happened() == {("AttemptStarted",): 1, ("StepDecided",): 2}


def test_the_reason_of_each_condition_in_the_place_of_the_one_before(shown: Shown) -> None:
    shown.show(status(conditions=(condition(ConditionType.READY, Reason.PROGRESSING), ANSWERING)))
    assert shown.series("tidegate_rollout_condition", **WHERE) == {("Ready", "Progressing"): 1, ("MetricsAvailable", "Answering"): 1}
    fell = [condition(kind, Reason.ROLLED_BACK) for kind in (ConditionType.READY, ConditionType.STALLED)]
    shown.show(status(conditions=tuple(fell)))
    assert shown.series("tidegate_rollout_condition", **WHERE) == {("Ready", "RolledBack"): 1, ("Stalled", "RolledBack"): 1}


def test_all_of_it_vanishes_with_the_object_and_nothing_of_its_neighbour(shown: Shown) -> None:
    for key in (SEARCH, BANNER):
        shown.show(status(gates=(gate("errors", value="1"),), conditions=(ANSWERING,)), key=key)
        shown.record(record(1, Transition.ATTEMPT_STARTED), record(2, Transition.STEP_DECIDED), name=key.name)
    mine, neighbours = shown.everything_of("search"), shown.everything_of("banner")
    assert sorted(set(mine)) == [
        "tidegate_gate_threshold",
        "tidegate_gate_value",
        "tidegate_gate_verdict",
        "tidegate_rollout_condition",
        "tidegate_rollout_drifts_total",
        "tidegate_rollout_percent",
        "tidegate_rollout_phase",
        "tidegate_rollout_state",
        "tidegate_rollout_step",
        "tidegate_rollout_transitions_total",
    ]
    assert mine == neighbours
    shown.metrics.forget(SEARCH)
    assert shown.everything_of("search") == []
    assert shown.everything_of("banner") == neighbours
    shown.metrics.forget(SEARCH)
    shown.record(record(3, Transition.DISABLED))
    assert shown.everything_of("search") == [], "the last record comes after the object's end"
    shown.show(status())
    shown.record(record(1, Transition.ATTEMPT_STARTED))
    assert shown.happened() == {("AttemptStarted",): 1}, "a re-created object counts anew"


def test_the_same_name_elsewhere_is_another(shown: Shown) -> None:
    shown.show(status())
    shown.show(status(percent=50), key=Key(Kind.FEATURE_ROLLOUT, "bank", "search"))
    shown.metrics.forget(SEARCH)
    assert shown.series("tidegate_rollout_percent") == {("bank", "search"): 50}


def test_a_scrape_can_ask_for_one_metric_by_its_name(shown: Shown) -> None:
    shown.show(status())
    text = generate_latest(shown.registry.restricted_registry(["tidegate_rollout_percent"])).decode()
    assert 'tidegate_rollout_percent{name="search",namespace="shop"} 25.0' in text
    assert "tidegate_rollout_step" not in text


def test_a_correction_counts_once_it_stands_in_status(shown: Shown) -> None:
    """What was decided, and refused by the API server, is decided again at the next look."""
    world = World.at(50, percents=(50, 100), dwell="1h")

    def counted() -> float:
        seen = world.snapshot()
        shown.show(decide(seen, world.now).status, seen)
        return shown.series("tidegate_rollout_drifts_total", **WHERE)[()]

    assert counted() == 0
    for number in (1, 2):
        world.edit_flag(defaultVariant="on")
        assert (counted(), counted()) == (number - 1, number - 1)
        world.reconcile()
        assert (counted(), counted()) == (number, number)
    shown.metrics.forget(SEARCH)
    assert shown.series("tidegate_rollout_drifts_total") == {}
    assert counted() == 0, "another leader counts from where it begins"
