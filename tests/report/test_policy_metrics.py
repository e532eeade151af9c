"""What /metrics tells of policies: their conditions, and how often and why their Prometheus gave no answer."""

import pytest
from prometheus_client import CollectorRegistry

from tests.builders import after
from tidegate.api.conditions import Condition, ConditionType, Reason
from tidegate.report.policy_metrics import SOURCE_ERRORS, PolicyMetrics


def condition(kind: ConditionType, reason: Reason) -> Condition:
    return Condition(type=kind, status="True", reason=reason.value, last_transition_time=after(0))


class Shown:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = PolicyMetrics(self.registry)

    def errors(self, policy: str) -> dict[str, float]:
        """By reason."""
        return {one["reason"]: number for one, number in self.series("tidegate_source_errors_total") if one["policy"] == policy}

    def reasons(self) -> dict[tuple[str, str], str]:
        """Of each condition, by policy and type."""
        return {(one["policy"], one["type"]): one["reason"] for one, number in self.series("tidegate_policy_condition") if number == 1}

    def series(self, metric: str) -> list[tuple[dict[str, str], float]]:
        families = self.registry.collect()
        return [(sample.labels, sample.value) for family in families for sample in family.samples if sample.name == metric]


@pytest.fixture
def shown() -> Shown:
    return Shown()


def test_errors_are_counted_by_reason_from_0(shown: Shown) -> None:
    shown.metrics.show("production", ())
    shown.metrics.show("staging", ())
    assert shown.errors("production") == {reason.value: 0 for reason in SOURCE_ERRORS}
    for reason in (Reason.PROMETHEUS_TIMEOUT, Reason.QUERY_REFUSED, Reason.PROMETHEUS_TIMEOUT):
        shown.metrics.failed("production", reason)
    assert {reason: number for reason, number in shown.errors("production").items() if number} == {
        "PrometheusTimeout": 2,
        "QueryRefused": 1,
    }
    assert not any(shown.errors("staging").values())


def test_a_condition_is_shown_by_its_reason_of_now(shown: Shown) -> None:
    shown.metrics.show("production", (condition(ConditionType.METRICS_AVAILABLE, Reason.ANSWERING),))
    shown.metrics.show("production", (condition(ConditionType.METRICS_AVAILABLE, Reason.PROMETHEUS_TIMEOUT),))
    assert shown.reasons() == {("production", "MetricsAvailable"): "PrometheusTimeout"}


def test_all_of_it_vanishes_with_the_policy(shown: Shown) -> None:
    for policy in ("production", "staging"):
        shown.metrics.show(policy, (condition(ConditionType.READY, Reason.VALID),))
    shown.metrics.forget("production")
    shown.metrics.failed("production", Reason.PROMETHEUS_TIMEOUT)
    assert {
        one["policy"] for metric in ("tidegate_source_errors_total", "tidegate_policy_condition") for one, _ in shown.series(metric)
    } == {"staging"}, "also where a question was still under way"
