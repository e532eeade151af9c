"""What must fall falls at once, nothing falls without a cause, and what fell stays down."""

from datetime import datetime, timedelta

from search.looking import Look, Operator
from search.place import Life
from tidegate.api.gates import Gate, Guard
from tidegate.api.rollout_status import GateStatus, Phase, State
from tidegate.domain.decision import WriteFlag
from tidegate.domain.readings import Answer
from tidegate.domain.snapshot import FlagReading
from tidegate.levers.flag import switched_off
from tidegate.levers.lease import in_force

DEADLINE = timedelta(seconds=20)
"""`noData.deadline`, where a scope rolls back after it."""


def a_lowering_waits_for_nothing(operator: Operator, look: Look) -> str | None:
    status, flag = look.decision.status, look.snapshot.flag
    if not isinstance(flag, FlagReading) or look.snapshot.rollout.deleting or not status.attempt:
        return None
    is_off = status.state is State.ROLLBACK or status.phase is Phase.DISABLED
    if not (is_off or (status.state is State.DISABLED and status.raising is None)) or not in_force(flag, look.now).percent:
        return None
    writes = [action for action in look.decision.actions if isinstance(action, WriteFlag)]
    if [write.percent for write in writes] != [0] or writes[0].raises:
        return f"the status becomes {status.state}, and the flag that shows {flag.percent} % is not written to 0 % in the same look"
    if is_off and dict(writes[0].definition) != switched_off():
        return "the flag is lowered, and not for everybody"
    return None


def a_breach_that_counts_rolls_back_at_once(operator: Operator, look: Look) -> str | None:
    before, after = look.snapshot.rollout.status, look.decision.status
    is_exposed = before.state in (State.ROLLING_OUT, State.ENABLED) and bool(before.percent) and before.phase is not Phase.SUCCEEDED
    if not is_exposed or after.attempt != before.attempt or after.lapsed_percent is not None or after.state is State.ROLLBACK:
        return None
    if after.phase is Phase.DISABLED or look.is_late:
        return None
    known = {gate.name: gate for gate in before.gates}
    for (_, name), answer in look.snapshot.answers.items():
        gate = _rule(operator, name)
        if look.said.get(name) != "bad" or not isinstance(answer.value, Answer) or gate.rollback is None or gate.rollback.for_ is not None:
            continue
        sampled, seen = answer.value.oldest_sample or 0, known.get(name)
        if isinstance(gate, Guard):
            reach = gate.reach
            if before.raised_at is None or reach is None or look.now - before.raised_at >= reach:
                continue
        elif before.exposed_at is None or sampled <= before.exposed_at.timestamp():
            continue
        last = seen.breached_last if seen is not None else None
        earlier = seen.breached_samples or 0 if seen is not None and last is not None and last.timestamp() < sampled else 0
        if earlier + 1 >= (gate.rollback.confirm or 2):
            return f"{name} is in breach on {earlier + 1} samples, and the look does not roll back"
    return None


def _rule(operator: Operator, name: str) -> Gate:
    return operator.library.gates[name]


def nothing_rolls_back_without_a_cause(operator: Operator, look: Look) -> str | None:
    before, after, flag = look.snapshot.rollout.status, look.decision.status, look.snapshot.flag
    if after.state is not State.ROLLBACK or before.state is State.ROLLBACK or look.place.memory.fallen == look.place.choice.revision:
        return None
    if isinstance(flag, FlagReading) and flag.marker is not None and flag.marker.rejected == after.rejected_revision:
        return None
    if before.attempt == 0 or before.phase is Phase.DISABLED:
        return None  # found rejected, by its run
    if any(_may_have_fallen(operator, look, name) for _, name in look.snapshot.answers):
        return None
    return "it rolls back, and no gate has been in breach for as long as it must, nor without data"


def _may_have_fallen(operator: Operator, look: Look, name: str) -> bool:
    gate, kind, after = _rule(operator, name), look.said.get(name, "good"), look.decision.status
    rule = operator.library.scope.spec.get("noData", {})
    if kind == "none" and rule.get("then") == "rollback":
        return any(
            _without_data(one, look.now) >= DEADLINE
            for one in (*look.snapshot.evidence, *look.snapshot.rollout.status.gates)
            if one.name == name
        )
    if kind != "bad" or gate.rollback is None:
        return False
    if isinstance(gate, Guard) and (after.raised_at is None or gate.reach is None or look.now - after.raised_at >= gate.reach):
        return False
    if name not in operator.library.lasting:
        return True
    breach = look.after.memory.breaches.get(name)
    if breach is None:
        return False
    if gate.rollback.for_ is not None:
        return breach.samples >= 3 and breach.last - breach.since >= gate.rollback.for_
    return breach.samples >= (gate.rollback.confirm or 2)


def _without_data(gate: GateStatus, now: datetime) -> timedelta:
    running = now - gate.no_data_since if gate.no_data_since is not None else timedelta(0)
    return running + timedelta(seconds=gate.no_data_before or 0)


def a_rejected_revision_is_never_exposed_again(operator: Operator, look: Look) -> str | None:
    fallen = look.place.memory.fallen
    for one in look.writes:
        if fallen is not None and fallen == look.place.choice.revision and (one.after.percent or 0) > (one.before.percent or 0):
            return f"{one.write.percent} % is written for revision {fallen}, which was rolled back"
    return None


def a_revision_is_rejected_only_where_it_fell(operator: Operator, look: Look) -> str | None:
    before, after, memory = look.snapshot.rollout.status, look.decision.status, look.place.memory
    if before.attempt or after.rejected_revision is None or look.is_late:
        return None
    return None if memory.fallen == after.rejected_revision else f"revision {after.rejected_revision} never fell, and is found rejected"


def a_rollback_is_absorbing(operator: Operator, look: Look) -> str | None:
    place, status, spec = look.place, look.decision.status, look.snapshot.rollout.followed_spec()
    if (
        look.is_late
        or place.life is not Life.ALIVE
        or spec is None
        or not isinstance(look.snapshot.flag, FlagReading)
        or not status.attempt
    ):
        return None
    before = look.snapshot.rollout.status
    was_rejected = before.state is State.ROLLBACK and before.rejected_revision == spec.revision
    if not was_rejected and not (place.memory.fallen is not None and place.memory.fallen == spec.revision == place.choice.revision):
        return None
    if status.state is State.ROLLBACK if spec.enabled else status.phase is Phase.DISABLED:
        return None
    return f"revision {spec.revision} was rolled back, and the look makes it {status.state} ({status.phase})"
