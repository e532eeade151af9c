"""One Kubernetes Event per record. Its name follows from the record, so that a record announced twice makes one Event."""

from collections.abc import Iterable

from tidegate.api.base import API_VERSION
from tidegate.api.records import Record, Transition
from tidegate.api.types import format_time
from tidegate.clients.resources import JsonObject
from tidegate.domain.snapshot import Rollout

_WARNINGS = frozenset(
    {
        Transition.ROLLED_BACK,
        Transition.SPEC_INVALID,
        Transition.LOWERED_ELSEWHERE,
        Transition.DRIFTED,
        Transition.STEP_DEADLINE_EXCEEDED,
        Transition.NO_DATA_DEADLINE,
        Transition.GUARD_BREACHED,
        Transition.LEASE_EXPIRED,
    }
)


def announcements(rollout: Rollout, attempt: int, records: Iterable[Record]) -> list[JsonObject]:
    """The Events of records that are in the RolloutRun already. `attempt` is that of records which don't name theirs."""
    return [_event(rollout, record.attempt or attempt, record) for record in records]


def _event(rollout: Rollout, attempt: int, record: Record) -> JsonObject:
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{rollout.name}.{rollout.uid[:8]}.{attempt}.{record.seq}", "namespace": rollout.namespace},
        "eventTime": _microtime(record),
        "reportingController": "tidegate.io/operator",
        "reportingInstance": "tidegate",
        "action": "Reconcile",
        "reason": record.transition.value,
        "type": "Warning" if record.transition in _WARNINGS else "Normal",
        "note": _note(record),
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": "FeatureRollout",
            "namespace": rollout.namespace,
            "name": rollout.name,
            "uid": rollout.uid,
        },
    }


def _note(record: Record) -> str:
    text = record.message if record.count is None else f"{record.message} ({record.count} times)"
    return text[:1000] or record.transition.value


def _microtime(record: Record) -> str:
    return format_time(record.time).replace("Z", "000Z")
