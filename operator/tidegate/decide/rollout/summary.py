"""Conditions in kstatus form. Ready stays True while a rollout moves: a days-long InProgress would block the very revert that is needed."""

from collections.abc import Mapping
from datetime import datetime

from tidegate.api.conditions import Condition, ConditionType, Reason
from tidegate.api.rollout_status import FeatureRolloutStatus, Phase, State
from tidegate.decide.rollout.draft import Draft
from tidegate.decide.rollout.drift import contested
from tidegate.decide.rollout.motion import first_problem
from tidegate.decide.rollout.waiting import Blocker
from tidegate.domain.answers import Failure, GateAnswer, GateId
from tidegate.domain.condition_maker import ConditionMaker
from tidegate.domain.problems import Problem

_READY_REASON = {
    Phase.PENDING: Reason.WAITING,
    Phase.WAITING: Reason.WAITING,
    Phase.PROGRESSING: Reason.PROGRESSING,
    Phase.PAUSED: Reason.PAUSED,
    Phase.BAKING: Reason.BAKING,
    Phase.SUCCEEDED: Reason.SUCCEEDED,
    Phase.ROLLING_BACK: Reason.ROLLING_BACK,
    Phase.ROLLED_BACK: Reason.ROLLED_BACK,
    Phase.DISABLED: Reason.DISABLED,
    Phase.INVALID: Reason.INVALID_SPEC,
}


def conditions_for(
    status: FeatureRolloutStatus,
    stalled: Problem | None,
    answers: Mapping[GateId, GateAnswer],
    now: datetime,
    questionable: Problem | None = None,
) -> tuple[Condition, ...]:
    """The conditions of a status. Abnormal ones stand only while they are true; times change only with a status."""
    made = ConditionMaker(status.conditions, status.observed_generation, now)
    if stalled is not None:
        out = [made(ConditionType.READY, False, stalled.reason, stalled.message)]
        out.append(made(ConditionType.STALLED, True, stalled.reason, stalled.message))
    else:
        out = [made(ConditionType.READY, True, _READY_REASON[status.phase], _sentence(status))]
    succeeded = status.phase is Phase.SUCCEEDED
    out.append(made(ConditionType.COMPLETED, succeeded, Reason.SUCCEEDED if succeeded else _unfinished(status), ""))
    source = _source(answers)
    if source is not None:
        out.append(made(ConditionType.METRICS_AVAILABLE, source.reason is Reason.ANSWERING, source.reason, source.message))
    if questionable is not None:
        out.append(made(ConditionType.QUESTIONABLE, True, questionable.reason, questionable.message))
    return tuple(out)


def _unfinished(status: FeatureRolloutStatus) -> Reason:
    return Reason.ROLLED_BACK if status.phase in (Phase.ROLLED_BACK, Phase.ROLLING_BACK) else Reason.IN_PROGRESS


def _sentence(status: FeatureRolloutStatus) -> str:
    where = f"{status.percent} %" if status.percent is not None else "not written yet"
    if status.phase in (Phase.SUCCEEDED, Phase.DISABLED):
        return where
    return f"step {status.step} of {status.steps}, {where}"


def _source(answers: Mapping[GateId, GateAnswer]) -> Problem | None:
    """Whether the source answers, by the first failure found; None where nothing was asked."""
    for answer in answers.values():
        for part in answer.parts():
            if isinstance(part, Failure) and part.reason is not Reason.QUERY_REFUSED:
                return Problem(part.reason, part.message)
    return Problem(Reason.ANSWERING, "") if answers else None


def stalled_by(draft: Draft, found: tuple[Blocker, ...]) -> Problem | None:
    """The one thing that a person has to look at, the worst first."""
    contest = contested(draft)
    if contest is not None:
        return contest[0]
    status = draft.status
    if status.state is State.ROLLBACK:
        revision = f"revision {status.revision}" if status.revision else "it"
        remedy = "set spec.revision to a new value, or raise spec.retry to try it again"
        return Problem(Reason.ROLLED_BACK, f"rolled back: {remedy}; {revision} stays rejected")
    if draft.snapshot.rollout.problem is not None:
        return draft.snapshot.rollout.problem
    if status.phase in (Phase.DISABLED, Phase.SUCCEEDED):
        return first_problem(tuple(one for one in found if one.problem is not draft.snapshot.policy))
    return first_problem(found)


def waiting_for(draft: Draft, found: tuple[Blocker, ...]) -> str | None:
    """What the next step waits for, in one plain sentence; None where there is no next step."""
    has_next = draft.status.state in (State.DISABLED, State.ROLLING_OUT) and draft.status.phase is not Phase.DISABLED
    if not has_next or not found:
        return None
    return f"the next step waits for {', '.join(blocker.sentence for blocker in found)}"[:1024]
