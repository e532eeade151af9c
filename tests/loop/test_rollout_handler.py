"""Reconciles that fail: what is reported of each failure, what is shown, and when the next reconcile comes."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tests.builders import T0, policy, spec, target
from tests.virtual_time import in_virtual_time, loop_time
from tidegate.act.flag_writes import NotWritableError, StaleDecisionError
from tidegate.api.conditions import Reason
from tidegate.api.rollout_status import FeatureRolloutStatus, Phase
from tidegate.clients.errors import ApiError, Conflict, CredentialsError, Forbidden, Invalid, Refused, TooManyRequests, Unavailable
from tidegate.clients.writer import NotLeaderError
from tidegate.domain.decision import Action
from tidegate.domain.exposure import Reading
from tidegate.domain.keys import Key, Kind
from tidegate.domain.problems import Problem
from tidegate.domain.snapshot import Policy, Rollout, RunView, Snapshot
from tidegate.levers.flag.lever import FlagLever
from tidegate.loop.policy_handler import PolicyHandler
from tidegate.loop.queue import FailedReconcileError, Queue
from tidegate.loop.queue_metrics import QueueMetrics
from tidegate.loop.reconciler import AFTER_FAILURE, Reconciler
from tidegate.loop.rollout_handler import TRIES, RolloutHandler

ROLLOUT = Key(Kind.FEATURE_ROLLOUT, "shop", "search")
POLICY = Key(Kind.ROLLOUT_POLICY, "", "production")
READ, DONE, WRITTEN = "7", "8", "9"
"""The rollout's resourceVersion, as it was read, after an action, and after its status was written."""


WHOLE = ["observe", "act", "act", "show", "write", "report", "drop", "append", "write", "runs", "prune"]
"""A reconcile in which all goes well."""
RUNS = tuple(
    RunView(f"search-{attempt}", "search", attempt, f"v{attempt}", False, attempt, target=FlagLever(target()).identity)
    for attempt in range(1, 6)
)


def snapshot(followed: Policy | Problem | None = None) -> Snapshot:
    rollout = Rollout("shop", "search", "u1", 2, READ, False, (), spec(), None, FeatureRolloutStatus())
    return Snapshot(rollout, followed or policy(interval="30s"), Reading(None), FlagLever(target()))


@dataclass
class Scripted:
    """Everything that the handlers call. It fails as `errors` says, by the name of the call, and writes down what it was called with."""

    errors: dict[str, Exception] = field(default_factory=dict)
    seen: Snapshot | None = field(default_factory=snapshot)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    run_history_limit: int = 2
    now: Callable[[Rollout], Rollout] | None = None
    """How the rollout that was written last reads by now; None where it is gone."""
    fails: int = 10**6
    spares: int = 0
    """Of the calls that may fail so many go well first, and then so many fail."""

    async def of(self, _: Key) -> Snapshot | None:
        self._called("observe", None)
        return self.seen

    async def view(self, *_: object) -> None:
        self._called("observe", None)

    async def again(self, rollout: Rollout) -> Rollout | None:
        self._called("again", None)
        return None if self.now is None else self.now(rollout)

    async def perform(self, rollout: Rollout, action: Action) -> Rollout:
        self._called("act", rollout.resource_version)
        return replace(rollout, resource_version=DONE)

    async def write(self, rollout: Rollout, status: FeatureRolloutStatus) -> Rollout:
        self._called("write", (status, rollout.resource_version))
        return replace(rollout, resource_version=WRITTEN, status=status)

    def report_changes(self, rollout: Rollout, status: FeatureRolloutStatus, now: datetime) -> None:
        self._called("report", status)

    async def append(self, rollout: Rollout, status: FeatureRolloutStatus) -> None:
        self._called("append", status)

    async def runs(self, *_: object) -> tuple[RunView, ...]:
        self._called("runs", None)
        return RUNS

    async def prune(self, _: Rollout, runs: tuple[RunView, ...]) -> None:
        self._called("prune", [run.attempt for run in runs])

    def show(self, key: Key, seen: Snapshot, status: FeatureRolloutStatus) -> None:
        self._called("show", status)

    def keep(self, uid: str, status: FeatureRolloutStatus) -> None:
        self._called("keep", status)

    def drop(self, uid: str) -> None:
        self._called("drop", uid)

    def forget(self, key: Key) -> None:
        self._called("forget", key)

    def _called(self, what: str, how: object) -> None:
        self.calls.append((what, how))
        if what in self.errors:
            self.spares, self.fails = (self.spares - 1, self.fails) if self.spares > 0 else (-1, self.fails - 1)
            if self.spares < 0 <= self.fails:
                raise self.errors[what]

    def reconciler(self) -> Reconciler:
        me: Any = self
        rollouts = RolloutHandler(me, me, me, me, me, me, lambda: T0, self.run_history_limit)
        return Reconciler({Kind.FEATURE_ROLLOUT: rollouts, Kind.ROLLOUT_POLICY: PolicyHandler(me, me, me, me, lambda: T0)})

    def made(self, what: str) -> list[Any]:
        return [how for name, how in self.calls if name == what]

    def order(self) -> list[str]:
        return [name for name, _ in self.calls]


