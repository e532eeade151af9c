"""observe → decide → act → report, for one key. The verbs are called here, in this order, and nowhere else."""

import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from tidegate.act.flag_sets import NotWritableError, StaleDecisionError
from tidegate.api.rollout_policy import RolloutPolicyStatus
from tidegate.api.rollout_status import FeatureRolloutStatus, State
from tidegate.clients.errors import ClientError, Conflict, Forbidden, Invalid, Refused
from tidegate.decide.policy import decide_policy
from tidegate.decide.rollout import decide
from tidegate.decide.rollout.plan import until_next_tick
from tidegate.decide.rollout.refusal import not_carried_out, standing
from tidegate.domain.decision import Action, Decision
from tidegate.domain.keys import Key, Kind
from tidegate.domain.policy_view import PolicyView
from tidegate.domain.snapshot import Policy, Rollout, Snapshot
from tidegate.loop.queue import FailedLookError

_log = logging.getLogger(__name__)
T = TypeVar("T")
LOOK_AGAIN_AFTER_CONFLICT = 0.05
"""Seconds. Somebody else wrote between our read and our write: read again, but let their events arrive first."""
LONGEST_WAIT_AFTER_CONFLICT = 1.0
"""Seconds. Twice as long each time that it happens to a key again, up to here: a lowering must not wait for longer."""
LOOK_AGAIN_AFTER_FAILURE = 5.0
"""Seconds at most, however long something has been failing: a breach that is due then must not wait for the rest of a long back-off."""
_REFUSALS = (Forbidden, Refused, Invalid, NotWritableError)
"""A write that fails so fails again until a person changes something."""


class Perform(Protocol):
    """Carries out actions; returns the rollout's resourceVersion afterwards."""

    async def __call__(self, rollout: Rollout, actions: Iterable[Action]) -> str: ...


class Report(Protocol):
    """Writes what was decided."""

    async def __call__(self, rollout: Rollout, status: FeatureRolloutStatus, resource_version: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Verbs:
    """What the reconciler calls. `show` is told for /metrics what is so, `failed` the status that could not be brought about, `gone` the
    key of an object that no longer exists."""

    observe: Callable[[Key], Awaitable[Snapshot | None]]
    perform: Perform
    report: Report
    observe_policy: Callable[[str], Awaitable[PolicyView | None]]
    report_policy: Callable[[PolicyView, RolloutPolicyStatus], Awaitable[None]]
    show: Callable[[Key, Snapshot, FeatureRolloutStatus], None]
    failed: Callable[[str, FeatureRolloutStatus], None]
    gone: Callable[[Key], None]


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

    async def _rollout(self, key: Key) -> float | None:
        snapshot = await _observed(self._verbs.observe(key))
        if snapshot is None:
            self._verbs.gone(key)
            return None
        decision = decide(snapshot, self._clock())
        try:
            await self._carry_out(key, snapshot, decision)
        except Conflict:
            raise
        except (ClientError, NotWritableError) as error:
            # A write that is refused delays no reading: a breach must be seen to last, and must be acted on, all the same.
            raise FailedLookError(error, self._next_look(snapshot)) from error
        return decision.requeue_after

    def _next_look(self, snapshot: Snapshot) -> float:
        if not isinstance(snapshot.policy, Policy):
            return LOOK_AGAIN_AFTER_FAILURE
        return until_next_tick(self._clock(), snapshot.policy.spec.prometheus.interval)

    async def _carry_out(self, key: Key, snapshot: Snapshot, decision: Decision) -> None:
        try:
            version = await self._verbs.perform(snapshot.rollout, decision.actions)
        except Exception as error:
            await self._not_carried_out(key, snapshot, decision, error)
            raise
        self._verbs.show(key, snapshot, decision.status)
        await self._verbs.report(snapshot.rollout, decision.status, version)

    async def _not_carried_out(self, key: Key, snapshot: Snapshot, decision: Decision, error: Exception) -> None:
        """All is as it was, but for what the gates read and for a rollback. What a person has to mend is told."""
        rollout, stands = snapshot.rollout, standing(snapshot.rollout, decision)
        self._verbs.show(key, snapshot, stands.model_copy(update={"gates": decision.status.gates}))
        try:
            if isinstance(error, _REFUSALS):
                status = not_carried_out(rollout, stands, str(error), self._clock())
                await self._verbs.report(rollout, status, rollout.resource_version)
            elif stands.state is State.ROLLBACK and not isinstance(error, (Conflict, StaleDecisionError)):
                await self._verbs.report(rollout, stands, rollout.resource_version)
        finally:
            self._verbs.failed(rollout.uid, decision.status)

    async def _policy(self, key: Key) -> float | None:
        view = await _observed(self._verbs.observe_policy(key.name))
        if view is None:
            return None
        status, again = decide_policy(view, self._clock())
        await self._verbs.report_policy(view, status)
        return again


async def _observed(reading: Awaitable[T]) -> T:
    try:
        return await reading
    except ClientError as error:
        raise FailedLookError(error, LOOK_AGAIN_AFTER_FAILURE) from error
