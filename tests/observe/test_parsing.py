"""What people write, as it is read: whatever is wrong with it is named, and costs no more than itself."""

from typing import Any

import pytest

from tests.builders import raw_gate, raw_spec
from tidegate.api.conditions import Reason
from tidegate.domain.problems import Problem
from tidegate.observe.parsing import parse_policy, parse_rollout

NESTED = raw_gate(query="(" * 1000 + "errors" + ")" * 1000)
PROMETHEUS = {"url": "http://prometheus:9090"}


def rollout(spec: dict[str, Any], **status: Any) -> dict[str, Any]:
    metadata = {"namespace": "shop", "name": "search", "uid": "u1", "generation": 1, "resourceVersion": "7"}
    return {"metadata": metadata, "spec": spec, "status": status}


def test_a_query_that_no_parser_survives_leaves_the_switches_and_the_last_valid_rules() -> None:
    valid = raw_spec(gates=[raw_gate()])
    found = parse_rollout(rollout(raw_spec(gates=[NESTED], enabled=False), validSpec=valid))
    assert found.problem is not None
    assert found.problem.reason is Reason.INVALID_QUERY
    assert "spec.gates[0].query (gate errors): has more than 50 brackets" in found.problem.message
    followed = found.followed_spec()
    assert followed is not None
    assert ([gate.query for gate in followed.gates], followed.enabled) == (["errors"], False)


def test_a_query_that_breaks_the_parser_is_a_problem_of_the_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("tidegate.observe.parsing.query_fault", broken)
    found = parse_rollout(rollout(raw_spec(enabled=False), validSpec=raw_spec()))
    assert found.problem is not None
    assert found.problem.reason is Reason.INTERNAL_ERROR
    followed = found.followed_spec()
    assert followed is not None
    assert not followed.enabled


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"guards": [NESTED]}, "spec.guards[0].query (gate errors)"),
        ({"gateTemplates": [NESTED]}, "spec.gateTemplates[0].query (gate errors)"),
        ({"baselines": [{"name": "errors", "query": NESTED["query"], "over": "1d"}]}, "spec.baselines[0].query (baseline errors)"),
    ],
)
def test_a_policys_query_that_no_parser_survives_is_named(fields: dict[str, Any], path: str) -> None:
    metadata = {"name": "production", "uid": "u1", "generation": 1}
    found = parse_policy({"metadata": metadata, "spec": {"prometheus": PROMETHEUS} | fields})
    assert isinstance(found, Problem)
    assert (found.reason, f"{path}: has more than 50 brackets" in found.message) == (Reason.POLICY_INVALID, True)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("target", "spec.target: give exactly one target: flag"),
        ("strategy", "spec.strategy: give exactly one strategy: canary"),
    ],
)
def test_a_union_of_which_nothing_is_given_is_an_invalid_spec(field: str, message: str) -> None:
    """Beyond what the API server lets through: a later version may have another member, and this one read it after a downgrade."""
    found = parse_rollout(rollout(raw_spec() | {field: {}}, validSpec=raw_spec()))
    assert found.problem == Problem(Reason.INVALID_SPEC, message)
    assert found.followed_spec() == parse_rollout(rollout(raw_spec())).spec
    named = parse_rollout(rollout(raw_spec() | {field: {"later": {}}}))
    assert named.problem is not None
    assert f"spec.{field}.later" in named.problem.message
