"""An attempt that is asked for, and has to wait because many began a short while ago (docs/adr/0029). What lowers never waits, and what is
exposed already is taken over at once: its rollback rules have to be armed."""

from datetime import datetime
from enum import Enum

from tidegate.api.conditions import Reason
from tidegate.api.rollout_status import Phase
from tidegate.api.types import format_duration, format_second
from tidegate.decide.rollout.draft import Draft
from tidegate.domain import pace
from tidegate.domain.exposure import Mode, Wish
from tidegate.domain.problems import Problem


class Asked(Enum):
    """What in spec asks for another attempt."""

    RETRY = "spec.retry"
    SWITCHED_ON = "spec.enabled"
    REVISION = "spec.revision"


def asked_for(draft: Draft) -> Asked | None:
    """What asks for another attempt; None where nothing does."""
    status, spec = draft.status, draft.spec
    if not spec.enabled:
        return None
    if spec.retry > (status.retry or 0) and draft.is_rejected:
        return Asked.RETRY
    if status.phase is Phase.DISABLED:
        return None if status.rejected_revision == draft.revision_key else Asked.SWITCHED_ON
    return Asked.REVISION if (status.revision or "") != draft.revision_key else None


def too_many(draft: Draft) -> tuple[Problem, datetime] | None:
    """That what is asked for has to wait, and until when."""
    asked = asked_for(draft)
    lowers = asked is Asked.REVISION and draft.is_rejected and not draft.is_off
    due = None if asked is None or lowers else pace.due(draft.status.next_attempt_at, draft.now)
    if asked is None or due is None:
        return None
    what = {Asked.RETRY: draft.spec.retry, Asked.REVISION: draft.spec.revision or "none"}.get(asked, "true")
    held = f"Until then attempt {draft.status.attempt} is held; of what is asked for meanwhile only the newest begins"
    return _problem(f"the attempt that {asked.value} {what} asks for", due, held), due


def made_again_too_often(draft: Draft) -> Problem | None:
    """The same of an object that was deleted and made again. Where there is something to lower, or to watch over, it begins at once."""
    due = pace.due(pace.next_of(draft.snapshot.begun), draft.now) if draft.status.attempt == 0 else None
    if due is None or _has_to_act(draft):
        return None
    return _problem("the first attempt of this FeatureRollout, after many at its target,", due, "Until then the target stays as it is")


def _has_to_act(draft: Draft) -> bool:
    found = draft.written
    if found.percent is None or (found.percent == 0 and draft.spec.enabled and not draft.is_rejected_at_contact):
        return False
    mark = draft.mark(0) if found.mark is None else found.mark
    return found.percent > 0 or bool(draft.lever.writes(Wish(0, Mode.OFF, mark), draft.reading))


def _problem(what: str, due: datetime, held: str) -> Problem:
    allowed = f"{pace.AT_ONCE} begin at once, and then one every {format_duration(pace.EVERY)}"
    return Problem(Reason.TOO_MANY_ATTEMPTS, f"{what} begins at {format_second(due)}: {allowed}. {held}. See what asks so often")
