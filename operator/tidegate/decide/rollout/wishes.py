"""What the flag should be, against what it is: the one place where actions come from."""

from tidegate.api.rollout_status import Phase, State
from tidegate.decide.rollout.draft import Draft
from tidegate.decide.rollout.lapse import is_put_back
from tidegate.domain.decision import FINALIZER, Action, AddFinalizer, RemoveFinalizer, WriteFlag
from tidegate.domain.snapshot import FlagReading, Marker
from tidegate.levers.flag import Definition, definition_for, same_effect, switched_off
from tidegate.levers.lease import lease_end


def actions(draft: Draft) -> tuple[Action, ...]:
    """The writes that make the world match the status. Lowerings need nothing; raises need a confirmed decision and the finalizer."""
    has_finalizer = FINALIZER in draft.snapshot.rollout.finalizers
    out: list[Action] = []
    if _is_at_rest(draft):
        if has_finalizer and _is_read_back(draft):
            out.append(RemoveFinalizer())
    elif not has_finalizer:
        out.append(AddFinalizer())
    write = _write(draft)
    if write is not None and (has_finalizer or not write.raises):
        out.append(write)
    return tuple(out)


def _is_at_rest(draft: Draft) -> bool:
    """Nobody sees the feature and nobody is about to: deleting the object would leave nothing to undo."""
    return draft.status.state is State.ROLLBACK or draft.status.phase is Phase.DISABLED


def _is_read_back(draft: Draft) -> bool:
    return same_effect(draft.flag.definition, switched_off())


def _write(draft: Draft) -> WriteFlag | None:
    flag, seconds = draft.flag, draft.spec.target.flag.lease_seconds
    wish = _wish(draft, None if seconds is None else lease_end(seconds, draft.now, flag.lease))
    if wish is None:
        return None
    percent, definition = wish
    marker = _marker(draft)
    is_as_claimed = _same_claim(flag.marker, marker) and not draft.touched and not _took_back_a_raise(draft)
    if is_as_claimed and same_effect(flag.definition, definition):
        return None
    return WriteFlag(
        config_map=draft.spec.target.flag.config_map,
        key=draft.spec.target.flag.key,
        percent=percent,
        definition=definition,
        marker=marker,
        expected=flag.marker,
        raises=percent > (flag.percent or 0),
        seen_percent=flag.percent,
        reclaims=flag.marker is None and draft.snapshot.rollout.had_flag,
        renews=is_as_claimed and _differs_by_lease_alone(draft),
    )


def _differs_by_lease_alone(draft: Draft) -> bool:
    wish = _wish(draft, draft.flag.lease)
    return wish is not None and same_effect(draft.flag.definition, wish[1])


def _took_back_a_raise(draft: Draft) -> bool:
    """A leader that was deposed may have sent that raise already. It is meant for the flag as it was: written anew, under a larger epoch,
    the flag is another, and the raise comes too late."""
    before = draft.snapshot.rollout.status.raising
    return before is not None and draft.status.raising != before and draft.flag.percent != before.percent


def _wish(draft: Draft, lease: int | None) -> tuple[int, Definition] | None:
    """(percent, definition) that should stand in the document now; None where it must be left as it is. Only what moves has a lease: it
    would turn off what nobody has to watch any more, and what is off needs none."""
    target, status = draft.spec.target.flag, draft.status
    if _is_at_rest(draft):
        return 0, switched_off()
    if is_put_back(draft):
        return None
    if draft.raise_confirmed and status.raising is not None:
        percent = status.raising.percent
        is_adoption_at_full = status.raising.adopts and percent >= draft.full
        return percent, definition_for(target, percent, None if is_adoption_at_full else lease)
    if status.state is State.DISABLED:
        return 0, definition_for(target, 0)
    is_turned_down = draft.flag.percent is not None and draft.flag.percent < draft.percent
    if status.percent is None or is_turned_down:
        return None
    percent = draft.percent if status.lowered_percent is None else status.lowered_percent
    return percent, definition_for(target, percent, lease if status.state is State.ROLLING_OUT else None)


def _marker(draft: Draft) -> Marker:
    status, rollout = draft.status, draft.snapshot.rollout
    begins = draft.raise_confirmed and status.state is State.DISABLED
    return Marker(
        rollout=rollout.full_name,
        uid=rollout.uid,
        state=State.ROLLING_OUT if begins else status.state,  # as it will be once this is read back, or it would be written twice
        attempt=status.attempt,
        epoch=0,
        revision=status.revision,
        rejected=status.rejected_revision,
        cause=draft.records[-1].message[:256] if status.state is State.ROLLBACK and draft.records else _cause_of(draft.flag),
        lapsed=None if draft.raise_confirmed else status.lapsed_percent,
    )


def _cause_of(flag: FlagReading) -> str | None:
    return flag.marker.cause if flag.marker is not None and flag.marker.state is State.ROLLBACK else None


def _same_claim(live: Marker | None, wished: Marker) -> bool:
    """Whether the marker says what it should; epoch, cause and time belong to a write, not to the claim."""
    if live is None:
        return False
    return (live.uid, live.state, live.attempt, live.revision, live.rejected, live.lapsed) == (
        wished.uid,
        wished.state,
        wished.attempt,
        wished.revision,
        wished.rejected,
        wished.lapsed,
    )
