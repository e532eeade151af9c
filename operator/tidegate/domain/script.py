"""One reconcile after its decision: which writes, in which order, what a refusal leaves, and what is kept.

A generator that touches nothing: the reconciler plays it against the API server, tests and the state search play it in memory and cut it
between any two items.

    Act … ──► Show ──► WriteStatus ──► Drop ──► Append ──► ClearPending ──► Prune
      └─ refused ──► Show ──► (WriteStatus …) ──► Keep  └─ refused ──► (Show ──► WriteStatus)
"""

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from tidegate.api.conditions import ConditionType, Reason
from tidegate.api.records import Record, Transition
from tidegate.api.rollout_status import FeatureRolloutStatus, GateStatus, Phase, State
from tidegate.domain.condition_maker import ConditionMaker
from tidegate.domain.decision import Action, AddFinalizer, Decision
from tidegate.domain.exposure import Write
from tidegate.domain.recording import told_unrecorded
from tidegate.domain.snapshot import Rollout

_LIVE = ("value", "baseline", "samples", "samples_expected_at", "sample_time", "worst_series", "message")
_CHECKPOINT = 600
"""Seconds between two writes of how far a count has come: what happened since is asked of Prometheus again after a restart."""
_SAID_ANEW = (ConditionType.READY, ConditionType.STALLED)
_ROLLING_BACK = frozenset({Phase.ROLLING_BACK.value, Phase.ROLLED_BACK.value})


@dataclass(frozen=True, slots=True)
class Act:
    """Carry out one action."""

    action: Action


@dataclass(frozen=True, slots=True)
class Show:
    """The status to be shown in /metrics: what is so."""

    status: FeatureRolloutStatus


@dataclass(frozen=True, slots=True)
class WriteStatus:
    """Write the status, under the resourceVersion that was read or written last."""

    status: FeatureRolloutStatus


@dataclass(frozen=True, slots=True)
class Append:
    """Append `status.pending` to the RolloutRuns of their attempts."""

    status: FeatureRolloutStatus


@dataclass(frozen=True, slots=True)
class ClearPending:
    """Write the status without the records that were appended."""

    status: FeatureRolloutStatus


@dataclass(frozen=True, slots=True)
class Prune:
    """Delete RolloutRuns that are too old: another attempt has begun, and all of its records so far are in its run."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Remember, in the process alone, the gates of a status that could not be written."""

    status: FeatureRolloutStatus


@dataclass(frozen=True, slots=True)
class Drop:
    """Forget what was kept."""


