"""Changes of the flag by others: told with their author, put right at once, and more slowly where somebody keeps making them.

    touched? ──► put right ──► put right again … five times in ten minutes ──► FlagContested: nothing climbs,
                 (a record)    (a record a minute, the rest counted)           correcting goes on at longer intervals

A flag that was turned down is no drift: that is a person's word (docs/adr/0004).
"""

from dataclasses import replace
from datetime import datetime, timedelta

from tidegate.api.conditions import Reason
from tidegate.api.drift import CONTESTED_AFTER, Drift
from tidegate.api.records import Transition
from tidegate.api.rollout_status import FeatureRolloutStatus, State
from tidegate.api.types import format_duration, format_time
from tidegate.decide.rollout.differences import differences
from tidegate.decide.rollout.draft import Draft
from tidegate.domain.decision import Action, WriteFlag
from tidegate.domain.drift import DriftNote
from tidegate.domain.snapshot import FlagReading, Problem

UNKNOWN = "unknown"
SHORT_WHILE = timedelta(minutes=10)
RECORD_EVERY = timedelta(minutes=1)
_PAUSES = (0, 0, 0, 1, 5)
"""Seconds to the next correction after so many within a short while."""
_LONGEST_PAUSE, _LONGEST_PAUSE_EXPOSED = 60, 5
"""After more of them: where the same clients see the feature, and where more do."""


def actor_of(flag: FlagReading) -> str:
    """The field manager behind a change by hand, for a record. It must not pass for ourselves."""
    writer = flag.provenance.writer
    if writer is None:
        return UNKNOWN
    return f"{writer.manager} (field manager)" if writer.manager == "operator" else writer.manager


def examine(draft: Draft) -> None:
    """Sees whether somebody changed the flag, and whether that has become a contest, before anything is judged."""
    draft.touched = _is_touched(draft)
    recent = _recent(draft)
    if len(recent) < CONTESTED_AFTER or draft.status.drift is None:
        return
    drift, until = draft.status.drift, recent[0] + SHORT_WHILE
    text = (
        f"{drift.manager} keeps changing the flag ({drift.difference}), which was put right {CONTESTED_AFTER} times "
        f"within {format_duration(SHORT_WHILE)}: let only one of the two write it. No step begins meanwhile"
    )
    draft.stalled = Problem(Reason.FLAG_CONTESTED, text)
    _look_again(draft, until)


def put_right(draft: Draft, todo: tuple[Action, ...]) -> tuple[Action, ...]:
    """Tells of a change that these actions put right, or leaves them out for now where the last correction was a moment ago."""
    _remember_lost(draft)
    write = next((action for action in todo if isinstance(action, WriteFlag)), None)
    if write is None or not draft.touched:
        _tell_rest(draft)
        return todo if write is None else _with(todo, write, replace(write, note=draft.lost_note))
    next_at = _next_correction(draft, write)
    if not draft.records and not write.raises and draft.now < next_at:
        _look_again(draft, next_at)
        return tuple(action for action in todo if action is not write)
    note = _noted(draft, ", ".join(differences(draft, write))[:256])
    return _with(todo, write, replace(write, reclaims=True, note=note))


def _is_touched(draft: Draft) -> bool:
    before, flag = draft.snapshot.rollout.status, draft.flag
    if not draft.snapshot.rollout.had_flag or _is_turned_down(before, flag):
        return False
    if flag.definition is None or flag.marker is None or flag.marker.uid != draft.snapshot.rollout.uid:
        return True
    made = flag.provenance
    return flag.rewritten is not None or not made.intact or bool(made.around) or _is_old(before, flag)


def _is_turned_down(before: FeatureRolloutStatus, flag: FlagReading) -> bool:
    is_shown = before.state in (State.ROLLING_OUT, State.ENABLED) and flag.rewritten is None
    return is_shown and flag.percent is not None and flag.percent < (before.percent or 0)


def _is_old(before: FeatureRolloutStatus, flag: FlagReading) -> bool:
    """An earlier version of the flag, seal included, that somebody put back: a document that Git owns, or a backup."""
    marker = flag.marker
    if flag.provenance.writer is None or before.raising is not None or marker is None:
        return False
    is_of_before = marker.attempt < before.attempt or (marker.attempt == before.attempt and marker.rejected != before.rejected_revision)
    return is_of_before or (flag.percent or 0) > (before.percent or 0)


