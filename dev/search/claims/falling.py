"""What must fall falls at once, nothing falls without a cause, and what fell stays down."""

from datetime import datetime, timedelta

from search.claims.common import waiting, waits_its_turn
from search.memory import standing
from search.place import Life
from search.reconciling import Operator, Reconcile
from tidegate.api.gates import Guard
from tidegate.api.rollout_status import CONTESTED_AFTER, GateStatus, Phase, State
from tidegate.decide.rollout.drift import SHORT_WHILE
from tidegate.domain.answers import Answer
from tidegate.domain.exposure import Reading
from tidegate.levers.deadman import in_force
from tidegate.levers.flag.definition import switched_off
from tidegate.levers.flag.flag_set import WriteFlag

DEADLINE = timedelta(seconds=20)
"""`noData.deadline`, where a scope rolls back after it."""
PAUSE = timedelta(seconds=60)
"""For so long, at most, a correction waits while somebody keeps changing the flag."""
_REFUSALS = (("is refused its action",), ("is refused for good its action",), ("meets a conflict in its action",))


def a_lowering_waits_for_nothing(operator: Operator, done: Reconcile) -> str | None:
    status, flag = done.decided, done.snapshot.reading
    if not isinstance(flag, Reading) or done.snapshot.rollout.deleting or not status.attempt or is_paused(done):
        return None
    is_off = status.state is State.ROLLBACK or status.phase is Phase.DISABLED
    if not (is_off or (status.state is State.DISABLED and status.raising is None)) or not in_force(flag, done.now).percent:
        return None
    writes = [action for action in done.decision.actions if isinstance(action, WriteFlag)]
    if [write.percent for write in writes] != [0] or writes[0].raises:
        return f"the status becomes {status.state}, and the flag that shows {flag.percent} % is not written to 0 % in the same reconcile"
    if is_off and dict(writes[0].definition) != switched_off():
        return "the flag is lowered, and not for everybody"
    return None


def a_breach_that_counts_rolls_back_at_once(operator: Operator, done: Reconcile) -> str | None:
    before, after = done.read, done.decided
    is_exposed = before.is_exposed and before.phase is not Phase.SUCCEEDED
    has_expired = bool(after.step_percent) and after.effective_at is None
    if not is_exposed or after.attempt != before.attempt or has_expired or after.state is State.ROLLBACK:
        return None
    if after.phase is Phase.DISABLED or done.is_late:
        return None
    known = {gate.name: gate for gate in before.gates}
    for (_, name), answer in done.snapshot.answers.items():
        gate = operator.library.gates[name]
        if done.said.get(name) != "bad" or not isinstance(answer.value, Answer) or gate.rollback is None or gate.rollback.for_ is not None:
            continue
        sampled, seen = answer.value.oldest_sample or 0, known.get(name)
        if isinstance(gate, Guard):
            reach = gate.reach
            if before.raised_at is None or reach is None or done.now - before.raised_at >= reach:
                continue
        elif before.exposed_at is None or sampled <= before.exposed_at.timestamp():
            continue
        last = seen.breached_last if seen is not None else None
        earlier = seen.breached_samples or 0 if seen is not None and last is not None and last.timestamp() < sampled else 0
        if earlier + 1 >= (gate.rollback.confirm or 2):
            return f"{name} is in breach on {earlier + 1} samples, and the reconcile does not roll back"
    return None


def a_rollback_that_is_refused_is_kept(operator: Operator, done: Reconcile) -> str | None:
    """The numbers may recover before it can be made."""
    if done.decided.state is not State.ROLLBACK or done.cuts not in _REFUSALS or done.after.life is not Life.ALIVE:
        return None
    return None if done.after.status.state is State.ROLLBACK else "the flag could not be written, and the rollback is forgotten"


def nothing_rolls_back_without_a_cause(operator: Operator, done: Reconcile) -> str | None:
    before, after = done.read, done.decided
    fallen = done.place.memory.fallen
    found = {*after.rejected} - {*before.rejected} - fallen
    if not found and (after.state is not State.ROLLBACK or before.state is State.ROLLBACK or after.revision in fallen):
        return None
    if _is_marked(done, found or {after.rejected_revision or ""}):
        return None
    if any(_may_have_fallen(operator, done, name) for _, name in done.snapshot.answers):
        return None
    return "it rolls back, and no gate has been in breach for as long as it must, nor without data"


