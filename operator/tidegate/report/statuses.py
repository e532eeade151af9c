"""Writes what was decided: status under resourceVersion, and records into the RolloutRuns of their attempts. Events follow later."""

import logging
from collections.abc import Callable, Iterable, Sequence

from tidegate.api.records import Record
from tidegate.api.rollout_status import FeatureRolloutStatus
from tidegate.clients.errors import NotFound
from tidegate.clients.resources import FEATURE_ROLLOUTS, JsonObject
from tidegate.clients.writer import Writer
from tidegate.domain.keys import Key, Kind
from tidegate.domain.snapshot import Rollout, RunView
from tidegate.report.events import announcements
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

    async def append(self, rollout: Rollout, status: FeatureRolloutStatus) -> None:
        """Appends the records that wait, and announces those that are new."""
        added = await self._runs.append(rollout, status, status.pending.records if status.pending is not None else ())
        self._recorded(rollout, added)
        for record in added:
            _log.info("%s: %s", record.transition, record.message, extra={"seq": record.seq, "head": record.hash})
        about = Key(Kind.FEATURE_ROLLOUT, rollout.namespace, rollout.name)
        self._announce(about, announcements(rollout, status.attempt, added))
