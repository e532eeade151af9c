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


def test_all_queries_of_a_rollout_together_have_a_bound() -> None:
    """Each of these may be as large; sixteen of them in four fields each would be taken apart for ten seconds at each tick."""
    large = "+".join(f'(x{{a="{number}"}}*2)' for number in range(16))
    gates = [raw_gate(f"gate-{number}", query=f"{large} + {number}", when=f"{large} < {number}") for number in range(16)]
    found = parse_rollout(rollout(raw_spec(gates=gates))).problem
    assert found is not None
    assert found.reason is Reason.INVALID_QUERY
    assert found.message.startswith("spec.gates: all queries together have ")
    assert found.message.endswith(" parts and matchers, and may have 2000: use recording rules")
    assert parse_rollout(rollout(raw_spec(gates=gates[:10]))).problem is None


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


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bake": "7"}, "spec.bake: '7' is not a duration: write a whole number and one unit, such as 30s, 10m, 24h or 7d"),
        ({"stepDeadline": "0s"}, "spec.stepDeadline: must be longer than 0s, not '0s'"),
        (
            {"revision": "v 7"},
            "spec.revision: must consist of letters, digits, ., _, + and -, beginning and ending with a letter or digit, not 'v 7'",
        ),
        (
            {"gates": [raw_gate("A", query="a")]},
            "spec.gates[0].name: must consist of lower-case letters, digits and -, beginning and ending with a letter or digit, not 'A'",
        ),
        (
            {"strategy": {"canary": {"percents": [0.5, 100], "dwell": "1m"}}},
            "spec.strategy.canary.percents[0]: Input should be a valid integer, got a number with a fractional part, not 0.5",
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(fields: dict[str, Any], message: str) -> None:
    """What an older definition let pass, or one that somebody changed."""
    found = parse_rollout(rollout(raw_spec() | fields))
    assert found.problem == Problem(Reason.INVALID_SPEC, message)


@pytest.mark.parametrize("end", ["/api/v1", "/api/v1/", "/api/v1/query", "/api/v1/query_range", "/prometheus/api/v1", "/graph", "/graph/"])
def test_the_address_of_the_api_or_of_its_page_is_no_base_url(end: str) -> None:
    found = parse_policy(
        {"metadata": {"name": "p", "uid": "u", "generation": 1}, "spec": {"prometheus": {"url": f"http://prometheus{end}"}}}
    )
    assert isinstance(found, Problem)
    remedy = "must be the base URL: leave out /api/v1, /api/v1/query or /graph at its end"
    assert (found.reason, found.message) == (Reason.POLICY_INVALID, f"RolloutPolicy p: spec.prometheus.url: {remedy}")


@pytest.mark.parametrize(
    "url", ["http://prometheus:9090", "https://mimir/prometheus/", "http://vm/select/0/prometheus", "http://a/api/v1/b"]
)
def test_a_base_url_may_have_a_path(url: str) -> None:
    found = parse_policy({"metadata": {"name": "p", "uid": "u", "generation": 1}, "spec": {"prometheus": {"url": url}}})
    assert not isinstance(found, Problem)


@pytest.mark.parametrize(
    "prometheus",
    [
        {"url": "http://me:geheim@prometheus"},
        PROMETHEUS | {"caBundle": "geheim"},
        PROMETHEUS | {"headers": [{"name": "X-Token", "value": " geheim"}]},
        PROMETHEUS | {"password": "geheim"},
        "http://me:geheim@prometheus",
    ],
)
def test_what_may_be_a_secret_is_not_repeated(prometheus: Any) -> None:
    found = parse_policy({"metadata": {"name": "p", "uid": "u", "generation": 1}, "spec": {"prometheus": prometheus}})
    assert isinstance(found, Problem)
    assert "geheim" not in found.message
