"""Epochs and records grow, whoever is not terminal is woken, nothing waits without a reason, and what goes leaves nobody exposed."""

from search.claims.common import gates_that_count, waiting, waits_its_turn
from search.claims.falling import is_paused
from search.memory import standing
from search.place import Life
from search.reconciling import Operator, Reconcile
from search.scopes import PACE
from tidegate.api.conditions import ConditionType
from tidegate.api.gates import Guard
from tidegate.api.records import REPEATABLE
from tidegate.api.rollout_status import CONTESTED_AFTER, FeatureRolloutStatus, GateSource, Phase, State
from tidegate.decide.rollout.restoring import restored
from tidegate.domain.answers import Answer
from tidegate.domain.exposure import Reading
from tidegate.domain.snapshot import Policy
from tidegate.domain.steps import dwell_at
from tidegate.levers.flag.flag_set import WriteFlag
from tidegate.levers.managed_fields import UNKNOWN

ROOM = 40
"""So many records fit beside a backlog."""


def every_write_carries_a_larger_epoch(operator: Operator, done: Reconcile) -> str | None:
    for one in done.writes:
        before, after = one.epochs
        if after <= before or one.after.mark is None or one.after.mark.epoch != after:
            return f"a write under epoch {after} follows one under {before}"
    return None


def seq_never_goes_back_or_repeats(operator: Operator, done: Reconcile) -> str | None:
    before, after = done.read, done.decided
    if after.seq < before.seq:
        return f"seq goes from {before.seq} back to {after.seq}"
    numbers = [record.seq for record in waiting(after)]
    if numbers and numbers != list(range(after.seq - len(numbers) + 1, after.seq + 1)):
        return f"the records that wait have the numbers {numbers}, and the newest is {after.seq}"
    if len(numbers) > operator.library.scope.backlog + ROOM:
        return f"{len(numbers)} records wait, and there is room for {operator.library.scope.backlog + ROOM}"
    return None


def records_are_appended_once_and_without_gap(operator: Operator, done: Reconcile) -> str | None:
    appended, known = [record.seq for record in done.appended], done.place.recorded
    if not done.place.runs:
        known = next((record.seq - 1 for record in waiting(done.place.status)), done.place.status.seq)
    if appended and appended != list(range(known + 1, known + 1 + len(appended))):
        return f"the records {appended} are appended after {known}"
    return None


def no_record_is_lost(operator: Operator, done: Reconcile) -> str | None:
    """Whatever a stored status records and doesn't repeat ends in a run: it waits until it is there, and its object with it."""
    if done.after.status is done.place.status and done.after.life is done.place.life and done.after.finalizer is done.place.finalizer:
        return None
    kept = {(record.seq, record.transition) for record in waiting(done.after.status)}
    for record in waiting(done.place.status):
        if record.transition not in REPEATABLE and record.seq > done.after.recorded and (record.seq, record.transition) not in kept:
            return f"record {record.seq} ({record.transition}) waited, and is in no run"
    left = next((one for one in waiting(done.after.status) if one.transition not in REPEATABLE and one.seq > done.after.recorded), None)
    if left is not None and done.after.life is Life.GONE:
        return f"the object goes with record {left.seq} ({left.transition}), which is in no run"
    return None


def records_that_are_refused_are_told(operator: Operator, done: Reconcile) -> str | None:
    """In conditions, and in what the next step waits for, for as long as they wait."""
    if not done.is_unrecorded or not done.is_done:
        return None
    status = done.after.status
    if not _tells_of_records(status):
        return "records are refused, and the status says nothing of it"
    ready = next(one for one in status.conditions if one.type is ConditionType.READY)
    if ready.status == "True":
        return "records are refused, and the status says that all is under control"
    has_next = status.state is State.ROLLING_OUT
    return "records are refused, and the next step waits for nothing" if has_next and not status.waiting_for else None


def nothing_is_told_of_records_that_are_written(operator: Operator, done: Reconcile) -> str | None:
    """Once they are in their run it is decided again, and nothing of it stands in status."""
    if not _tells_of_records(done.read):
        return None
    if not waiting(done.read):
        return "no record waits, and the status says that some are refused" if _tells_of_records(done.decided) else None
    is_known = done.spec is not None and isinstance(done.snapshot.reading, Reading)
    return "records may be written by now, and nobody looks" if is_known and done.decision.requeue_after != 0 else None


def _tells_of_records(status: FeatureRolloutStatus) -> bool:
    return any(one.type is ConditionType.UNRECORDED for one in status.conditions)


def a_correction_has_something_to_correct(operator: Operator, done: Reconcile) -> str | None:
    """Drifted is recorded, and counted, only where an external writer changed something since our last write; or where that write is one
    that status doesn't know, because its reply was lost, and then nobody is named."""
    status, after, flags = done.read, done.decided.drift, done.seen.flags
    if after is None or (status.drift is not None and after.corrected_at == status.drift.corrected_at):
        return None
    if flags is None or flags.hand is not None:
        return None
    raised = None if status.raising is None else status.raising.written
    if flags.ours is not None and flags.ours.fingerprint not in (status.written, raised) and after.manager == UNKNOWN:
        return None
    return f"the flag is as we wrote it, and the reconcile counts a change by {after.manager}: {after.difference}"


