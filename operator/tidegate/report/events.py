"""One Kubernetes Event per record. Its name follows from the record, so that a record told twice makes one Event."""

import logging
from collections.abc import Iterable

from tidegate.api.base import API_VERSION
from tidegate.api.records import Record, Transition
from tidegate.api.types import format_time
from tidegate.clients.errors import AlreadyExists, ApiError
from tidegate.clients.kubernetes import JsonObject, Kubernetes
from tidegate.clients.resources import EVENTS
from tidegate.domain.snapshot import Rollout

_log = logging.getLogger(__name__)
_WARNINGS = frozenset(
    {
        Transition.ROLLED_BACK,
        Transition.SPEC_INVALID,
        Transition.FLAG_LOWERED_ELSEWHERE,
        Transition.DRIFTED,
        Transition.STEP_DEADLINE_EXCEEDED,
        Transition.NO_DATA_DEADLINE,
        Transition.GUARD_BREACHED,
        Transition.LEASE_EXPIRED,
    }
)


async def announce(kubernetes: Kubernetes, rollout: Rollout, attempt: int, records: Iterable[Record]) -> None:
    """Events are a courtesy: the record is in the RolloutRun already, so one that can't be written is logged and left. `attempt` is that
    of records which don't name theirs."""
    for record in records:
        try:
            await kubernetes.create(EVENTS, _event(rollout, record.attempt or attempt, record))
        except AlreadyExists:
            continue
        except ApiError as error:
            _log.warning("no Event for %s: %s", record.transition, error)


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
        "note": record.message[:1000] or record.transition.value,
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": "FeatureRollout",
            "namespace": rollout.namespace,
            "name": rollout.name,
            "uid": rollout.uid,
        },
    }


def _microtime(record: Record) -> str:
    return format_time(record.time).replace("Z", "000Z")
