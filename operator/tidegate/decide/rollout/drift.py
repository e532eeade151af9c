"""Changes by external writers: recorded with their field manager, corrected at once, and more slowly where one keeps making them.

    changed ──► corrected … three times in ten minutes ──► Contested: no step begins, and one correction
                (one record a minute, the rest counted)     every 5 s where more see it, else every 60 s

What was turned down is no drift but a manual override (docs/adr/0004). A change is whatever differs from our last write (its fingerprint
in status) and from what would be written now anyway.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from tidegate.api.conditions import Reason
from tidegate.api.records import Transition
from tidegate.api.rollout_status import CONTESTED_AFTER, Drift
from tidegate.api.types import format_duration, format_time
from tidegate.decide.rollout.draft import Draft
from tidegate.decide.rollout.expiry import lease_of
from tidegate.domain.exposure import Reading, Wish
from tidegate.domain.problems import Problem
from tidegate.levers.managed_fields import name_of

SHORT_WHILE = timedelta(minutes=10)
RECORD_EVERY = timedelta(minutes=1)
PAUSE_EXPOSED, PAUSE = timedelta(seconds=5), timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Correction:
    """Whether what changed is corrected now; if not, when."""

    is_due: bool
    wake_at: datetime | None = None


def actor_of(reading: Reading) -> str:
    """The field manager behind a change, for a record: what its client called itself."""
    return name_of(reading.writer)


def contested(draft: Draft) -> tuple[Problem, datetime] | None:
    """Who keeps changing what is corrected, and until when it counts as contested."""
    recent, drift = _recent(draft), draft.status.drift
    if len(recent) < CONTESTED_AFTER or drift is None:
        return None
    text = (
        f"{drift.manager} keeps changing {draft.lever.label} ({drift.difference}), which was corrected {CONTESTED_AFTER} times "
        f"within {format_duration(SHORT_WHILE)}: let only one of the two write it. No step begins meanwhile"
    )
    return Problem(Reason.CONTESTED, text), recent[0] + SHORT_WHILE


def is_changed(draft: Draft, wish: Wish) -> bool:
    """Whether an external writer changed what is ours."""
    reading = draft.reading
    if not draft.snapshot.rollout.owns or _was_turned_down(draft):
        return False
    if reading.percent is None or reading.around:
        return True
    return reading.fingerprint not in (draft.before.written, draft.lever.fingerprint(wish), *draft.own_writes)


def _was_turned_down(draft: Draft) -> bool:
    """A manual override is no drift, also where a rollback or a new revision ends it in this very reconcile."""
    before, reading = draft.before, draft.reading
    is_lower = before.is_exposed and reading.is_known and (reading.percent or 0) < (before.step_percent or 0)
    return is_lower and draft.lever.lowers(reading)


def correct(draft: Draft, wish: Wish) -> Correction:
    """Counts and records a correction that is due; one that is not due yet waits."""
    recent = _recent(draft)
    is_again = draft.before.written == draft.lever.fingerprint(wish)  # what was not written yet waits for no contest
    if len(recent) >= CONTESTED_AFTER and is_again and not draft.has_recorded:
        due = recent[-1] + _pause(draft, wish)
        if draft.now < due:
            return Correction(False, due)
    _count(draft, wish)
    return Correction(True)


def report_rest(draft: Draft) -> datetime | None:
    """Corrections that no record has counted yet, once a minute is over; until then, when to wake."""
    drift = draft.status.drift
    if drift is None or not drift.unrecorded:
        return None
    due = drift.recorded_at + RECORD_EVERY
    if draft.now < due:
        return due
    until = format_time(drift.corrected_at[-1])
    text = f"changed by {drift.manager}: {drift.difference}; corrected {drift.unrecorded} more times, until {until}"
    draft.set(drift=drift.model_copy(update={"unrecorded": 0, "recorded_at": draft.now}))
    draft.record(Transition.DRIFTED, text, actor=drift.manager)
    return None


def _count(draft: Draft, wish: Wish) -> None:
    before, writer, manager = draft.status.drift, draft.reading.writer, actor_of(draft.reading)
    changes = draft.lever.differences(wish, draft.reading, draft.before.step_percent)
    difference = ", ".join(map(str, changes))[:256]
    is_recorded = before is None or draft.now - before.recorded_at >= RECORD_EVERY
    unrecorded = before.unrecorded if before is not None else 0
    if is_recorded:
        at = "" if writer is None or writer.at is None else f" at {writer.at:%Y-%m-%d %H:%M:%S} UTC"
        rest = f"; {unrecorded} more times since the record before" if unrecorded else ""
        draft.record(Transition.DRIFTED, f"changed by {manager}{at}: {difference}; corrected{rest}", actor=manager)
    drift = Drift(
        manager=manager,
        difference=difference,
        recorded_at=draft.now if is_recorded or before is None else before.recorded_at,
        corrected_at=((*before.corrected_at, draft.now) if before is not None else (draft.now,))[-CONTESTED_AFTER:],
        unrecorded=0 if is_recorded else unrecorded + 1,
        total=(before.total if before is not None else 0) + 1,
    )
    draft.set(drift=drift)


def _pause(draft: Draft, wish: Wish) -> timedelta:
    """A correction renews a lease too, so that one never waits for long where there is one."""
    is_exposed = draft.reading.percent is None or wish.percent < draft.reading.percent or not draft.lever.lowers(draft.reading)
    return PAUSE_EXPOSED if is_exposed or lease_of(draft) is not None else PAUSE


def _recent(draft: Draft) -> tuple[datetime, ...]:
    drift = draft.status.drift
    return () if drift is None else tuple(at for at in drift.corrected_at if draft.now - at < SHORT_WHILE)
