"""Writes put into a flag set: which of them still hold, and what a full document takes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tidegate.api.rollout_status import State
from tidegate.domain.exposure import Reading
from tidegate.domain.problems import Problem
from tidegate.levers.flag.definition import canonical, fingerprint, switched_off
from tidegate.levers.flag.flag_set import MAX_DOCUMENT_BYTES, FlagSet, WriteFlag, read_flag, size_of
from tidegate.levers.flag.mark import to_metadata

_MUCH = 1024
"""Bytes. A write that needs more brings lists: without those no flag changes by as much."""
_LITTLE = 64
"""Bytes by which a mark may grow: digits of an epoch, the name of a revision."""
_FULL = f"the flag set would be larger than {MAX_DOCUMENT_BYTES} bytes: divide it among several ConfigMaps"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a write was left out: the flag is no longer what the decision saw, or (`is_full`) there is no room for it."""

    write: WriteFlag
    message: str
    is_full: bool = False


def merged(flag_set: FlagSet, writes: Iterable[WriteFlag], now: datetime) -> tuple[FlagSet, tuple[Refusal, ...]]:
    """The flag set after all writes that still hold, under the next epoch, and those that were refused.

    A raise holds only if the flag is exactly what its decision saw, any other write only if it raises nothing by now; switching off holds
    unless the flag is another rollout's. In a document that is full what raises or adds is left out, and the rest is written.
    """
    writes = list(writes)
    after, refused = _merged(flag_set, writes, now)
    if size_of(after.document) <= MAX_DOCUMENT_BYTES:
        return after, refused
    full = [write for write in writes if all(write is not one.write for one in refused) and _adds(flag_set, after, write)]
    after, refused = _merged(flag_set, [write for write in writes if all(write is not one for one in full)], now)
    return after, refused + tuple(Refusal(write, _FULL, is_full=True) for write in full)


def _merged(flag_set: FlagSet, writes: Sequence[WriteFlag], now: datetime) -> tuple[FlagSet, tuple[Refusal, ...]]:
    epoch = flag_set.epoch + 1
    flags, refused = dict(flag_set.flags), []
    for write in writes:
        live = read_flag(replace(flag_set, document={"flags": flags}), write.key, owned=write.owned)
        reason = live.message if isinstance(live, Problem) else _refusal(write, live, now)
        if reason is not None:
            refused.append(Refusal(write, reason))
            continue
        flags[write.key] = {**write.definition, "metadata": to_metadata(replace(write.mark, epoch=epoch, written_at=now))}
    return replace(flag_set, document={**flag_set.document, "flags": flags}, epoch=epoch), tuple(refused)


def _refusal(write: WriteFlag, live: Reading, now: datetime) -> str | None:
    seen, mark = write.seen, live.mark
    is_another = mark is not None and mark.uid != write.mark.uid and (seen.mark is None or mark.uid != seen.mark.uid)
    if is_another and not write.owned:
        return f"the flag belongs to {mark.rollout if mark else 'another rollout'} by now"
    if dict(write.definition) == switched_off():
        return None
    if live.is_expired(now) and live.percent and write.percent:
        return "the flag's lease expired since this was decided: whatever shows the feature again must be decided anew"
    if seen.percent is None and live.fingerprint == fingerprint(write.definition, write.mark):
        return None  # it was put back for it meanwhile
    if write.raises and not _is_as_seen(live, seen):
        return "the flag was written since this raise was decided"
    if not write.raises and (live.percent or 0) < write.percent:
        return "the flag was turned down since this write was decided"
    if not write.anew and mark != seen.mark:
        return "the flag was written since this write was decided"
    return None


def _is_as_seen(live: Reading, seen: Reading) -> bool:
    return (live.fingerprint is None) == (seen.fingerprint is None) and canonical(live.live) == canonical(seen.live)


def _adds(flag_set: FlagSet, after: FlagSet, write: WriteFlag) -> bool:
    """Whether a write raises, adds a flag or makes one longer; a correction or lowering may, but for long lists. Switching off never does,
    least of all a rollback of a flag that was lost."""
    is_new = write.key not in flag_set.flags
    if dict(write.definition) == switched_off() and (not is_new or write.mark.state is State.ROLLBACK):
        return False
    grows = _room_of(after, write.key) - _room_of(flag_set, write.key)
    is_needed = write.anew or write.percent < (write.seen.percent or 0)
    return write.raises or is_new or grows > (_MUCH if is_needed else _LITTLE)


def _room_of(flag_set: FlagSet, key: str) -> int:
    return size_of({key: flag_set.flags[key]}) if key in flag_set.flags else 0
