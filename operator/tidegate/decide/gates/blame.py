"""Whose fault it is that a query is refused: the gate's, or the source's."""

from typing import Any

from tidegate.api.conditions import Reason
from tidegate.api.gates import Gate
from tidegate.api.rollout_status import GateStatus
from tidegate.domain.answers import Failure, GateAnswer
from tidegate.domain.asks import gate_fingerprint


def blamed(gate: Gate, answer: GateAnswer, before: GateStatus | None) -> GateAnswer:
    """A query that was answered can't have become wrong by itself: what refuses it now is a fault of the source."""
    if before is None or before.answered != gate_fingerprint(gate):
        return answer
    return GateAnswer(*(_of_the_source(part) for part in (answer.value, answer.samples, answer.base, answer.when)))


def _of_the_source(part: Any) -> Any:
    if not isinstance(part, Failure) or part.reason is not Reason.QUERY_REFUSED:
        return part
    return Failure(Reason.PROMETHEUS_ERROR, f"the source refuses a query that it has answered before: {part.message}")
