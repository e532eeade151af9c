"""Gates that are taken from the policy."""

from typing import Any

from tests.builders import policy, raw_gate, spec
from tidegate.api.conditions import Reason
from tidegate.api.gates import RolloutGate
from tidegate.domain.templates import Resolved, resolved_gates

TEMPLATES = [raw_gate("latency", advance={"lt": 2}), raw_gate("errors")]


def resolved(*gates: dict[str, Any]) -> Resolved:
    return resolved_gates(spec(gates=list(gates)), policy(gateTemplates=TEMPLATES).spec)


def test_a_template_is_taken_whole_under_its_own_name_or_another() -> None:
    found = resolved(raw_gate("own"), {"use": "latency"}, {"use": "latency", "name": "slow"})
    assert [gate.name for gate in found.own] == ["own"]
    assert [gate.name for gate in found.templates] == ["latency", "slow"]
    assert all(gate.advance is not None and gate.advance.lt == 2 for gate in found.templates)
    assert found.problem is None


def test_a_template_that_is_not_there_is_named_and_the_rest_stays() -> None:
    found = resolved({"use": "saturation"}, raw_gate("own"), {"use": "errors"})
    assert [gate.name for gate in found.gates] == ["own", "errors"]
    assert found.problem is not None
    assert found.problem.reason is Reason.TEMPLATE_MISSING
    assert (
        found.problem.message == "gate saturation uses template saturation, which the RolloutPolicy doesn't have (it has errors, latency)"
    )


def test_writing_a_gate_out_loses_nothing() -> None:
    fields = raw_gate("full", samples={"count": "n", "min": 5}, when="open", series="one", relativeTo={"offset": "7d"}, startsEmpty=True)
    gate = RolloutGate.model_validate(fields)
    assert gate.written_out.to_wire() == gate.to_wire()
