"""Writes what was decided: status under resourceVersion, and records into the RolloutRuns of their attempts. Log lines say what is new, and
Events follow later."""

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from tidegate.api.records import Record
from tidegate.api.rollout_status import FeatureRolloutStatus
from tidegate.clients.errors import NotFound
from tidegate.clients.resources import FEATURE_ROLLOUTS, JsonObject
from tidegate.clients.writer import Writer
from tidegate.domain.keys import Key, Kind
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

    async def write(self, rollout: Rollout, status: FeatureRolloutStatus, version: str) -> str:
        """The rollout's resourceVersion afterwards. Raises Conflict where an external writer was first: read again."""
        try:
            stored = await self._writer.write_status(
                FEATURE_ROLLOUTS, rollout.namespace, rollout.name, status.to_wire(), resource_version=version
            )
        except NotFound:
            return version
        return str(stored["metadata"]["resourceVersion"])

    async def prune(self, rollout: Rollout, runs: Iterable[RunView]) -> None:
        """Deletes these runs."""
        await self._runs.delete(rollout.namespace, runs)

    def report_changes(self, rollout: Rollout, status: FeatureRolloutStatus, now: datetime) -> None:
        """What changed in the conditions by this write of status. What a record of the same name says follows with that record."""
        pending = status.pending.records if status.pending is not None else ()
        recorded = {record.transition.value for record in pending}
        new = [one for one in changes(rollout.status.conditions, status.conditions) if one.reason not in recorded]
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
