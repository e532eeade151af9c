"""Gates as they are judged: each look knows what status kept of the one before."""

from tests.builders import context
from tidegate.api.gates import Gate
from tidegate.api.rollout_status import GateSource, GateStatus
from tidegate.decide.gates.blame import blamed
from tidegate.decide.gates.verdict import Context, judge
from tidegate.domain.answers import GateAnswer


def judged(one: Gate, *looks: tuple[GateAnswer, Context]) -> list[GateStatus]:
    """What is said at each look, as it is read back from the API server."""
    out = list[GateStatus]()
    for given, at in looks:
        before = out[-1] if out else None
        status = judge(one, GateSource.ROLLOUT, blamed(one, given, before), before, at)
        assert status is not None
        out.append(GateStatus.model_validate(status.to_wire()))
    return out


def said(one: Gate, given: GateAnswer, at: Context | None = None) -> GateStatus:
    return judged(one, (given, at or context()))[0]