def failure(kind: type[ApiError], sentence: str = "no") -> ApiError:
    return kind("patch configmaps shop/flags", sentence)


async def bound_of(reconciling: Awaitable[float | None]) -> float:
    with pytest.raises(FailedReconcileError) as failed:
        await reconciling
    return failed.value.repeat_within


async def test_what_follows_from_a_decision_is_done_in_order_each_under_the_version_that_the_one_before_left() -> None:
    scripted = Scripted()
    assert await scripted.reconciler()(ROLLOUT) == 0.0
    assert scripted.order() == WHOLE
    assert scripted.made("act") == [READ, DONE]
    (decided, under), (cleared, then) = scripted.made("write")
    assert (under, then) == (DONE, WRITTEN)
    assert decided.pending is not None
    assert cleared == decided.model_copy(update={"pending": None})


async def test_runs_of_old_attempts_are_deleted_and_all_are_kept_where_that_is_wanted() -> None:
    scripted, keeping = Scripted(), Scripted(run_history_limit=0)
    for one in (scripted, keeping):
        assert await one.reconciler()(ROLLOUT) == 0.0
    assert scripted.made("prune") == [[1, 2, 3]]
    assert keeping.made("runs") == keeping.made("prune") == []


@pytest.mark.parametrize("where", ["runs", "prune"])
async def test_old_runs_that_can_not_be_deleted_hold_nothing_up(where: str) -> None:
    for error in (failure(Forbidden), failure(Conflict), failure(Unavailable)):
        assert await Scripted({where: error}).reconciler()(ROLLOUT) == 0.0


@pytest.mark.parametrize("key", [ROLLOUT, POLICY], ids=str)
@pytest.mark.parametrize("error", [failure(Unavailable), failure(Forbidden), failure(TooManyRequests), CredentialsError("no token")])
async def test_what_could_not_be_read_is_read_again_soon(key: Key, error: Exception) -> None:
    assert await bound_of(Scripted({"observe": error}).reconciler()(key)) == AFTER_FAILURE == 5.0


@in_virtual_time
async def test_after_a_long_outage_the_first_reconcile_comes_within_seconds() -> None:
    scripted = Scripted({"observe": failure(Unavailable)}, seen=None)
    queue = Queue(scripted.reconciler(), QueueMetrics(CollectorRegistry()), clock=loop_time, jitter=lambda: 1.0)
    working = asyncio.create_task(queue.run())
    queue.add(ROLLOUT)
    await asyncio.sleep(12 * 60)
    scripted.errors, over = {}, loop_time()
    while not scripted.made("forget"):  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    assert loop_time() - over <= 5.1
    await queue.drain(1.0)
    await working


@pytest.mark.parametrize("error", [ZeroDivisionError(), NotLeaderError("the Lease is lost")])
@pytest.mark.parametrize("where", ["observe", "act", "write", "append"])
async def test_a_bug_or_a_lost_lease_is_no_failure_of_the_api_server(where: str, error: Exception) -> None:
    with pytest.raises(type(error)):
        await Scripted({where: error}).reconciler()(ROLLOUT)


