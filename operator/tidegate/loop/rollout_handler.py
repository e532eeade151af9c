"""observe → decide → act → report for one FeatureRollout: reads its snapshot, decides, and plays the script of what follows."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime

from tidegate.act.actions import Actions
from tidegate.act.flag_writes import NotWritableError, StaleDecisionError
from tidegate.clients.errors import ClientError, Conflict, Forbidden, Invalid, Refused
from tidegate.decide.rollout.deciding import decide, until_next_tick
from tidegate.decide.rollout.safe import decide_safely
from tidegate.domain.decision import AddFinalizer, Decision, RemoveFinalizer
from tidegate.domain.history import expendable_runs
from tidegate.domain.keys import Key
from tidegate.domain.script import (
    CONFLICT,
    FAILED,
    OK,
    Act,
    Append,
    ClearPending,
    Drop,
    Item,
    Keep,
    Outcome,
    Prune,
    Script,
    Show,
    WriteStatus,
    reconcile,
)
from tidegate.domain.snapshot import Policy, Rollout, Snapshot
from tidegate.loop.in_words import in_words
from tidegate.loop.index import Index
from tidegate.loop.queue import FailedReconcileError
from tidegate.loop.reconciler import AFTER_FAILURE, observed
from tidegate.observe.evidence import Evidence
from tidegate.observe.snapshots import Snapshots
from tidegate.report.rollout_metrics import RolloutMetrics
from tidegate.report.statuses import RolloutReports

_log = logging.getLogger(__name__)
TRIES = 20
"""How often a write of a rollout is made again because an external writer came between who changed nothing that was read. Twenty
annotations a second come between every second time on a busy machine."""
_REFUSALS = (Forbidden, Refused, Invalid, NotWritableError)
"""A write that fails like this fails again until a person changes something."""


class RolloutHandler:
    """The handler of FeatureRollouts. The RolloutRuns of the newest `run_history_limit` attempts are kept; of all, where it is 0."""

    def __init__(
        self,
        snapshots: Snapshots,
        actions: Actions,
        reports: RolloutReports,
        evidence: Evidence,
        metrics: RolloutMetrics,
        index: Index,
        clock: Callable[[], datetime],
        run_history_limit: int,
    ) -> None:
        self._snapshots = snapshots
        self._actions = actions
        self._reports = reports
        self._evidence = evidence
        self._metrics = metrics
        self._index = index
        self._clock = clock
        self._run_history_limit = run_history_limit

    async def reconcile(self, key: Key) -> float | None:
        snapshot = await observed(self._snapshots.of(key))
        if snapshot is None:
            self.gone(key)
            return None
        decision = self._decide(snapshot)
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("%s", in_words(snapshot, decision))
        error = await self._play(key, snapshot, reconcile(snapshot.rollout, decision, self._clock()))
        if isinstance(error, (Conflict, StaleDecisionError)):
            raise error
        if isinstance(error, (ClientError, NotWritableError)):
            # A refused write must not delay the next tick: a breach must be seen to last, and must be acted on, all the same.
            raise FailedReconcileError(error, self._next_reconcile(snapshot)) from error
        if error is not None:
            raise error
        return decision.requeue_after

    def gone(self, key: Key) -> None:
        self._index.forget(key)
        self._metrics.forget(key)

    def _decide(self, snapshot: Snapshot) -> Decision:
        try:
            return decide(snapshot, self._clock())
        except Exception as error:  # noqa: BLE001 - the safe reconcile is for what nobody foresaw
            _log.exception("deciding failed unexpectedly")
            return decide_safely(snapshot, self._clock(), error)

    def _next_reconcile(self, snapshot: Snapshot) -> float:
        if not isinstance(snapshot.policy, Policy):
            return AFTER_FAILURE
        return until_next_tick(self._clock(), snapshot.policy.spec.prometheus.interval)

    async def _play(self, key: Key, snapshot: Snapshot, script: Script) -> Exception | None:
        """Plays the script to its end; returns the first error."""
        stored, first = snapshot.rollout, None
        item = next(script)
        while True:
            outcome: Outcome = OK
            try:
                stored = await self._do(key, snapshot, item, stored)
            except Exception as error:  # noqa: BLE001 - the safe reconcile is for what nobody foresaw
                first, outcome = first or error, _outcome_of(error)
            try:
                item = script.send(outcome)
            except StopIteration:
                return first

    async def _do(self, key: Key, snapshot: Snapshot, item: Item, stored: Rollout) -> Rollout:
        """Carries one item out; the rollout as it is stored afterwards."""
        rollout = snapshot.rollout
        match item:
            case Act(AddFinalizer() | RemoveFinalizer() as action):
                return await self._unmoved(stored, lambda now: self._actions.perform(now, action))
            case Act(action):
                return await self._actions.perform(stored, action)
            case Show(status):
                self._metrics.show(key, snapshot, status)
            case WriteStatus(status):
                written = await self._unmoved(stored, lambda now: self._reports.write(now, status))
                self._reports.report_changes(stored, status, self._clock())
                return written
            case ClearPending(status):
                return await self._unmoved(stored, lambda now: self._reports.write(now, status))
            case Append(status):
                await self._reports.append(rollout, status)
            case Prune():
                await self._prune(snapshot)
            case Keep(status):
                self._evidence.keep(rollout.uid, status)
            case Drop():
                self._evidence.drop(rollout.uid)
        return stored

    async def _unmoved(self, stored: Rollout, write: Callable[[Rollout], Awaitable[Rollout]]) -> Rollout:
        """A write under the version that is stored. Whoever writes annotations all the time makes no decision wait: where nothing that it
        was made from has changed, it is written under the newer version."""
        for _ in range(TRIES):
            try:
                return await write(stored)
            except Conflict:
                now = await self._snapshots.again(stored)
                if now is None or not now.reads_as(stored):
                    raise
                stored = replace(stored, resource_version=now.resource_version)
        return await write(stored)

    async def _prune(self, snapshot: Snapshot) -> None:
        """What can't be deleted holds nothing up: it is tried again when the next attempt begins."""
        rollout, lever = snapshot.rollout, snapshot.lever
        if lever is None or not self._run_history_limit:
            return
        try:
            runs = await self._snapshots.runs(rollout, lever)
            await self._reports.prune(rollout, expendable_runs(runs, rollout.name, lever.identity, self._run_history_limit))
        except ClientError as error:
            _log.warning("old RolloutRuns are not deleted: %s", error)


def _outcome_of(error: Exception) -> Outcome:
    if isinstance(error, _REFUSALS):
        return Outcome(is_ok=False, refusal=str(error))
    if isinstance(error, (Conflict, StaleDecisionError)):
        return CONFLICT
    return Outcome(is_ok=False, failure=str(error)) if isinstance(error, ClientError) else FAILED
