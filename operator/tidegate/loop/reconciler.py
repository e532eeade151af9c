"""observe → decide → act → report, for one key. The verbs are called here, in this order, and nowhere else."""

import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tidegate.act.flag_sets import StaleDecisionError
from tidegate.api.rollout_policy import RolloutPolicyStatus
from tidegate.api.rollout_status import FeatureRolloutStatus
from tidegate.clients.errors import ApiError, Conflict
from tidegate.decide.policy import decide_policy
from tidegate.decide.rollout import decide
from tidegate.decide.rollout.plan import until_next_tick
from tidegate.domain.decision import Action, Decision
from tidegate.domain.keys import Key, Kind
from tidegate.domain.policy_view import PolicyView
from tidegate.domain.snapshot import Policy, Rollout, Snapshot
from tidegate.loop.queue import FailedLookError

_log = logging.getLogger(__name__)
LOOK_AGAIN_AFTER_CONFLICT = 0.05
"""Seconds. Somebody else wrote between our read and our write: read again, but let their events arrive first."""
LONGEST_WAIT_AFTER_CONFLICT = 1.0
"""Seconds. Twice as long each time that it happens to a key again, up to here: a lowering must not wait for longer."""


class Perform(Protocol):
    """Carries out actions; returns the rollout's resourceVersion afterwards."""

    async def __call__(self, rollout: Rollout, actions: Iterable[Action]) -> str: ...


class Report(Protocol):
    """Writes what was decided."""

    async def __call__(self, rollout: Rollout, status: FeatureRolloutStatus, resource_version: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Verbs:
    """What the reconciler calls. `show` is told every decision for /metrics, `failed` the status that could not be brought about,
    `gone` the key of an object that no longer exists. `mirror` compares a flag set's copy and returns the seconds until the next look."""

    observe: Callable[[Key], Awaitable[Snapshot | None]]
    perform: Perform
    report: Report
    observe_policy: Callable[[str], Awaitable[PolicyView | None]]
    report_policy: Callable[[PolicyView, RolloutPolicyStatus], Awaitable[None]]
    show: Callable[[Key, Snapshot, FeatureRolloutStatus], None]
    failed: Callable[[str, FeatureRolloutStatus], None]
    gone: Callable[[Key], None]
    mirror: Callable[[str, str], Awaitable[float | None]]


class Reconciler:
    """Looks at one object and returns the seconds until the next look."""

    def __init__(self, verbs: Verbs, clock: Callable[[], datetime]) -> None:
        self._verbs = verbs
        self._clock = clock
        self._conflicts: dict[Key, int] = {}

    async def __call__(self, key: Key) -> float | None:
        try:
            delay = await self._look(key)
        except (Conflict, StaleDecisionError) as error:
            _log.debug("looking again: %s", error)
            before = self._conflicts.get(key, 0)
            self._conflicts[key] = before + 1
            return min(LOOK_AGAIN_AFTER_CONFLICT * 2.0 ** min(before, 16), LONGEST_WAIT_AFTER_CONFLICT)
        self._conflicts.pop(key, None)
        return delay

    async def _look(self, key: Key) -> float | None:
        match key.kind:
            case Kind.FEATURE_ROLLOUT:
                return await self._rollout(key)
            case Kind.ROLLOUT_POLICY:
                return await self._policy(key)
            case Kind.FLAG_SET:
                return await self._verbs.mirror(key.namespace, key.name)

    async def _rollout(self, key: Key) -> float | None:
        snapshot = await self._verbs.observe(key)
        if snapshot is None:
            self._verbs.gone(key)
            return None
        decision = decide(snapshot, self._clock())
        self._verbs.show(key, snapshot, decision.status)
        try:
            await self._carry_out(snapshot, decision)
        except Conflict:
            raise
        except ApiError as error:
            if not isinstance(snapshot.policy, Policy):
                raise
            # A write that is refused delays no reading: a breach must be seen to last, and must be acted on, all the same.
            raise FailedLookError(error, until_next_tick(self._clock(), snapshot.policy.spec.prometheus.interval)) from error
        return decision.requeue_after

    async def _carry_out(self, snapshot: Snapshot, decision: Decision) -> None:
        try:
            version = await self._verbs.perform(snapshot.rollout, decision.actions)
        except Exception:
            self._verbs.failed(snapshot.rollout.uid, decision.status)
            raise
        await self._verbs.report(snapshot.rollout, decision.status, version)

    async def _policy(self, key: Key) -> float | None:
        view = await self._verbs.observe_policy(key.name)
        if view is None:
            return None
        status, again = decide_policy(view, self._clock())
        await self._verbs.report_policy(view, status)
        return again
