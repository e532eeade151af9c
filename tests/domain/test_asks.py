"""Which gates are asked, when, and in which words."""

from datetime import timedelta
from typing import Any

import pytest

from tests.builders import after, policy, raw_gate, spec
from tidegate.api.gates import Gate
from tidegate.api.rollout_status import FeatureRolloutStatus, Phase, State
from tidegate.domain.asks import Wording, gates_to_ask, last_tick, median_query, query_fault
from tidegate.domain.queries import compile_query
from tidegate.domain.snapshot import Rollout

SPEC = spec(gates=[raw_gate("errors"), raw_gate("slow")])
POLICY = policy(raw_gate("uptime")).spec
GUARDS = ["uptime"]
ALL = ["errors", "slow", "uptime"]


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"attempt": 0}, []),
        ({"phase": Phase.WAITING, "exposed_at": None}, ALL),  # so that what can't be judged is known before anybody is exposed
        ({"phase": Phase.PENDING, "exposed_at": None}, ALL),
        ({"phase": Phase.WAITING}, GUARDS),
        ({"phase": Phase.WAITING, "step_percent": 0}, GUARDS),
        ({"phase": Phase.PROGRESSING, "state": State.ROLLING_OUT, "step_percent": 10}, ALL),
        ({"phase": Phase.PROGRESSING, "state": State.ROLLING_OUT, "step_percent": 10, "percent": 0}, ALL),  # a manual override
        ({"phase": Phase.PROGRESSING, "state": State.ROLLING_OUT, "step_percent": 10, "effective_at": None}, GUARDS),  # an expired lease
        ({"phase": Phase.PROGRESSING, "state": State.ROLLING_OUT, "step_percent": 0}, GUARDS),
        ({"phase": Phase.PROGRESSING, "state": State.ROLLING_OUT}, GUARDS),
        ({"phase": Phase.PAUSED, "state": State.ROLLING_OUT, "step_percent": 10}, ALL),
        ({"phase": Phase.INVALID, "state": State.ROLLING_OUT, "step_percent": 10}, ALL),
        ({"phase": Phase.BAKING, "state": State.ENABLED, "step_percent": 100}, ALL),
        ({"phase": Phase.SUCCEEDED, "state": State.ENABLED, "step_percent": 100}, []),
        ({"phase": Phase.ROLLING_BACK, "state": State.ROLLBACK, "step_percent": 10}, []),
        ({"phase": Phase.ROLLED_BACK, "state": State.ROLLBACK, "step_percent": 0}, []),
        ({"phase": Phase.INVALID, "state": State.ROLLBACK, "step_percent": 10}, []),
        ({"phase": Phase.DISABLED, "step_percent": 0}, []),
    ],
)
def test_all_gates_from_the_start_guards_alone_while_nobody_is_exposed_any_more_nothing_after_the_end(
    fields: dict[str, Any], names: list[str]
) -> None:
    status = FeatureRolloutStatus(**({"attempt": 1, "effective_at": after(0), "exposed_at": after(0)} | fields))
    assert [asked.gate.name for asked in gates_to_ask(SPEC, POLICY, status)] == names


@pytest.mark.parametrize(
    ("now", "interval", "tick"), [(0, 10, 0), (9.999, 10, 0), (10, 10, 10), (17, 15, 15), (3599, 3600, 0), (0.5, 1, 0), (25, 7, None)]
)
def test_everybody_looks_at_the_same_ticks(now: float, interval: float, tick: float | None) -> None:
    found = last_tick(after(now), timedelta(seconds=interval))
    assert found.timestamp() % interval == 0
    assert 0 <= (after(now) - found).total_seconds() < interval
    assert tick is None or found == after(tick)


def rollout(**status: Any) -> Rollout:
    return Rollout("shop", "search", "u1", 1, "1", False, (), SPEC, None, FeatureRolloutStatus(**status))


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"revision": "v7", "effective_at": after(-95)}, 'rate(x{ns="shop",n="search",r="v7",v="on"}[90s])'),
        ({"revision": "v7", "effective_at": after(-3)}, 'rate(x{ns="shop",n="search",r="v7",v="on"}[10s])'),
        ({"revision": "v7"}, 'rate(x{ns="shop",n="search",r="v7",v="on"}[10s])'),
    ],
)
def test_a_query_is_rendered_for_its_attempt(status: dict[str, Any], expected: str) -> None:
    query = 'rate(x{ns="$namespace",n="$name",r="$revision",v="$variant"}[$window])'
    assert Wording(rollout(**status), timedelta(seconds=10), after(0))(query) == expected


@pytest.mark.parametrize("query", ["x", "x # as it was", 'x{a="#"}'])
def test_a_median_is_of_the_whole_query(query: str) -> None:
    """Baselines keep their comments, which would go on behind them."""
    assert compile_query(median_query(query, timedelta(days=1), timedelta(seconds=30))).reach == timedelta(days=1)


def gates(**fields: Any) -> tuple[Gate, ...]:
    return (Gate.model_validate(raw_gate("fine")), Gate.model_validate(raw_gate("odd", **fields)))


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({}, None),
        ({"query": 'rate(x{n="$name"}[$window])'}, None),
        ({"query": "rate(x[5m)"}, "spec.gates[1].query (gate odd): not valid PromQL"),
        ({"query": "x[5m]"}, "spec.gates[1].query (gate odd): gives a range"),
        (
            {"query": "(" * 1000 + "x" + ")" * 1000},
            "spec.gates[1].query (gate odd): has more than 50 brackets and operators within each other",
        ),
        ({"query": 'x{a="$pod"}'}, "spec.gates[1].query (gate odd): $pod is not a placeholder"),
        ({"samples": {"count": "sum(", "min": 5}}, "spec.gates[1].samples.count (gate odd): not valid PromQL"),
        ({"samples": {"count": "trades_total", "min": 5}}, None),
    ],
)
def test_a_query_that_cannot_be_used_is_named_by_its_field(fields: dict[str, Any], fault: str | None) -> None:
    found = query_fault(((gate.name, gate) for gate in gates(**fields)), "spec.gates")
    assert found is None if fault is None else found is not None and found.startswith(fault)
