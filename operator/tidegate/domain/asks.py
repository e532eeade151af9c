"""Which gates have to be asked of Prometheus, given where an attempt stands, and in which words."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.gates import Gate
from tidegate.api.rollout_policy import RolloutPolicySpec
from tidegate.api.rollout_status import FeatureRolloutStatus, GateSource, Phase, State
from tidegate.domain.placeholders import render, window_since
from tidegate.domain.problems import QueryProblem
from tidegate.domain.queries import compile_query
from tidegate.domain.snapshot import Rollout

SILENT = frozenset({Phase.SUCCEEDED, Phase.DISABLED, Phase.ROLLED_BACK, Phase.ROLLING_BACK})
"""Phases in which nothing is asked of Prometheus."""
_ANY_WINDOW = timedelta(minutes=1)


def gates_to_ask(spec: FeatureRolloutSpec, policy: RolloutPolicySpec, status: FeatureRolloutStatus) -> Iterator[tuple[GateSource, Gate]]:
    """Guards from the start, the rollout's own gates from the first exposure, nothing once the attempt has ended."""
    if status.attempt == 0 or status.state is State.ROLLBACK or status.phase in SILENT:
        return
    if status.state in (State.ROLLING_OUT, State.ENABLED) and status.percent:
        yield from ((GateSource.ROLLOUT, gate) for gate in spec.gates)
    yield from ((GateSource.POLICY, guard) for guard in policy.guards)


def last_tick(now: datetime, interval: timedelta) -> datetime:
    """The newest multiple of the interval: everybody evaluates at these, so that equal queries are asked once."""
    seconds = interval.total_seconds()
    return datetime.fromtimestamp(math.floor(now.timestamp() / seconds) * seconds, UTC)


def rendered(query: str, rollout: Rollout, interval: timedelta, at: datetime) -> str:
    """A gate's query for this attempt. QueryProblem as `render`."""
    status = rollout.status
    values = {"namespace": rollout.namespace, "name": rollout.name, "revision": status.revision or "", "variant": "on"}
    effective = status.effective_at
    return render(query, values, window_since(at - effective, interval) if effective is not None else window_since(timedelta(0), interval))


def query_fault(gates: tuple[Gate, ...], path: str) -> str | None:
    """What is wrong with the first gate whose PromQL can't be used, named by its field; None where all can."""
    for number, gate in enumerate(gates):
        queries = [("query", gate.query)] + ([("samples.count", gate.samples.count)] if gate.samples else [])
        for field, query in queries:
            try:
                compile_query(render(query, dict.fromkeys(("namespace", "name", "revision", "variant"), "x"), _ANY_WINDOW))
            except QueryProblem as problem:
                return f"{path}[{number}].{field} (gate {gate.name}): {problem}"
    return None
