"""What holds the next step back: an ordered list of checks, each of which gives a blocker or None. `waitingFor`, Stalled and the wake-up
follow from it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from tidegate.api.conditions import Reason
from tidegate.api.rollout_status import GateSource, State, Verdict
from tidegate.api.types import format_duration, format_second
from tidegate.decide.gates.judging import current_medians, kind_of, refused_query, unready
from tidegate.decide.rollout.draft import Draft
from tidegate.decide.rollout.drift import contested
from tidegate.decide.rollout.pacing import too_many
from tidegate.domain.answers import Failure, GateId
from tidegate.domain.asks import is_waited_for, start_source
from tidegate.domain.problems import Problem
from tidegate.domain.recording import unrecorded
from tidegate.domain.snapshot import Policy
from tidegate.domain.steps import dwell_at


@dataclass(frozen=True, slots=True)
class Blocker:
    """`sentence`: why the next step doesn't come, as a sentence of its own. `wake_at`: when that may be over by itself. `problem`: a person
    has to look at it."""

    sentence: str
    wake_at: datetime | None = None
    problem: Problem | None = None


Check = Callable[[Draft], Blocker | None]


def _of(problem: Problem | None) -> Blocker | None:
    return None if problem is None else Blocker(problem.message, problem=problem)


def spec_followable(draft: Draft) -> Blocker | None:
    return _of(draft.snapshot.rollout.problem)


def policy_usable(draft: Draft) -> Blocker | None:
    return _of(draft.snapshot.policy if isinstance(draft.snapshot.policy, Problem) else None)


def not_contested(draft: Draft) -> Blocker | None:
    found = contested(draft)
    return None if found is None else Blocker(found[0].message, wake_at=found[1], problem=found[0])


def attempt_in_time(draft: Draft) -> Blocker | None:
    """Another attempt is asked for, and many began a short while ago: nothing rises until it may begin."""
    found = too_many(draft)
    return None if found is None else Blocker(found[0].message, wake_at=found[1], problem=found[0])


def not_turned_down(draft: Draft) -> Blocker | None:
    """A manual override is neither undone nor climbed from."""
    percent = draft.override
    if percent is None:
        return None
    turned = f"{draft.lever.label} was turned down to {percent} % by an external writer, from {draft.step_percent} %"
    return _of(Problem(Reason.LOWERED_ELSEWHERE, f"{turned}: set it back, or set spec.revision to begin again"))


def gates_answerable(draft: Draft) -> Blocker | None:
    """Gates that can't be judged until a person mends them."""
    return _of(draft.resolved.problem or refused_query(draft) or unready(draft))


def paused_by(draft: Draft) -> str | None:
    """Who has paused the rollout, as a sentence; None where nobody has."""
    policy = draft.snapshot.policy
    if draft.spec.paused:
        return "paused by spec.paused"
    if isinstance(policy, Policy) and policy.spec.suspend is not None:
        return f"suspended by RolloutPolicy {policy.name}: {policy.spec.suspend.reason}"
    return None


def not_paused(draft: Draft) -> Blocker | None:
    by = paused_by(draft)
    return None if by is None else Blocker(by)


def records_appended(draft: Draft) -> Blocker | None:
    """Nothing new is decided before what was decided is in the RolloutRun."""
    if (problem := unrecorded(draft.status)) is not None:
        return _of(problem)
    if draft.before.pending is None or draft.status.raising is not None:
        return None
    return Blocker(f"the records of this attempt are not in RolloutRun {draft.status.run} yet", wake_at=draft.now)


def dwell_over(draft: Draft) -> Blocker | None:
    ends = dwell_ends(draft)
    if ends is None or draft.now >= ends:
        return None
    return Blocker(f"the dwell of {draft.step_percent} % ends at {format_second(ends)}", wake_at=ends)


