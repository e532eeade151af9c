"""Gates without data: since when, and from when on a person has to look at it.

Missing data hold and are reported in the gates' status at once. Once the step's dwell is over nothing else holds it: from then on they get
five minutes to come back by themselves.
"""

from datetime import timedelta

from tidegate.api.conditions import SOURCE_FAILURES, Reason
from tidegate.api.rollout_status import GateStatus, Verdict
from tidegate.api.types import format_second
from tidegate.decide.gates.judging import kind_of
from tidegate.decide.gates.readings import NoDataReason
from tidegate.decide.rollout.draft import Draft
from tidegate.decide.rollout.waiting import dwell_ends, gates_that_count
from tidegate.domain.answers import Failure
from tidegate.domain.problems import Problem
from tidegate.domain.snapshot import Policy

PATIENCE = timedelta(minutes=5)


def note_missing(draft: Draft) -> None:
    """Keeps since when anything is missing that the next step, or the end of the bake, waits for."""
    if _missing(draft) is None:
        draft.set(without_data_since=None)
    elif draft.status.without_data_since is None:
        draft.set(without_data_since=draft.now)


def long_missing(draft: Draft) -> Problem | None:
    """What has been missing for too long, with the remedy."""
    missing, since = _missing(draft), draft.status.without_data_since
    if missing is None or since is None:
        return None
    ends = dwell_ends(draft)
    if draft.now < (since if ends is None else max(since, ends)) + PATIENCE:
        return None
    return Problem(Reason.NO_DATA, f"no data since {format_second(since)}: {missing}"[:1024])


def _missing(draft: Draft) -> str | None:
    """What is missing, and what to do about it; None where nothing is."""
    policy, unknown = draft.snapshot.policy, draft.snapshot.unknown_metrics
    if draft.is_off or not isinstance(policy, Policy):
        return None
    if isinstance(unknown, Failure):
        return f"the gates' metrics can't be looked up: {unknown.message}; {_remedy(unknown.reason, policy)}"
    judged = {(gate.source, gate.name): gate for gate in draft.status.gates}
    found = (judged.get(one) for one in gates_that_count(draft))
    gate = next((one for one in found if one is not None and one.verdict is Verdict.NO_DATA), None)
    return None if gate is None else _explained(gate, policy)


def _explained(gate: GateStatus, policy: Policy) -> str:
    told = f"{kind_of(gate.source)} {gate.name}: {gate.message[:400]}"
    return told if gate.no_data_reason == NoDataReason.STAMPED_AHEAD else f"{told}; {_remedy(gate.no_data_reason, policy)}"


def _remedy(reason: str | None, policy: Policy) -> str:
    if reason == Reason.QUERY_SLOW:
        return f"make its query quicker, such as by a recording rule, or raise spec.prometheus.timeout of RolloutPolicy {policy.name}"[:400]
    if reason == Reason.SOURCE_BUSY:
        return "ask fewer queries in this namespace, or quicker ones, such as by recording rules"
    if reason in SOURCE_FAILURES:
        return f"see that {policy.spec.prometheus.url} answers, or correct spec.prometheus of RolloutPolicy {policy.name}"[:400]
    if reason == Reason.INTERNAL_ERROR:
        return "see the operator's log"
    return "see that its metrics are scraped, or correct its query"
