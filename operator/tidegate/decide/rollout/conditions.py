"""Conditions in kstatus form. Ready stays True while a rollout moves: a days-long InProgress would block the very revert that is needed."""

from collections.abc import Mapping
from datetime import datetime

from tidegate.api.conditions import Condition, ConditionType, Reason
from tidegate.api.rollout_status import FeatureRolloutStatus, Phase
from tidegate.decide.conditions import ConditionMaker
from tidegate.domain.readings import Failure, GateAnswer, GateId
from tidegate.domain.snapshot import Problem

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
