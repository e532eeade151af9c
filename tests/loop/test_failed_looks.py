"""Looks that fail: what is told of each failure, what is shown, and when the next look comes."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tests.builders import policy, raw_spec
from tests.virtual_time import in_virtual_time, loop_time
from tidegate.act.flag_sets import NotWritableError, StaleDecisionError
from tidegate.api.conditions import ConditionType, Reason
from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.rollout_policy import RolloutPolicyStatus
from tidegate.api.rollout_status import FeatureRolloutStatus, Phase
from tidegate.clients.errors import ApiError, Conflict, CredentialsError, Forbidden, Invalid, Refused, TooManyRequests, Unavailable
from tidegate.domain.decision import Action
from tidegate.domain.keys import Key, Kind
from tidegate.domain.policy_view import PolicyView
from tidegate.domain.snapshot import FlagReading, Policy, Problem, Rollout, Snapshot
from tidegate.loop.queue import FailedLookError, Queue
from tidegate.loop.queue_metrics import QueueMetrics
from tidegate.loop.reconciler import LOOK_AGAIN_AFTER_CONFLICT, LOOK_AGAIN_AFTER_FAILURE, Reconciler, Verbs

ROLLOUT = Key(Kind.FEATURE_ROLLOUT, "shop", "search")
POLICY = Key(Kind.ROLLOUT_POLICY, "", "production")
NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)


def snapshot(followed: Policy | Problem | None = None) -> Snapshot:
    spec = FeatureRolloutSpec.model_validate(raw_spec())
    rollout = Rollout("shop", "search", "u1", 2, "7", False, (), spec, None, FeatureRolloutStatus())
    return Snapshot(rollout, followed or policy(interval="30s"), FlagReading(None, None, None))


@dataclass
class Scripted:
    """Verbs that raise what they are told to, and write down what they were called with."""

    seen: Snapshot | None = field(default_factory=snapshot)
    observing: Exception | None = None
    performing: Exception | None = None
    reporting: Exception | None = None
    told: list[tuple[str, Any]] = field(default_factory=list)

    async def observe(self, _: Key) -> Snapshot | None:
        if self.observing is not None:
            raise self.observing
        return self.seen

    async def perform(self, rollout: Rollout, actions: Iterable[Action]) -> str:
        if self.performing is not None:
            raise self.performing
        return "8"

    async def report(self, rollout: Rollout, status: FeatureRolloutStatus, resource_version: str) -> None:
        self.told.append(("report", (status, resource_version)))
        if self.reporting is not None:
            raise self.reporting

    async def observe_policy(self, _: str) -> PolicyView | None:
        if self.observing is not None:
            raise self.observing
        return None

    async def report_policy(self, view: PolicyView, status: RolloutPolicyStatus) -> None:
        raise AssertionError("there is no policy here")

    def reconciler(self) -> Reconciler:
        def note(what: str) -> Callable[..., None]:
            return lambda *arguments: self.told.append((what, arguments[-1]))

        verbs = Verbs(
            observe=self.observe,
            perform=self.perform,
            report=self.report,
            observe_policy=self.observe_policy,
            report_policy=self.report_policy,
            show=note("show"),
            failed=note("failed"),
            gone=note("gone"),
        )
        return Reconciler(verbs, lambda: NOW)

    def of(self, what: str) -> list[Any]:
        return [value for name, value in self.told if name == what]


def failure(kind: type[ApiError], sentence: str = "no") -> ApiError:
    return kind("patch configmaps shop/flags", sentence)


async def bound_of(look: Awaitable[float | None]) -> float:
    with pytest.raises(FailedLookError) as failed:
        await look
    return failed.value.repeat_within


@pytest.mark.parametrize("key", [ROLLOUT, POLICY], ids=str)
@pytest.mark.parametrize("error", [failure(Unavailable), failure(Forbidden), failure(TooManyRequests), CredentialsError("no token")])
async def test_what_could_not_be_read_is_read_again_soon(key: Key, error: Exception) -> None:
    assert await bound_of(Scripted(observing=error).reconciler()(key)) == LOOK_AGAIN_AFTER_FAILURE == 5.0


@in_virtual_time
async def test_after_a_long_outage_the_first_look_comes_within_seconds() -> None:
    scripted = Scripted(seen=None, observing=failure(Unavailable))
    queue = Queue(scripted.reconciler(), QueueMetrics(CollectorRegistry()), clock=loop_time, jitter=lambda: 1.0)
    working = asyncio.create_task(queue.run())
    queue.add(ROLLOUT)
    await asyncio.sleep(12 * 60)
    scripted.observing, over = None, loop_time()
    while not scripted.of("gone"):  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    assert loop_time() - over <= 5.1
    await queue.drain(1.0)
    await working


async def test_a_bug_is_no_known_failure() -> None:
    with pytest.raises(ZeroDivisionError):
        await Scripted(observing=ZeroDivisionError()).reconciler()(ROLLOUT)


@pytest.mark.parametrize(
    ("error", "is_told"),
    [
        (failure(Refused), True),
        (failure(Invalid), True),
        (failure(Forbidden), True),
        (NotWritableError("full"), True),
        (failure(Unavailable), False),
        (failure(TooManyRequests), False),
        (CredentialsError("no token"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_only_what_a_person_has_to_mend_is_told_in_status(error: Exception, is_told: bool) -> None:
    scripted = Scripted(performing=error)
    before = scripted.seen
    assert before is not None
    assert 0 < await bound_of(scripted.reconciler()(ROLLOUT)) <= 30.1, "at the next tick of the interval"
    assert len(scripted.of("report")) == is_told
    for status, version in scripted.of("report"):
        assert version == before.rollout.resource_version
        assert status.observed_generation == before.rollout.generation
        as_before = {"conditions": (), "observed_generation": before.rollout.status.observed_generation}
        assert status.model_copy(update=as_before) == before.rollout.status
        conditions = {one.type: (one.status, one.reason, one.observed_generation) for one in status.conditions}
        said = ("FlagNotWritable", before.rollout.generation)
        assert conditions == {ConditionType.READY: ("False", *said), ConditionType.STALLED: ("True", *said)}
        assert all(str(error) in one.message for one in status.conditions)


@pytest.mark.parametrize(
    "error", [failure(Refused), failure(Unavailable), failure(Conflict), StaleDecisionError("changed"), ZeroDivisionError()]
)
async def test_what_was_not_done_is_not_shown_as_done_and_its_evidence_is_kept(error: Exception) -> None:
    scripted = Scripted(performing=error)
    with contextlib.suppress(FailedLookError, ZeroDivisionError):
        await scripted.reconciler()(ROLLOUT)
    (shown,) = scripted.of("show")
    assert shown.phase is Phase.PENDING, "as it was"
    (kept,) = scripted.of("failed")
    assert kept.phase is Phase.WAITING, "as it was decided"


async def test_what_was_done_is_shown_though_status_is_refused() -> None:
    scripted = Scripted(reporting=failure(Forbidden))
    assert await bound_of(scripted.reconciler()(ROLLOUT)) <= 30.1
    assert [status.phase for status in scripted.of("show")] == [Phase.WAITING]


async def test_evidence_is_kept_also_where_the_refusal_can_not_be_told() -> None:
    scripted = Scripted(performing=failure(Refused), reporting=failure(Unavailable))
    await bound_of(scripted.reconciler()(ROLLOUT))
    assert len(scripted.of("failed")) == 1
    assert scripted.told[-1][0] == "failed", "a report forgets the evidence"


async def test_without_a_policy_a_failure_is_repeated_soon() -> None:
    scripted = Scripted(seen=snapshot(Problem(Reason.POLICY_MISSING, "none")), performing=failure(Refused))
    assert await bound_of(scripted.reconciler()(ROLLOUT)) == LOOK_AGAIN_AFTER_FAILURE


@pytest.mark.parametrize("error", [failure(Conflict), StaleDecisionError("changed")])
async def test_a_conflict_is_looked_at_again_at_once(error: Exception) -> None:
    assert await Scripted(performing=error).reconciler()(ROLLOUT) == LOOK_AGAIN_AFTER_CONFLICT


async def test_what_is_gone_is_forgotten() -> None:
    scripted = Scripted(seen=None)
    assert await scripted.reconciler()(ROLLOUT) is None
    assert scripted.told == [("gone", ROLLOUT)]