def whoever_is_not_terminal_is_woken(operator: Operator, done: Reconcile) -> str | None:
    decision, spec = done.decision, done.spec
    status, wait = decision.status, decision.requeue_after
    if done.snapshot.rollout.deleting:
        return None
    if wait is None:
        is_over = status.phase in (Phase.SUCCEEDED, Phase.ROLLED_BACK, Phase.DISABLED)
        return None if is_over and not decision.actions else f"nothing wakes it up in {status.phase}"
    if decision.actions and wait > 0:
        return "what it does is not looked at afterwards"
    if spec is not None and status.state is State.ROLLING_OUT and status.effective_at is not None and not spec.paused:
        left = (status.effective_at + dwell_at(spec.strategy.ladder(), status.step_percent or 0) - done.now).total_seconds()
        if left > 0 and wait > left + 0.1:
            return f"the dwell ends in {left:.0f} s, and it sleeps for {wait:.0f} s"
    return None


def attempts_keep_their_pace(operator: Operator, done: Reconcile) -> str | None:
    """No more attempts begin within a while than may; what lowers, or takes over what is exposed, waits for nothing."""
    scope, begun, before, after = operator.library.scope, done.place.memory.begun, done.read, done.decided
    if not scope.is_paced or after.attempt == before.attempt or len(begun) < scope.at_once:
        return None
    is_off = after.state is State.ROLLBACK or after.phase is Phase.DISABLED
    was_off = before.state is State.ROLLBACK or before.phase is Phase.DISABLED
    found = done.snapshot.reading.percent if before.attempt == 0 and isinstance(done.snapshot.reading, Reading) else None
    if (is_off and not was_off and (before.attempt or found is not None)) or found:
        return None
    since = (done.now - begun[-scope.at_once]).total_seconds()
    return f"attempt {after.attempt} begins, and {scope.at_once} did within {since:.0f} s" if since < PACE else None


def nothing_waits_without_a_reason(operator: Operator, done: Reconcile) -> str | None:
    """The next step comes as soon as everything lets it; what doesn't go on says why."""
    before, after, spec = done.read, done.decided, done.spec
    flag = done.snapshot.reading
    if spec is None or before.state is not State.ROLLING_OUT or after.state is not State.ROLLING_OUT or not isinstance(flag, Reading):
        return None
    if after.raising is not None or before.raising is not None or after.attempt != before.attempt:
        return None
    if waits_its_turn(done):
        return None
    if not after.waiting_for:
        return "it holds without saying why"
    effective = after.effective_at
    if effective is None or before.pending is not None or spec.paused or _has_to_mend(done, flag):
        return None
    if done.now < effective + dwell_at(spec.strategy.ladder(), after.step_percent or 0) or not isinstance(done.snapshot.policy, Policy):
        return None
    for _, gate in gates_that_count(done):
        answer = done.snapshot.answers.get((GateSource.POLICY if isinstance(gate, Guard) else GateSource.ROLLOUT, gate.name))
        if answer is None or done.said.get(gate.name, "good") != "good" or not isinstance(answer.value, Answer):
            return None
        if (answer.value.oldest_sample or 0) <= effective.timestamp() or answer.value.at - answer.value.reach < effective.timestamp():
            return None
    return f"nothing stands in the way, and it goes on waiting for: {after.waiting_for}"


def _has_to_mend(done: Reconcile, flag: Reading) -> bool:
    """Whether something is corrected, proven or seen first, or contested."""
    after = done.decided
    is_ours = flag.unreadable is None and flag.owned(done.snapshot.rollout.uid, after.attempt) and flag.percent == after.step_percent
    is_contested = after.drift is not None and len(after.drift.corrected_at) >= CONTESTED_AFTER
    return not is_ours or is_contested or after.rehearsal is None or after.phase is not Phase.PROGRESSING


def what_others_put_back_is_what_its_own_reconcile_does(operator: Operator, done: Reconcile) -> str | None:
    """Where a flag set was lost, whoever is there first puts back the flags of all by their status: as each would by itself, unless its own
    reconcile decides something new. Nothing that falls is held up by it, since it waits for that reconcile."""
    status, decided, flag = done.read, done.decided, done.snapshot.reading
    if done.is_late or not isinstance(flag, Reading) or flag.percent is not None or is_paused(done):
        return None
    back = [write for write in restored(done.snapshot.rollout, operator.noting, done.now) if isinstance(write, WriteFlag)]
    most = standing(status) if status.override is None else status.override
    if any(write.percent > most for write in back):
        return f"{[write.percent for write in back]} % is put back, and by status it is {most} %"
    is_same = (decided.attempt, decided.state, decided.phase is Phase.DISABLED) == (
        status.attempt,
        status.state,
        status.phase is Phase.DISABLED,
    )
    own = [action for action in done.decision.actions if isinstance(action, WriteFlag)]
    if not is_same or decided.raising != status.raising or not done.snapshot.rollout.owns or done.place.life is not Life.ALIVE:
        return None
    if is_confirmed_raise(done) or decided.step_percent != status.step_percent or decided.effective_at != status.effective_at:
        return None
    mine, theirs = ([(one.percent, one.definition, one.mark.claim) for one in writes] for writes in (own, back))
    return None if mine == theirs else f"its own reconcile writes {mine}, and others put back {theirs}"


def is_confirmed_raise(done: Reconcile) -> bool:
    """Whether a raise is made, or may be, that stands in status."""
    return done.read.raising is not None and done.read.pending is None


def deletion_leaves_nobody_exposed_before_the_end(operator: Operator, done: Reconcile) -> str | None:
    if done.place.life is not Life.DELETING or done.after.life is not Life.GONE or done.place.status.state is State.ENABLED:
        return None
    mark, shown = operator.lever.reading(done.after.flags).mark, operator.lever.shown(done.after.flags, done.now)
    is_ours = done.snapshot.rollout.owns or (mark is not None and mark.uid == f"u{done.place.uid}")
    return f"the object goes, and leaves {shown} %" if shown and is_ours else None
