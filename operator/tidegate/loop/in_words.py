"""One reconcile as a line of the log: what was read, and what was decided."""

from tidegate.api.rollout_status import FeatureRolloutStatus, GateStatus
from tidegate.domain.decision import Action, Decision
from tidegate.domain.exposure import Reading, Write
from tidegate.domain.problems import Problem
from tidegate.domain.snapshot import Policy, Snapshot


def in_words(snapshot: Snapshot, decision: Decision) -> str:
    """Bounded: a rollout has at most 32 gates."""
    rollout = snapshot.rollout
    read = [f"generation {rollout.generation}", _place(rollout.status), _policy(snapshot.policy), _reading(snapshot.reading)]
    decided = [_place(decision.status), *map(_gate, decision.status.gates), *map(_action, decision.actions)]
    wake = "at the next event" if decision.requeue_after is None else f"in {decision.requeue_after:.2f} s"
    return f"read: {', '.join(read)}; decided: {', '.join(decided)}; again {wake}"


def _place(status: FeatureRolloutStatus) -> str:
    records = 0 if status.pending is None else len(status.pending.records)
    raising = "" if status.raising is None else f" to {status.raising.percent} %"
    waiting = f", {records} records to append" if records else ""
    return f"{status.phase} in attempt {status.attempt} at {status.step_percent} %{raising}{waiting}"


def _policy(policy: Policy | Problem) -> str:
    return f"no policy ({policy.reason})" if isinstance(policy, Problem) else f"policy {policy.name} of generation {policy.generation}"


def _reading(reading: Reading | Problem) -> str:
    if isinstance(reading, Problem):
        return f"the target can't be read ({reading.reason})"
    return "no target" if reading.percent is None else f"the target shows {reading.percent} %"


def _gate(gate: GateStatus) -> str:
    value = "" if gate.value is None else f" at {gate.value}"
    return f"{gate.source} {gate.name} {gate.verdict}{value}"


def _action(action: Action) -> str:
    return f"writes {action.percent} %" if isinstance(action, Write) else type(action).__name__