Item = Act | Show | WriteStatus | Append | ClearPending | Prune | Keep | Drop


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an item went. `refusal`: the sentence of whoever refused, where only a person can change that; `failure`: of whatever else went
    wrong. `is_conflict`: something changed since it was read, and is to be read again."""

    is_ok: bool = True
    is_conflict: bool = False
    refusal: str | None = None
    failure: str | None = None


OK = Outcome()
FAILED = Outcome(is_ok=False)
CONFLICT = Outcome(is_ok=False, is_conflict=True)

Script = Generator[Item, Outcome, None]


def reconcile(rollout: Rollout, decision: Decision, now: datetime) -> Script:
    """What follows from one decision. The first action that fails ends the acting: the next reconcile decides anew."""
    for action in in_order(decision.actions):
        outcome = yield Act(action)
        if not outcome.is_ok:
            yield from _refused(rollout, decision, outcome, now)
            return
    yield Show(decision.status)
    yield from _report(rollout, decision.status, now)


def in_order(actions: Iterable[Action]) -> list[Action]:
    """A lowering goes first: it waits for nothing, least of all for a finalizer. Letting go comes last."""
    return sorted(actions, key=_urgency)


def _urgency(action: Action) -> int:
    if isinstance(action, Write):
        return 2 if action.raises else 0
    return 1 if isinstance(action, AddFinalizer) else 3


def _report(rollout: Rollout, status: FeatureRolloutStatus, now: datetime) -> Script:
    """A status that says nothing new is not written. Records that are not appended go on waiting; it says where a person has to help."""
    if significant(status) != significant(rollout.status):
        outcome = yield WriteStatus(status)
        if not outcome.is_ok:
            yield Keep(status)
            return
    yield Drop()
    if status.pending is None:
        return
    outcome = yield Append(status)
    if outcome.is_ok:
        outcome = yield ClearPending(status.model_copy(update={"pending": None}))
        # What waits may belong to an attempt whose run is old.
        if outcome.is_ok and status.attempt != rollout.status.attempt:
            yield Prune()
    elif not outcome.is_conflict:
        told = told_unrecorded(status, outcome.refusal, outcome.failure, rollout.generation, now)
        if told != status:
            yield Show(told)
            yield WriteStatus(told)


def _refused(rollout: Rollout, decision: Decision, outcome: Outcome, now: datetime) -> Script:
    """All is as it was, but for what the gates read and for a rollback: the numbers may recover before it can be made, and what fell must
    not climb on. What a person has to mend is reported."""
    stands = rollout.status
    if decision.status.state is State.ROLLBACK:
        stands = decision.status.model_copy(update={"written": _stands_there(rollout, decision)})
    yield Show(stands.model_copy(update={"gates": decision.status.gates}))
    if outcome.refusal is not None:
        yield from _report(rollout, _not_writable(rollout, stands, outcome.refusal, now), now)
    elif stands.state is State.ROLLBACK and (rollout.status.state is not State.ROLLBACK or not outcome.is_conflict):
        yield from _report(rollout, stands, now)
    yield Keep(decision.status)


def _stands_there(rollout: Rollout, decision: Decision) -> str | None:
    """The fingerprint of what was not written over: of the raise under way where that was made."""
    raising = rollout.status.raising
    seen = {action.seen.fingerprint for action in decision.actions if isinstance(action, Write)}
    return raising.written if raising is not None and raising.written in seen else rollout.status.written


def _not_writable(rollout: Rollout, stands: FeatureRolloutStatus, sentence: str, now: datetime) -> FeatureRolloutStatus:
    made = ConditionMaker(rollout.status.conditions, rollout.generation, now)
    message = f"what was decided can't be done: {sentence}"[:4096]
    said = [
        made(ConditionType.READY, False, Reason.NOT_WRITABLE, message),
        made(ConditionType.STALLED, True, Reason.NOT_WRITABLE, message),
    ]
    kept = [condition for condition in stands.conditions if condition.type not in _SAID_ANEW]
    return stands.model_copy(update={"conditions": (*said, *kept), "observed_generation": rollout.generation})


def significant(status: FeatureRolloutStatus) -> FeatureRolloutStatus:
    """The status without what changes at every reading: verdicts, phases and evidence are written, live values are metrics. Nor is the
    fingerprint worth a write of its own: what would be written now anyway is known without it."""
    gates = tuple(_without_live(gate) for gate in status.gates)
    conditions = tuple(condition.model_copy(update={"message": ""}) for condition in status.conditions)
    return status.model_copy(update={"gates": gates, "conditions": conditions, "written": None})


def _without_live(gate: GateStatus) -> GateStatus:
    counted = gate.counted
    if counted is not None:
        slot = datetime.fromtimestamp(counted.until.timestamp() // _CHECKPOINT * _CHECKPOINT, UTC)
        counted = counted.model_copy(update={"until": slot, "total": "", "series": {}})
    return gate.model_copy(update=dict.fromkeys(_LIVE, None) | {"message": "", "counted": counted})


def rejects(record: Record) -> bool:
    """Whether a record says that its revision was rolled back; also that of an attempt which found it rolled back before."""
    return record.transition is Transition.ROLLED_BACK or record.to_phase in _ROLLING_BACK
