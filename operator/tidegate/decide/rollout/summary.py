"""Conditions in kstatus form. Ready stays True while a rollout moves: a days-long InProgress would block the very revert that is needed."""

from datetime import datetime

from tidegate.api.conditions import SOURCE_FAILURES, Condition, ConditionType, Reason
from tidegate.api.rollout_status import FeatureRolloutStatus, Phase, State
from tidegate.api.types import format_second
from tidegate.decide.rollout.draft import Draft
from tidegate.decide.rollout.drift import contested
from tidegate.decide.rollout.missing import long_missing
from tidegate.decide.rollout.motion import first_problem
from tidegate.decide.rollout.pacing import too_many
from tidegate.decide.rollout.waiting import Blocker
from tidegate.domain.answers import Failure
from tidegate.domain.condition_maker import ConditionMaker
from tidegate.domain.problems import Problem
from tidegate.domain.recording import unrecorded

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
_ENDINGS = {Phase.SUCCEEDED: Reason.SUCCEEDED, Phase.ROLLED_BACK: Reason.ROLLED_BACK, Phase.DISABLED: Reason.DISABLED}
"""Phases that an attempt ends in: whoever waits for its end goes on, and reads the reason."""


def conditions_for(
    status: FeatureRolloutStatus,
    stalled: Problem | None,
    source: Problem | None,
    now: datetime,
    questionable: Problem | None = None,
) -> tuple[Condition, ...]:
    """The conditions of a status. Abnormal ones stand only while they are true; times change only with a status."""
    made = ConditionMaker(status.conditions, status.observed_generation, now)
    if stalled is not None:
        out = [made(ConditionType.READY, False, stalled.reason, stalled.message)]
        out.append(made(ConditionType.STALLED, True, stalled.reason, stalled.message))
    else:
        out = [made(ConditionType.READY, True, _READY_REASON[status.phase], _sentence(status, source))]
    ending = _ENDINGS.get(status.phase)
    out.append(made(ConditionType.FINISHED, ending is not None, ending or Reason.IN_PROGRESS, ""))
    if source is not None:
        out.append(made(ConditionType.METRICS_AVAILABLE, source.reason is Reason.ANSWERING, source.reason, source.message))
    if questionable is not None:
        out.append(made(ConditionType.QUESTIONABLE, True, questionable.reason, questionable.message))
    if (waits := unrecorded(status)) is not None:
        out.append(made(ConditionType.UNRECORDED, True, waits.reason, waits.message))
    return tuple(out)


def _sentence(status: FeatureRolloutStatus, source: Problem | None) -> str:
    where = f"{status.percent} %" if status.percent is not None else "not written yet"
    if status.phase in (Phase.SUCCEEDED, Phase.DISABLED):
        return where
    sentence = f"step {status.step} of {status.steps}, {where}"
    if source is None or source.reason not in SOURCE_FAILURES:
        return sentence
    what = "a query got no answer" if source.reason in (Reason.QUERY_SLOW, Reason.SOURCE_BUSY) else "the source of metrics gives no answer"
    return f"{sentence}; {what}: {source.message}"


def source_of(draft: Draft) -> Problem | None:
    """Whether the source answers, by the first failure found; None where nothing was asked."""
    asked = [part for answer in draft.answers.values() for part in answer.parts()]
    if isinstance(draft.snapshot.unknown_metrics, Failure):
        asked.append(draft.snapshot.unknown_metrics)
    for part in asked:
        if isinstance(part, Failure) and part.reason is not Reason.QUERY_REFUSED:
            return Problem(part.reason, part.message)
    return Problem(Reason.ANSWERING, "") if draft.answers else None


def stalled_by(draft: Draft, found: tuple[Blocker, ...]) -> Problem | None:
    """The one thing that a person has to look at, the worst first."""
    contest = contested(draft)
    if contest is not None:
        return contest[0]
    status = draft.status
    if status.state is State.ROLLBACK:
        return first_problem(found) or Problem(Reason.ROLLED_BACK, _fallen(status))
    if draft.snapshot.rollout.problem is not None:
        return draft.snapshot.rollout.problem
    if status.phase in (Phase.DISABLED, Phase.SUCCEEDED):
        others = tuple(one for one in found if one.problem is not draft.snapshot.policy)
        return first_problem(others) or unrecorded(status)
    return first_problem(found) or long_missing(draft)


def _fallen(status: FeatureRolloutStatus) -> str:
    """Why it was rolled back, and only then how to go on."""
    cause = f"{status.rolled_back_because[:700]}; " if status.rolled_back_because else ""
    at = f" at {format_second(status.rolled_back_at)}" if status.rolled_back_at is not None else ""
    revision = f"revision {status.revision}" if status.revision else "this one"
    return f"{cause}rolled back{at}. Set spec.revision to a new value, or raise spec.retry to try again: {revision} stays rejected"


def waiting_for(draft: Draft, found: tuple[Blocker, ...]) -> str | None:
    """Why the next step, or the next attempt, doesn't come, in plain sentences; None where neither is to come."""
    said = [blocker.sentence for blocker in found]
    if draft.status.state is State.ENABLED:
        held = too_many(draft)
        said = [] if held is None else [held[0].message]
    elif draft.status.state is State.ROLLBACK:
        said.append(_fallen(draft.status))
    return "; ".join(said)[:1024] or None
