"""Appends records to the RolloutRuns of their attempts. Appending twice changes nothing: records go by their seq."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

from tidegate.api.base import API_VERSION
from tidegate.api.records import Record, Transition
from tidegate.api.rollout_run import MAX_RECORDS, ROLLOUT_LABEL, PreviousRun, RolloutRunSpec, RolloutRunStatus, RunTarget
from tidegate.api.rollout_status import FeatureRolloutStatus, Phase
from tidegate.clients.errors import AlreadyExists, NotFound
from tidegate.clients.kubernetes import JsonObject, Kubernetes
from tidegate.clients.resources import ROLLOUT_RUNS
from tidegate.domain.snapshot import Rollout
from tidegate.report.chain import chained

MAX_PARTS = 1000
_ROLLING_BACK = frozenset({Phase.ROLLING_BACK.value, Phase.ROLLED_BACK.value})


@dataclass(frozen=True, slots=True)
class _Attempt:
    """Whose run it is."""

    rollout: Rollout
    number: int
    revision: str | None

    def name(self, part: int) -> str:
        base = f"{self.rollout.name}-{self.number}"
        return base if part == 1 else f"{base}-part{part}"

    def spec(self, part: int, previous: PreviousRun | None) -> RolloutRunSpec:
        spec = self.rollout.followed_spec()
        flag = None if spec is None else spec.target.flag
        return RolloutRunSpec(
            rollout=self.rollout.name,
            uid=self.rollout.uid,
            attempt=self.number,
            part=part,
            revision=self.revision,
            target=None if flag is None else RunTarget(config_map=flag.config_map, key=flag.key),
            previous=previous,
        )


class Runs:
    """The writer of RolloutRuns. They have no owner: a record outlives what it tells of."""

    def __init__(self, kubernetes: Kubernetes, check_fence: Callable[[], None]) -> None:
        self._kubernetes = kubernetes
        self._check_fence = check_fence

    async def append(self, rollout: Rollout, status: FeatureRolloutStatus, records: tuple[Record, ...]) -> tuple[Record, ...]:
        """Appends each record that is not there yet to the run of its attempt; returns the new ones, with their hashes."""
        added: tuple[Record, ...] = ()
        for number, group in groupby(records, key=lambda record: record.attempt or status.attempt):
            told = tuple(group)
            revision = status.revision if told[0].attempt is None else told[0].revision
            added += await self._append(_Attempt(rollout, number, revision), told)
        return added

    async def _append(self, attempt: _Attempt, records: tuple[Record, ...]) -> tuple[Record, ...]:
        run, stored = await self._newest_part(attempt)
        new = tuple(record for record in records if record.seq > stored.seq)
        if not new:
            return ()
        if len(stored.records) + len(new) > MAX_RECORDS:
            run, stored = await self._next_part(attempt, run, stored)
        added = chained(stored.head, new)
        after = RolloutRunStatus(
            records=stored.records + added,
            head=added[-1].hash or "",
            seq=added[-1].seq,
            rejected=stored.rejected or any(map(rejects, added)),
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

    async def _newest_part(self, attempt: _Attempt) -> tuple[JsonObject, RolloutRunStatus]:
        run = await self._get_or_create(attempt, 1, None)
        found = RolloutRunStatus.model_validate(run.get("status") or {})
        for part in range(2, MAX_PARTS):
            if len(found.records) < MAX_RECORDS // 2:
                break
            try:
                run = await self._kubernetes.get(ROLLOUT_RUNS, attempt.rollout.namespace, attempt.name(part))
            except NotFound:
                break
            found = _continued(run, found)
        return run, found

    async def _next_part(self, attempt: _Attempt, run: JsonObject, stored: RolloutRunStatus) -> tuple[JsonObject, RolloutRunStatus]:
        previous = PreviousRun(name=run["metadata"]["name"], head=stored.head)
        fresh = await self._get_or_create(attempt, run["spec"].get("part", 1) + 1, previous)
        return fresh, _continued(fresh, stored)

    async def _get_or_create(self, attempt: _Attempt, part: int, previous: PreviousRun | None) -> JsonObject:
        name, namespace = attempt.name(part), attempt.rollout.namespace
        try:
            return await self._kubernetes.get(ROLLOUT_RUNS, namespace, name)
        except NotFound:
            pass
        body: JsonObject = {
            "apiVersion": API_VERSION,
            "kind": "RolloutRun",
            "metadata": {"name": name, "namespace": namespace, "labels": {ROLLOUT_LABEL: attempt.rollout.name}},
            "spec": attempt.spec(part, previous).to_wire(),
        }
        self._check_fence()
        try:
            return await self._kubernetes.create(ROLLOUT_RUNS, body)
        except AlreadyExists:
            return await self._kubernetes.get(ROLLOUT_RUNS, namespace, name)


def _continued(run: JsonObject, before: RolloutRunStatus) -> RolloutRunStatus:
    """The status of a later part. One that was made and not filled, because the process died, goes on where the part before it ended."""
    found = RolloutRunStatus.model_validate(run.get("status") or {})
    if found.seq:
        return found
    head = (run["spec"].get("previous") or {}).get("head", before.head)
    return RolloutRunStatus(head=head, seq=before.seq, rejected=before.rejected)


def rejects(record: Record) -> bool:
    """Also by an attempt that found itself rolled back before: its run must remember it when flag and older runs are gone."""
    return record.transition is Transition.ROLLED_BACK or record.to_phase in _ROLLING_BACK