def _is_marked(done: Reconcile, revisions: set[str]) -> bool:
    """Whether the mark of this attempt, or any at first contact, says that one of these was rolled back."""
    flag, rollout = done.snapshot.reading, done.snapshot.rollout
    if not isinstance(flag, Reading) or flag.mark is None or flag.mark.rejected not in revisions:
        return False
    return rollout.status.attempt == 0 or flag.owned(rollout.uid, rollout.status.attempt)


def _may_have_fallen(operator: Operator, done: Reconcile, name: str) -> bool:
    gate, kind, after = operator.library.gates[name], done.said.get(name, "good"), done.decided
    rule = operator.library.scope.spec.get("noData", {})
    if kind == "none" and rule.get("then") == "rollback":
        return any(_without_data(one, done.now) >= DEADLINE for one in (*done.snapshot.evidence, *done.read.gates) if one.name == name)
    if kind != "bad" or gate.rollback is None:
        return False
    if isinstance(gate, Guard) and (after.raised_at is None or gate.reach is None or done.now - after.raised_at >= gate.reach):
        return False
    if name not in operator.library.lasting:
        return True
    breach = done.after.memory.breaches.get(name)
    if breach is None:
        return False
    if gate.rollback.for_ is not None:
        return breach.samples >= 3 and breach.last - breach.since >= gate.rollback.for_
    return breach.samples >= (gate.rollback.confirm or 2)


def _without_data(gate: GateStatus, now: datetime) -> timedelta:
    running = now - gate.no_data_since if gate.no_data_since is not None else timedelta(0)
    return running + timedelta(seconds=gate.no_data_before or 0)


def a_rejected_revision_is_never_exposed_again(operator: Operator, done: Reconcile) -> str | None:
    for one in done.writes:
        revision = one.write.mark.revision
        if revision in done.place.memory.fallen and (one.after.percent or 0) > (one.before.percent or 0):
            return f"{one.write.percent} % is written for revision {revision}, which was rolled back"
    return None


def a_revision_is_rejected_only_where_it_fell(operator: Operator, done: Reconcile) -> str | None:
    before, after = done.read, done.decided
    if before.attempt or after.rejected_revision is None or done.is_late or after.rejected_revision in done.place.memory.fallen:
        return None
    return None if _is_marked(done, {after.rejected_revision}) else f"revision {after.rejected_revision} never fell, and is found rejected"


def a_rollback_is_absorbing(operator: Operator, done: Reconcile) -> str | None:
    place, status, spec = done.place, done.decided, done.spec
    if done.is_late or place.life is not Life.ALIVE or spec is None or not isinstance(done.snapshot.reading, Reading) or not status.attempt:
        return None
    before = done.read
    if (status.retry or 0) > (before.retry or 0) and before.attempt:
        return None  # a person asked for it
    was_rejected = before.state is State.ROLLBACK and before.rejected_revision == spec.revision
    if not was_rejected and not (spec.revision in place.memory.fallen and spec.revision == place.choice.revision):
        return None
    if status.state is State.ROLLBACK if spec.enabled else status.phase is Phase.DISABLED:
        return None
    if len(waiting(before)) >= operator.library.scope.backlog and status.attempt == before.attempt:
        return None  # too many records wait: nothing begins, whatever is asked for
    is_off = before.state is State.ROLLBACK or before.phase is Phase.DISABLED
    if waits_its_turn(done) and (is_off or spec.retry > (before.retry or 0)):
        return None
    return f"revision {spec.revision} was rolled back, and the reconcile makes it {status.state} ({status.phase})"


def no_exposure_beyond_the_step_outlasts_a_reconcile(operator: Operator, done: Reconcile) -> str | None:
    """Whoever raises the flag, with whichever mark. A contest only delays it."""
    status, flag = done.after.status, done.snapshot.reading
    if done.is_late or done.after.life is not Life.ALIVE or not isinstance(flag, Reading) or not status.attempt or is_paused(done):
        return None
    if status.step_percent is None or done.read.attempt == 0:
        return None  # nothing is ours yet
    written = max((one.write.percent for one in done.writes), default=0)
    shown = operator.lever.shown(done.after.flags, done.now)
    return f"clients have {shown} %, by status it is {status.step_percent} %" if shown > max(standing(status), written) else None


def is_paused(done: Reconcile) -> bool:
    """Whether the contest withholds a correction for now."""
    drift = done.decided.drift
    recent = () if drift is None else tuple(at for at in drift.corrected_at if done.now - at < SHORT_WHILE)
    return len(recent) >= CONTESTED_AFTER and done.now - recent[-1] < PAUSE and not done.decision.actions
