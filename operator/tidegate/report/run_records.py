"""Appends records to the RolloutRuns of their attempts. Appending twice changes nothing: records go by their seq."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from tidegate.api.base import API_VERSION
from tidegate.api.records import Record
from tidegate.api.rollout_run import MAX_RECORDS, ROLLOUT_LABEL, TARGET_LABEL, PreviousRun, RolloutRunSpec, RolloutRunStatus
from tidegate.api.rollout_status import FeatureRolloutStatus
from tidegate.clients.errors import AlreadyExists, NotFound
from tidegate.clients.resources import ROLLOUT_RUNS, JsonObject
from tidegate.clients.writer import Writer
from tidegate.domain.history import target_label
from tidegate.domain.script import rejects
from tidegate.domain.snapshot import Rollout, RunView
from tidegate.levers.choosing import lever_for
from tidegate.report.chain import chained

_log = logging.getLogger(__name__)
MAX_PARTS = 1000


@dataclass(frozen=True, slots=True)
class _Attempt:
    """Whose run it is."""

    rollout: Rollout
    number: int
    revision: str | None

    def name(self, part: int) -> str:
        base = f"{self.rollout.name}-{self.number}"
        return base if part == 1 else f"{base}-part{part}"

    def labels(self) -> dict[str, str]:
        spec = self.rollout.followed_spec()
        target = {} if spec is None else {TARGET_LABEL: target_label(lever_for(spec.target).identity)}
        return {ROLLOUT_LABEL: self.rollout.name, **target}

    def spec(self, part: int, previous: PreviousRun | None) -> RolloutRunSpec:
        spec = self.rollout.followed_spec()
        return RolloutRunSpec(
            rollout=self.rollout.name,
            uid=self.rollout.uid,
            attempt=self.number,
            part=part,
            revision=self.revision,
            target=None if spec is None else spec.target,
            previous=previous,
        )


class Runs:
    """The writer of RolloutRuns. They have no owner: a record outlives its FeatureRollout."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def append(self, rollout: Rollout, status: FeatureRolloutStatus, records: tuple[Record, ...]) -> tuple[Record, ...]:
        """Appends each record that is not there yet to the run of its attempt; returns the new ones, with their hashes."""
        added: tuple[Record, ...] = ()
        for number, group in groupby(records, key=lambda record: record.attempt or status.attempt):
            of_attempt = tuple(group)
            revision = status.revision if of_attempt[0].attempt is None else of_attempt[0].revision
            added += await self._append(_Attempt(rollout, number, revision), of_attempt)
        return added

    async def delete(self, namespace: str, runs: Iterable[RunView]) -> None:
        """Deletes each run, if it is still as it was read; ends at the first that can't be, so that no newer one goes before it."""
        for run in runs:
            try:
                await self._writer.delete(ROLLOUT_RUNS, namespace, run.name, resource_version=run.version)
            except NotFound:
                continue
            _log.info("RolloutRun %s is deleted: too many newer attempts", run.name)

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
            count=len(stored.records) + len(added),
            head=added[-1].hash or "",
            seq=added[-1].seq,
            rejected=stored.rejected or any(map(rejects, added)),
        )
        metadata = run["metadata"]
        await self._writer.write_status(
            ROLLOUT_RUNS, metadata["namespace"], metadata["name"], after.to_wire(), resource_version=metadata["resourceVersion"]
        )
        return added

    async def _newest_part(self, attempt: _Attempt) -> tuple[JsonObject, RolloutRunStatus]:
        run = await self._get_or_create(attempt, 1, None)
        found = RolloutRunStatus.model_validate(run.get("status") or {})
        for part in range(2, MAX_PARTS):
            if len(found.records) < MAX_RECORDS // 2:
                break
            try:
                run = await self._writer.get(ROLLOUT_RUNS, attempt.rollout.namespace, attempt.name(part))
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
            return await self._writer.get(ROLLOUT_RUNS, namespace, name)
        except NotFound:
            pass
        body: JsonObject = {
            "apiVersion": API_VERSION,
            "kind": "RolloutRun",
            "metadata": {"name": name, "namespace": namespace, "labels": attempt.labels()},
            "spec": attempt.spec(part, previous).to_wire(),
        }
        try:
            return await self._writer.create(ROLLOUT_RUNS, body)
        except AlreadyExists:
            return await self._writer.get(ROLLOUT_RUNS, namespace, name)


def _continued(run: JsonObject, before: RolloutRunStatus) -> RolloutRunStatus:
    """The status of a later part. One that was made and not filled, because the process died, goes on where the part before it ended."""
    found = RolloutRunStatus.model_validate(run.get("status") or {})
    if found.seq:
        return found
    head = (run["spec"].get("previous") or {}).get("head", before.head)
    return RolloutRunStatus(head=head, seq=before.seq, rejected=before.rejected)