def _remember_lost(draft: Draft) -> None:
    """Records what the flag tells and status doesn't: the process that put it right was killed in between."""
    note, drift, marker = draft.flag.provenance.note, draft.status.drift, draft.flag.marker
    is_ours = marker is not None and marker.uid == draft.snapshot.rollout.uid and draft.flag.provenance.intact
    if note is None or not is_ours or not draft.snapshot.rollout.had_flag:
        return
    if drift is None or drift.corrected_at[-1] < note.at:
        draft.lost_note = note
        _count(draft, note, f"changed by {note.manager}: {note.difference}; put right at {format_time(note.at)}")


def _noted(draft: Draft, difference: str) -> DriftNote:
    writer = draft.flag.provenance.writer
    at = "" if writer is None or writer.at is None else f" at {writer.at:%Y-%m-%d %H:%M:%S} UTC"
    note = DriftNote(draft.now, actor_of(draft.flag), difference)
    _count(draft, note, f"changed by {note.manager}{at}: {difference}; put right")
    return note


def _count(draft: Draft, note: DriftNote, message: str) -> None:
    """Records the correction, unless the same was recorded within the last minute: then it is counted."""
    before, recent = draft.status.drift, _recent(draft)
    is_due = before is None or draft.now - before.recorded_at >= RECORD_EVERY
    is_new = before is None or (before.manager, _kinds(before.difference)) != (note.manager, _kinds(note.difference))
    unrecorded = before.unrecorded if before is not None else 0
    is_told = is_due or (is_new and len(recent) < CONTESTED_AFTER)
    if is_told:
        rest = f"; {unrecorded} more times since the record before" if unrecorded else ""
        draft.record(Transition.DRIFTED, message + rest, actor=note.manager)
    drift = Drift(
        manager=note.manager,
        difference=note.difference,
        recorded_at=draft.now if is_told or before is None else before.recorded_at,
        corrected_at=((*before.corrected_at, note.at) if before is not None else (note.at,))[-CONTESTED_AFTER:],
        unrecorded=0 if is_told else unrecorded + 1,
        total=(before.total if before is not None else 0) + 1,
    )
    draft.set(drift=drift)


def _tell_rest(draft: Draft) -> None:
    """Corrections that no record has told of yet, once the contest is over."""
    drift = draft.status.drift
    if drift is None or not drift.unrecorded:
        return
    due = drift.recorded_at + RECORD_EVERY
    if draft.now < due:
        _look_again(draft, due)
        return
    until = format_time(drift.corrected_at[-1])
    text = f"changed by {drift.manager}: {drift.difference}; put right {drift.unrecorded} more times, until {until}"
    draft.set(drift=drift.model_copy(update={"unrecorded": 0, "recorded_at": draft.now}))
    draft.record(Transition.DRIFTED, text, actor=drift.manager)


def _next_correction(draft: Draft, write: WriteFlag) -> datetime:
    recent = _recent(draft)
    if not recent:
        return draft.now
    is_exposed = draft.flag.definition is None or write.percent < (draft.flag.percent or 0)
    longest: float = _LONGEST_PAUSE_EXPOSED if is_exposed else _LONGEST_PAUSE
    if draft.spec.target.flag.lease_seconds is not None:
        longest = min(longest, draft.spec.target.flag.lease_seconds / 6)  # a correction is a renewal too, and those are due every third
    pause = _PAUSES[len(recent)] if len(recent) < len(_PAUSES) else longest
    return recent[-1] + timedelta(seconds=min(pause, longest))


def _recent(draft: Draft) -> tuple[datetime, ...]:
    drift = draft.status.drift
    return () if drift is None else tuple(at for at in drift.corrected_at if draft.now - at < SHORT_WHILE)


def _kinds(difference: str) -> list[str]:
    """`percent 10 → 60, targeting` is the same contest as `percent 10 → 70, targeting`."""
    return [part.split(" ", 1)[0] for part in difference.split(", ")]


def _look_again(draft: Draft, at: datetime) -> None:
    draft.look_again = at if draft.look_again is None else min(at, draft.look_again)


def _with(todo: tuple[Action, ...], write: WriteFlag, instead: WriteFlag) -> tuple[Action, ...]:
    return tuple(instead if action is write else action for action in todo)
