"""Appends records to the RolloutRun of an attempt. Appending twice changes nothing: records go by their seq."""

from collections.abc import Callable

from tidegate.api.base import API_VERSION
from tidegate.api.records import Record, Transition
from tidegate.api.rollout_run import MAX_RECORDS, PreviousRun, RolloutRunSpec, RolloutRunStatus
from tidegate.api.rollout_status import FeatureRolloutStatus
from tidegate.clients.errors import AlreadyExists, NotFound
from tidegate.clients.kubernetes import JsonObject, Kubernetes
from tidegate.clients.resources import ROLLOUT_RUNS
from tidegate.domain.snapshot import Rollout
from tidegate.report.chain import chained

ROLLOUT_LABEL = "tidegate.io/rollout"
MAX_PARTS = 1000


class Runs:
    """The writer of RolloutRuns. They have no owner: a record outlives what it tells of."""

    def __init__(self, kubernetes: Kubernetes, check_fence: Callable[[], None]) -> None:
        self._kubernetes = kubernetes
        self._check_fence = check_fence

    async def append(self, rollout: Rollout, status: FeatureRolloutStatus, records: tuple[Record, ...]) -> tuple[Record, ...]:
        """Appends what is not in the run yet; returns the records that were new, with their hashes."""
        run, stored = await self._newest_part(rollout, status)
        new = tuple(record for record in records if record.seq > stored.seq)
        if not new:
            return ()
        if len(stored.records) + len(new) > MAX_RECORDS:
            run, stored = await self._next_part(rollout, status, run, stored)
        added = chained(stored.head, new)
        after = RolloutRunStatus(
            records=stored.records + added,
            head=added[-1].hash or "",
            seq=added[-1].seq,
            rejected=stored.rejected or any(record.transition is Transition.ROLLED_BACK for record in added),
        )
        self._check_fence()
        operation = {"op": "add", "path": "/status", "value": after.to_wire()}
        metadata = run["metadata"]
        await self._kubernetes.json_patch(
            ROLLOUT_RUNS,
            metadata["namespace"],
            metadata["name"],
            [operation],
            subresource="status",
            resource_version=metadata["resourceVersion"],
        )
        return added

    async def _newest_part(self, rollout: Rollout, status: FeatureRolloutStatus) -> tuple[JsonObject, RolloutRunStatus]:
        run = await self._get_or_create(rollout, status, 1, None)
        found = RolloutRunStatus.model_validate(run.get("status") or {})
        for part in range(2, MAX_PARTS):
            if len(found.records) < MAX_RECORDS // 2:
                break
            try:
                run = await self._kubernetes.get(ROLLOUT_RUNS, rollout.namespace, _name(rollout, status, part))
            except NotFound:
                break
            found = RolloutRunStatus.model_validate(run.get("status") or {})
        return run, found

    async def _next_part(
        self, rollout: Rollout, status: FeatureRolloutStatus, run: JsonObject, stored: RolloutRunStatus
    ) -> tuple[JsonObject, RolloutRunStatus]:
        previous = PreviousRun(name=run["metadata"]["name"], head=stored.head)
        fresh = await self._get_or_create(rollout, status, run["spec"].get("part", 1) + 1, previous)
        found = RolloutRunStatus.model_validate(fresh.get("status") or {})
        return fresh, found if found.seq else RolloutRunStatus(head=stored.head, seq=stored.seq, rejected=stored.rejected)

    async def _get_or_create(self, rollout: Rollout, status: FeatureRolloutStatus, part: int, previous: PreviousRun | None) -> JsonObject:
        name = _name(rollout, status, part)
        try:
            return await self._kubernetes.get(ROLLOUT_RUNS, rollout.namespace, name)
        except NotFound:
            pass
        spec = RolloutRunSpec(
            rollout=rollout.name, uid=rollout.uid, attempt=status.attempt, part=part, revision=status.revision, previous=previous
        )
        body: JsonObject = {
            "apiVersion": API_VERSION,
            "kind": "RolloutRun",
            "metadata": {"name": name, "namespace": rollout.namespace, "labels": {ROLLOUT_LABEL: rollout.name}},
            "spec": spec.to_wire(),
        }
        self._check_fence()
        try:
            return await self._kubernetes.create(ROLLOUT_RUNS, body)
        except AlreadyExists:
            return await self._kubernetes.get(ROLLOUT_RUNS, rollout.namespace, name)


def _name(rollout: Rollout, status: FeatureRolloutStatus, part: int) -> str:
    base = f"{rollout.name}-{status.attempt}"
    return base if part == 1 else f"{base}-part{part}"
