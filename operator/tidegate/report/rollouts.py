"""Writes what was decided: status under resourceVersion, records into the RolloutRun, then `pending` is cleared. Events follow later."""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from tidegate.api.records import Record
from tidegate.api.rollout_status import FeatureRolloutStatus, GateStatus
from tidegate.clients.errors import ApiError, NotFound
from tidegate.clients.kubernetes import JsonObject, Kubernetes
from tidegate.clients.resources import FEATURE_ROLLOUTS
from tidegate.domain.keys import Key, Kind
from tidegate.domain.snapshot import Rollout
from tidegate.report.events import announcements
from tidegate.report.runs import Runs

_log = logging.getLogger(__name__)
_LIVE = ("value", "baseline", "samples", "samples_expected_at", "sample_time", "worst_series", "message")
_CHECKPOINT = 600
"""Seconds between two writes of how far a count has come: what happened since is asked of Prometheus again after a restart."""


class RolloutReports:
    """`kept(uid, status)` remembers the gates of a status that was refused, `dropped(uid)` forgets them; `recorded` and `announce` are told
    of records that are new in the run, the one to count them, the other with their Events."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        runs: Runs,
        check_fence: Callable[[], None],
        written: Callable[[JsonObject], None],
        kept: Callable[[str, FeatureRolloutStatus], None],
        dropped: Callable[[str], None],
        recorded: Callable[[Rollout, tuple[Record, ...]], None],
        announce: Callable[[Key, Sequence[JsonObject]], None],
    ) -> None:
        self._kubernetes = kubernetes
        self._runs = runs
        self._check_fence = check_fence
        self._written = written
        self._kept = kept
        self._dropped = dropped
        self._recorded = recorded
        self._announce = announce

    async def report(self, rollout: Rollout, status: FeatureRolloutStatus, resource_version: str) -> None:
        """A status that says nothing new is not written. Raises Conflict where somebody else wrote first: look again."""
        if significant(status) != significant(rollout.status):
            try:
                resource_version = await self._write(rollout, status, resource_version)
            except ApiError:
                self._kept(rollout.uid, status)
                raise
        self._dropped(rollout.uid)
        if status.pending is None:
            return
        added = await self._runs.append(rollout, status, status.pending.records)
        self._recorded(rollout, added)
        for record in added:
            _log.info("%s: %s", record.transition, record.message, extra={"seq": record.seq, "head": record.hash})
        about = Key(Kind.FEATURE_ROLLOUT, rollout.namespace, rollout.name)
        self._announce(about, announcements(rollout, status.attempt, added))
        await self._write(rollout, status.model_copy(update={"pending": None}), resource_version)

    async def _write(self, rollout: Rollout, status: FeatureRolloutStatus, resource_version: str) -> str:
        self._check_fence()
        operation = {"op": "add", "path": "/status", "value": status.to_wire()}
        try:
            stored = await self._kubernetes.json_patch(
                FEATURE_ROLLOUTS,
                rollout.namespace,
                rollout.name,
                [operation],
                subresource="status",
                resource_version=resource_version,
            )
        except NotFound:
            return resource_version
        self._written(stored)
        return str(stored["metadata"]["resourceVersion"])


def significant(status: FeatureRolloutStatus) -> FeatureRolloutStatus:
    """The status without what changes at every reading: verdicts, phases and evidence are written, live values are metrics."""
    gates = tuple(_without_live(gate) for gate in status.gates)
    conditions = tuple(condition.model_copy(update={"message": ""}) for condition in status.conditions)
    return status.model_copy(update={"gates": gates, "conditions": conditions})


def _without_live(gate: GateStatus) -> GateStatus:
    counted = gate.counted
    if counted is not None:
        slot = datetime.fromtimestamp(counted.until.timestamp() // _CHECKPOINT * _CHECKPOINT, UTC)
        counted = counted.model_copy(update={"until": slot, "total": "", "series": {}})
    return gate.model_copy(update=dict.fromkeys(_LIVE, None) | {"message": "", "counted": counted})
