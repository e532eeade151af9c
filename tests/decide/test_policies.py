"""A policy's baselines: measured once, kept, and measured anew only on request."""

from dataclasses import replace
from typing import Any

import pytest

from tests.builders import after, answer
from tidegate.api.conditions import Condition, ConditionType, Reason
from tidegate.api.rollout_policy import RolloutPolicySpec, RolloutPolicyStatus
from tidegate.decide.policy import AGAIN, AGAIN_SOON, decide_policy
from tidegate.domain.answers import Answer, Failure
from tidegate.domain.baselines import baseline_fault, due_baselines
from tidegate.domain.policy_view import PolicyView
from tidegate.domain.problems import Problem
from tidegate.domain.snapshot import Policy

PROMETHEUS = {"url": "http://prometheus:9090"}
LATENCY = {"name": "latency", "query": "latency_seconds", "over": "1d"}
SILENT = Failure(Reason.PROMETHEUS_UNREACHABLE, "connection refused")


def spec(*baselines: dict[str, Any]) -> RolloutPolicySpec:
    return RolloutPolicySpec.model_validate({"prometheus": PROMETHEUS, "baselines": list(baselines)})


def view(
    given: RolloutPolicySpec, status: RolloutPolicyStatus | None = None, source: Failure | None = None, **medians: Answer | Failure
) -> PolicyView:
    policy = Policy("production", "u", 1, given)
    return PolicyView("production", "u", 1, "1", policy, source, status or RolloutPolicyStatus(), medians)


def measured(status: RolloutPolicyStatus) -> dict[str, str]:
    return {one.name: one.value for one in status.baselines}


def questionable(status: RolloutPolicyStatus) -> Condition | None:
    return next((one for one in status.conditions if one.type is ConditionType.QUESTIONABLE), None)


def test_a_baseline_is_measured_once() -> None:
    status, _ = decide_policy(view(spec(LATENCY), latency=answer(0.25)), after(0))
    assert measured(status) == {"latency": "0.25"}
    assert status.baselines[0].at == after(0)
    assert due_baselines(spec(LATENCY), status) == ()
    again, _ = decide_policy(view(spec(LATENCY), status, latency=answer(99)), after(60))
    assert again.baselines == status.baselines, "or each attempt would be judged by the one before it"


@pytest.mark.parametrize("change", [{"renewal": "2026-12"}, {"query": "latency_p99_seconds"}, {"over": "2d"}])
def test_it_is_measured_anew_on_request_and_where_it_would_mean_something_else(change: dict[str, Any]) -> None:
    status, _ = decide_policy(view(spec(LATENCY), latency=answer(0.25)), after(0))
    other = spec(LATENCY | change)
    assert [one.name for one in due_baselines(other, status)] == ["latency"]
    renewed, _ = decide_policy(view(other, status, latency=answer(0.5)), after(60))
    assert measured(renewed) == {"latency": "0.5"}


def test_one_that_is_no_longer_wanted_goes_and_the_others_stay() -> None:
    other = LATENCY | {"name": "errors"}
    status, _ = decide_policy(view(spec(LATENCY, other), latency=answer(1), errors=answer(2)), after(0))
    left, _ = decide_policy(view(spec(other), status), after(60))
    assert measured(left) == {"errors": "2"}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (answer(), "it gives 0 series, and must give one"),
        (answer(1, 2), "it gives 2 series, and must give one"),
        (answer(float("nan")), "it is nan"),
        (SILENT, "connection refused"),
    ],
)
def test_what_can_not_be_measured_is_told(said: Answer | Failure, why: str) -> None:
    status, _ = decide_policy(view(spec(LATENCY), latency=said), after(0))
    found = questionable(status)
    assert found is not None
    assert (measured(status), found.reason) == ({}, "BaselineMissing")
    assert found.message == f"spec.baselines: latency can't be measured: {why}"


def test_a_policy_that_can_not_be_used_keeps_what_it_measured() -> None:
    status, _ = decide_policy(view(spec(LATENCY), latency=answer(1)), after(0))
    broken = replace(view(spec(LATENCY), status), policy=Problem(Reason.POLICY_INVALID, "spec.guards[0].query: not valid PromQL"))
    kept, _ = decide_policy(broken, after(60))
    assert kept.baselines == status.baselines


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("latency", None),
        ('latency{path=~"/a$"}', None),
        ("rate(x[", "spec.baselines[0].query (baseline latency): not valid PromQL"),
        ('x{n="$name"}', "spec.baselines[0].query (baseline latency): has a placeholder"),
        ("x[5m]", "spec.baselines[0].query (baseline latency): gives a range"),
    ],
)
def test_a_baselines_query_is_checked(query: str, fault: str | None) -> None:
    found = baseline_fault(spec(LATENCY | {"query": query}).baselines)
    assert found is None if fault is None else found is not None and found.startswith(fault)


@pytest.mark.parametrize(
    ("given", "again"),
    [
        (view(spec()), AGAIN),
        (view(spec(LATENCY), latency=answer(1)), AGAIN),
        (view(spec(LATENCY), latency=answer()), AGAIN_SOON),
        (view(spec(), source=SILENT), AGAIN_SOON),
    ],
)
def test_what_is_amiss_is_looked_at_again_soon(given: PolicyView, again: float) -> None:
    assert decide_policy(given, after(0))[1] == again


def conditions(status: RolloutPolicyStatus) -> dict[str, tuple[str, str]]:
    return {one.type.value: (one.status, one.reason) for one in status.conditions}


def test_a_policy_whose_source_does_not_answer_is_not_ready_and_may_come_back_by_itself() -> None:
    silent, _ = decide_policy(view(spec(), source=SILENT), after(0))
    failed = ("False", "PrometheusUnreachable")
    assert conditions(silent) == {"Ready": failed, "MetricsAvailable": failed}
    assert silent.conditions[0].message == "connection refused"
    back, _ = decide_policy(view(spec(), silent), after(60))
    assert conditions(back) == {"Ready": ("True", "Valid"), "MetricsAvailable": ("True", "Answering")}


def test_a_policy_whose_secret_is_missing_is_stalled() -> None:
    missing = Problem(Reason.CREDENTIALS_MISSING, "Secret token with key token is not in namespace tidegate-system")
    status, again = decide_policy(replace(view(spec()), source=missing), after(0))
    assert conditions(status)["Ready"] == ("False", "CredentialsMissing")
    assert conditions(status)["Stalled"] == ("True", "CredentialsMissing")
    assert again == AGAIN_SOON