def within_deadline(draft: Draft) -> Blocker | None:
    due = overdue_at(draft)
    if due is None or draft.now < due:
        return None
    late = f"{draft.step_percent} % is held longer than spec.stepDeadline ({format_duration(draft.spec.step_deadline)})"
    return _of(Problem(Reason.STEP_DEADLINE_EXCEEDED, f"{late}: raise the deadline, pause and resume, or set another revision"))


def way_back_proven(draft: Draft) -> Blocker | None:
    if draft.status.rehearsal is None:
        return Blocker(f"the way back is not proven yet: {draft.lever.label} is written and read back first")
    if draft.reading.percent is not None and (draft.own_mark is None or draft.reading.unreadable):
        return Blocker(f"{draft.lever.label}, which an external writer replaced, is corrected and read back first")
    return None


def metrics_known(draft: Draft) -> Blocker | None:
    unknown = draft.snapshot.unknown_metrics
    if not isinstance(unknown, Failure) or not isinstance(draft.snapshot.policy, Policy):
        return None
    return Blocker(f"the gates' metrics can't be looked up: {unknown.message}")


def medians_read(draft: Draft) -> Blocker | None:
    """An attempt that has just begun has not asked for them yet: nobody has to look at that."""
    known = current_medians(draft).keys() | draft.snapshot.medians.keys()
    if draft.status.exposed_at is not None or not isinstance(draft.snapshot.policy, Policy):
        return None
    for (source, name), gate in draft.every_gate.items():
        if is_waited_for(gate) and start_source(gate) is not None and (source, name) not in known:
            return Blocker(f"{kind_of(source)} {name}: its median before the start is not read yet")
    return None


ALWAYS: tuple[Check, ...] = (
    spec_followable,
    policy_usable,
    not_contested,
    attempt_in_time,
    not_turned_down,
    gates_answerable,
    records_appended,
)
"""These hold back the first write of a feature that is live already (spec.initialPercent), too."""
STEP: tuple[Check, ...] = (not_paused, dwell_over, within_deadline, way_back_proven, metrics_known, medians_read)


def blockers(draft: Draft) -> tuple[Blocker, ...]:
    """Everything that stands between now and the next step. Empty: it may begin."""
    adopts = draft.status.raising is not None and draft.status.raising.adopts
    checks = ALWAYS if adopts else (*ALWAYS, *STEP)
    found = [blocker for check in checks if (blocker := check(draft)) is not None]
    return tuple(found) if adopts else (*found, *_gates_agree(draft))


def dwell_ends(draft: Draft) -> datetime | None:
    """When the current step's dwell is over; None where there is none."""
    effective = draft.status.effective_at
    if effective is None or draft.status.state is State.ENABLED:
        return None
    return effective + dwell_at(draft.steps, draft.step_percent)


def overdue_at(draft: Draft) -> datetime | None:
    """When the current step exceeds spec.stepDeadline; None where it can't now."""
    ends = dwell_ends(draft)
    if ends is None or draft.now < ends or paused_by(draft) is not None:
        return None
    return max(ends, draft.status.resumed_at or ends) + draft.spec.step_deadline


def gates_that_count(draft: Draft) -> Iterator[GateId]:
    """The gates and guards that have to say ADVANCE."""
    policy = draft.snapshot.policy
    if isinstance(policy, Policy):
        yield from ((GateSource.ROLLOUT, gate.name) for gate in draft.resolved.gates if draft.exposed)
        yield from ((GateSource.POLICY, guard.name) for guard in policy.spec.guards if is_waited_for(guard))


def _gates_agree(draft: Draft) -> Iterator[Blocker]:
    judged = {(gate.source, gate.name): gate for gate in draft.status.gates}
    for source, name in gates_that_count(draft):
        gate = judged.get((source, name))
        kind = kind_of(source)
        if gate is None:
            yield Blocker(f"{kind} {name} is not read yet")
        elif gate.verdict not in (Verdict.ADVANCE, Verdict.NOT_APPLICABLE):
            reason = "has no data" if gate.verdict is Verdict.NO_DATA else "is in breach" if gate.breached_since else "holds"
            yield Blocker(f"{kind} {name} {reason} ({gate.threshold})")