@pytest.mark.parametrize(
    ("error", "is_reported"),
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
async def test_only_what_a_person_has_to_mend_is_reported_in_status(error: Exception, is_reported: bool) -> None:
    scripted = Scripted({"act": error})
    assert 0 < await bound_of(scripted.reconciler()(ROLLOUT)) <= 30.1, "at the next tick of the interval"
    assert len(scripted.made("act")) == 1, "the first action that fails ends the acting"
    assert len(scripted.made("write")) == is_reported
    for status, version in scripted.made("write"):
        assert version == READ
        assert {one.reason for one in status.conditions} == {"NotWritable"}
        assert all(str(error) in one.message for one in status.conditions)


@pytest.mark.parametrize(
    "error", [failure(Refused), failure(Unavailable), failure(Conflict), StaleDecisionError("changed"), ZeroDivisionError()]
)
async def test_what_was_not_done_is_not_shown_as_done_and_its_evidence_is_kept(error: Exception) -> None:
    scripted = Scripted({"act": error})
    with contextlib.suppress(FailedReconcileError, ZeroDivisionError):
        await scripted.reconciler()(ROLLOUT)
    assert [status.phase for status in scripted.made("show")] == [Phase.PENDING], "as it was"
    assert [status.phase for status in scripted.made("keep")] == [Phase.WAITING], "as it was decided"


async def test_what_was_done_is_shown_though_status_is_refused() -> None:
    scripted = Scripted({"write": failure(Forbidden)})
    assert await bound_of(scripted.reconciler()(ROLLOUT)) <= 30.1
    assert [status.phase for status in scripted.made("show")] == [Phase.WAITING]
    assert (len(scripted.made("keep")), scripted.made("append")) == (1, [])


@pytest.mark.parametrize(
    ("error", "is_told"),
    [(failure(Refused), True), (failure(Forbidden), True), (failure(Invalid), True), (failure(Unavailable), False), (ValueError(), False)],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_records_that_are_refused_are_told_in_status(error: Exception, is_told: bool) -> None:
    scripted = Scripted({"append": error})
    with pytest.raises(FailedReconcileError if isinstance(error, ApiError) else type(error)):
        await scripted.reconciler()(ROLLOUT)
    (decided, _), *told = scripted.made("write")
    assert len(told) == len(scripted.made("report")) - 1 == is_told
    for status, version in told:
        assert version == WRITTEN
        assert {one.reason for one in status.conditions} == {"NotRecorded", "InProgress"}
        assert status.pending == decided.pending


async def test_evidence_is_kept_also_where_the_refusal_can_not_be_reported() -> None:
    scripted = Scripted({"act": failure(Refused), "write": failure(Unavailable)})
    await bound_of(scripted.reconciler()(ROLLOUT))
    assert scripted.order()[-1] == "keep", "a report forgets the evidence"
    assert scripted.made("keep")[-1].phase is Phase.WAITING


async def test_without_a_policy_a_failure_is_repeated_soon() -> None:
    scripted = Scripted({"act": failure(Refused)}, snapshot(Problem(Reason.POLICY_MISSING, "none")))
    assert await bound_of(scripted.reconciler()(ROLLOUT)) == AFTER_FAILURE


@pytest.mark.parametrize("where", ["act", "write", "append"])
async def test_after_a_conflict_it_is_read_again_at_once(where: str) -> None:
    assert await Scripted({where: failure(Conflict)}).reconciler()(ROLLOUT) == 0.05


def annotated(rollout: Rollout) -> Rollout:
    return replace(rollout, resource_version="10")


SPARED = {"act": 1, "write": 0}
"""The first action is the flag's, which has nothing to do with the rollout's version; the second one is the finalizer's."""


@pytest.mark.parametrize("where", SPARED)
async def test_whoever_annotates_a_rollout_all_the_time_makes_no_decision_wait(where: str) -> None:
    """However often in a row one of them comes between, within reason."""
    scripted = Scripted({where: failure(Conflict)}, now=annotated, fails=TRIES, spares=SPARED[where])
    assert await scripted.reconciler()(ROLLOUT) == 0.0
    assert scripted.order().count("again") == TRIES
    assert [one for one in scripted.order() if one not in (where, "again")] == [one for one in WHOLE if one != where]
    assert len(scripted.made("observe")) == 1, "nothing is asked anew"
    versions = [how if where == "act" else how[1] for how in scripted.made(where)][SPARED[where] :]
    assert versions[: TRIES + 1] == [DONE, *["10"] * TRIES]


CHANGED: dict[str, dict[str, Any]] = {
    "another object": {"uid": "u2"},
    "spec": {"generation": 3},
    "deletion": {"deleting": True},
    "finalizers": {"finalizers": ("shop.example.com/kept",)},
    "status": {"status": FeatureRolloutStatus(percent=0)},
}


@pytest.mark.parametrize("changes", CHANGED.values(), ids=CHANGED)
@pytest.mark.parametrize("where", SPARED)
async def test_what_was_read_and_has_changed_is_never_written_over(where: str, changes: dict[str, Any]) -> None:
    changed = Scripted({where: failure(Conflict)}, now=lambda one: replace(annotated(one), **changes), fails=1, spares=SPARED[where])
    assert await changed.reconciler()(ROLLOUT) == 0.05, "it is decided anew"
    assert len(changed.made(where)) == SPARED[where] + 1
    assert len(changed.made("again")) == 1


async def test_a_flag_that_changed_since_it_was_read_is_decided_anew() -> None:
    scripted = Scripted({"act": failure(Conflict)}, now=annotated, fails=1)
    assert await scripted.reconciler()(ROLLOUT) == 0.05
    assert scripted.made("again") == []


async def test_a_status_of_our_own_that_was_written_in_this_reconcile_is_what_was_read() -> None:
    """The second write of a reconcile, which takes out what was appended, meets a conflict."""
    scripted = Scripted({"write": failure(Conflict)}, now=annotated, fails=1, spares=1)
    assert await scripted.reconciler()(ROLLOUT) == 0.0
    (decided, _), (cleared, under), (again, then) = scripted.made("write")
    assert decided.pending is not None
    assert (cleared, under, then) == (again, WRITTEN, "10")


async def test_what_is_gone_is_forgotten() -> None:
    scripted = Scripted(seen=None)
    assert await scripted.reconciler()(ROLLOUT) is None
    assert scripted.calls == [("observe", None), *[("forget", ROLLOUT)] * 2], "by the index and by the metrics"
