"""Writes what was decided: status under resourceVersion, and records into the RolloutRuns of their attempts. Log lines say what is new, and
Events follow later."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from tidegate.api.records import Record
from tidegate.api.rollout_status import FeatureRolloutStatus
from tidegate.clients.errors import NotFound
from tidegate.clients.resources import FEATURE_ROLLOUTS, JsonObject
from tidegate.clients.writer import Writer
from tidegate.domain.keys import Key, Kind
from tidegate.domain.recording import unrecorded
from tidegate.domain.snapshot import Rollout, RunView
from tidegate.report.changes import changes
from tidegate.report.events import WARNINGS, About, announcements, change_events
from tidegate.report.run_records import Runs

_log = logging.getLogger(__name__)


class RolloutReports:
    """`recorded` gets the records that are new in the run, and `announce` their Events."""

    def __init__(
        self,
        writer: Writer,
        runs: Runs,
        recorded: Callable[[Rollout, tuple[Record, ...]], None],
        announce: Callable[[Key, Sequence[JsonObject]], None],
    ) -> None:
        self._writer = writer
        self._runs = runs
        self._recorded = recorded
        self._announce = announce

    async def write(self, rollout: Rollout, status: FeatureRolloutStatus) -> Rollout:
        """The rollout as it is stored afterwards. Raises Conflict where an external writer was first: read again."""
        where = rollout.namespace, rollout.name
        try:
            stored = await self._writer.write_status(FEATURE_ROLLOUTS, *where, status.to_wire(), resource_version=rollout.resource_version)
        except NotFound:
            return rollout
        return replace(rollout, resource_version=str(stored["metadata"]["resourceVersion"]), status=status)

    async def prune(self, rollout: Rollout, runs: Iterable[RunView]) -> None:
        """Deletes these runs."""
        await self._runs.delete(rollout.namespace, runs)

    def report_changes(self, rollout: Rollout, status: FeatureRolloutStatus, now: datetime) -> None:
        """What changed in the conditions by this write of status. What a record of the same name says follows with that record. Nothing is
        left to records that can't be appended, nor what was left to them before."""
        recorded = {record.transition.value for record in (status.pending.records if status.pending is not None else ())}
        before = rollout.status.conditions
        if unrecorded(status) is not None:
            before = before if unrecorded(rollout.status) is not None else tuple(one for one in before if one.reason not in recorded)
            recorded = set()
        new = [one for one in changes(before, status.conditions) if one.reason not in recorded]
        for one in new:
            one.log(_log)
        self._announce(_key(rollout), change_events(About.rollout(rollout), new, now))

    async def append(self, rollout: Rollout, status: FeatureRolloutStatus) -> None:
        """Appends the records that wait, and announces those that are new."""
        added = await self._runs.append(rollout, status, status.pending.records if status.pending is not None else ())
        self._recorded(rollout, added)
        for record in added:
            level = logging.WARNING if record.transition in WARNINGS else logging.INFO
            _log.log(level, "%s: %s", record.transition, record.message, extra={"seq": record.seq, "head": record.hash})
        self._announce(_key(rollout), announcements(rollout, status.attempt, added))


def _key(rollout: Rollout) -> Key:
    return Key(Kind.FEATURE_ROLLOUT, rollout.namespace, rollout.name)
