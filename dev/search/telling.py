"""What stands at the flag, in runs and in records that wait, as tuples told from a base, and back."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.builders import CONFIG_MAP, KEY

from search.flags import Flags, Hand, Written
from search.place import FIRST, TICK
from tidegate.api.records import Record, Transition
from tidegate.api.rollout_status import Phase, State
from tidegate.domain.exposure import Mark
from tidegate.domain.script import rejects
from tidegate.domain.snapshot import RunView

Key = tuple[Any, ...]
_OLD_LEASE = 40_000
_LEASE = re.compile(r'(?<="\$flagd.timestamp"}, )\d+')
_LEASE_AS = re.compile(r"@lease(-?\d+)@")


@dataclass(frozen=True, slots=True)
class Base:
    """What everything of a place is told from: the newest of each."""

    now: datetime
    attempt: int
    seq: int
    epoch: int
    uid: int
    version: int


def within(value: int, most: int) -> int:
    return max(-most, min(most, value))


def encoded_flags(flags: Flags | None, base: Base) -> Key | None:
    if flags is None:
        return None
    ours, older, hand = flags.ours, flags.older, flags.hand
    return (
        min(base.epoch - flags.epoch, 3),
        None if ours is None else encoded_write(ours, base),
        None if hand is None else (hand.what, hand.percent, hand.forgery),
        None if older is None else encoded_write(older, base),
    )


def encoded_write(written: Written, base: Base, is_lease_told: bool = True) -> Key:
    """A fingerprint doesn't tell when a lease ends, nor under which epoch it was written."""
    mark, definition, start = written.mark, written.definition, int(base.now.timestamp() * 1000)
    if is_lease_told:
        definition = _LEASE.sub(lambda found: f"@lease{max(int(found[0]) * 1000 - start, -_OLD_LEASE)}@", definition)
    else:
        definition = _LEASE.sub("0", definition)
    return (
        written.percent,
        definition,
        mark.uid == f"u{base.uid}",
        mark.state,
        within(mark.attempt - base.attempt, 4),
        mark.percent,
        min(base.epoch - mark.epoch, 3) if is_lease_told else 0,
        mark.revision,
        mark.rejected,
    )


def decoded_flags(key: Key | None, base: Base) -> Flags | None:
    if key is None:
        return None
    epoch, ours, hand, older = key
    return Flags(
        base.epoch - epoch,
        None if ours is None else decoded_write(ours, base),
        None if hand is None else Hand(*hand),
        None if older is None else decoded_write(older, base),
    )


def decoded_write(key: Key, base: Base) -> Written:
    percent, definition, is_own, state, attempt, marked, since, revision, rejected = key
    if "@" in definition:
        start = int(base.now.timestamp() * 1000)
        definition = _LEASE_AS.sub(lambda found: str((start + int(found[1])) // 1000), definition)
    mark = Mark(
        rollout="shop/search",
        uid=f"u{base.uid if is_own else base.uid - 1}",
        attempt=base.attempt + attempt,
        state=State(state),
        percent=marked,
        revision=revision,
        rejected=rejected,
        epoch=base.epoch - since,
        written_at=FIRST - 1000 * TICK,
    )
    return Written(percent, definition, mark)


def encoded_run(run: RunView, base: Base) -> Key:
    return within(run.attempt - base.attempt, 4), run.revision, run.rejected, run.seq - base.seq


def decoded_run(key: Key, base: Base) -> RunView:
    attempt, revision, rejected, seq = key
    number = base.attempt + attempt
    return RunView(f"search-{number}", "search", number, revision, rejected, base.seq + seq, target=f"flag/{CONFIG_MAP}/{KEY}")


def encoded_record(record: Record, base: Base) -> Key:
    """Of a record that waits only matters what it is about, and whether it rejects."""
    attempt = None if record.attempt is None else record.attempt - base.attempt
    return record.seq - base.seq, attempt, record.revision, record.transition, rejects(record)


def decoded_record(key: Key, base: Base) -> Record:
    seq, attempt, revision, transition, is_rejected = key
    number = None if attempt is None else base.attempt + attempt
    phase = Phase.ROLLING_BACK.value if is_rejected else None
    return Record.model_construct(
        seq=base.seq + seq, attempt=number, revision=revision, time=FIRST, transition=Transition(transition), to_phase=phase
    )
