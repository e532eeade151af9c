"""A place as a key. Two places have the same key where nothing that may follow tells them apart: times are told from now on; attempts,
numbers and epochs from the newest one on; revisions by whether they are asked for. What is old, or only people read, is left out."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from search.codec import Ages, encoder, relative
from search.flags import Flags, Written
from search.people import LONGEST_SLEEP
from search.place import TICK, Memory, Place
from search.scopes import INTERVAL, PACE, PATIENCE, STALENESS
from search.spec import Choice, Library
from tidegate.api.records import Record
from tidegate.api.rollout_status import Drift, FeatureRolloutStatus, GateStatus
from tidegate.decide.rollout.drift import RECORD_EVERY
from tidegate.domain.recording import unrecorded
from tidegate.domain.script import rejects
from tidegate.domain.snapshot import RunView

Key = tuple[Any, ...]
_MOST_TOLD = 20_000
_MOST_SAMPLES = 4
_OLD_LEASE = 40_000
_LEASE = re.compile(r'(?<="\$flagd.timestamp"}, )\d+')


@dataclass(frozen=True, slots=True)
class Base:
    """What everything of a place is told from: the newest of each, and the revision that is asked for."""

    now: datetime
    attempt: int
    seq: int
    epoch: int
    uid: int
    version: int
    revision: str

    def since(self, attempt: int) -> int:
        return max(-4, min(4, attempt - self.attempt))

    def asks(self, revision: str | None) -> bool | None:
        """Whether a revision is the one that is asked for: how the two are called makes no difference."""
        return None if revision is None else revision == self.revision


class Canon:
    """The keys of the places of one scope. `written`: what the fingerprints in status stand for, as a hash doesn't say which attempt its
    mark names."""

    def __init__(self, library: Library, written: dict[str, Written]) -> None:
        self._library, self._written = library, written
        ages = ages_of(library)
        self._status, self._gate = encoder(FeatureRolloutStatus, ages), encoder(GateStatus, ages)
        self._old = ages[FeatureRolloutStatus, "effective_at"], ages[GateStatus, "breached_since"], ages[GateStatus, "breached_last"]
        self._told: dict[tuple[int, datetime], tuple[object, Key]] = {}
        self._phases = 1 if library.scope.lease is None else max(1, library.scope.lease // 3 // int(TICK.total_seconds()))

    def plain(self, place: Place) -> Place:
        """Without evidence that is of another attempt, or says what status says."""
        attempt, gates = place.evidence or (None, ())
        is_plain = attempt == place.status.attempt and self._gates(gates, place.now) != self._gates(place.status.gates, place.now)
        return place if is_plain or place.evidence is None else replace(place, evidence=None)

    def key(self, place: Place) -> Key:
        """Of a plain place."""
        if len(self._told) > _MOST_TOLD:
            self._told.clear()
        base, sleeper = _base(place), place.sleeper
        phase = int(place.now.timestamp() // TICK.total_seconds()) % self._phases
        asleep = None if sleeper is None else (sleeper.said, (place.now - sleeper.seen.now) // TICK, self._of(sleeper.seen, base))
        return phase, self._of(place, base), asleep, self._memory(place.memory, base), _origin(place, base)

    def _of(self, place: Place, base: Base) -> Key:
        return (
            _choice(place.choice, base),
            self._status_of(place, base),
            place.uid == base.uid,
            place.version == base.version,
            place.finalizer,
            place.life,
            _flags(place.flags, base),
            tuple(_run(run, base) for run in place.runs),
            self._begun(place.made, base),
            None if place.evidence is None else self._gates(place.evidence[1], base.now),
            place.policy,
            place.appends,
            place.behind,
            place.hands,
        )

    def _gates(self, gates: tuple[GateStatus, ...], now: datetime) -> Key:
        return self._once(gates, now, lambda: tuple(self._gate(gate, now) for gate in gates))

    def _once(self, what: object, now: datetime, make: Callable[[], Key]) -> Key:
        """Many places share their status: it is told once."""
        known = self._told.get((id(what), now))
        if known is None:
            known = self._told[id(what), now] = (what, make())  # what is kept keeps its id
        return known[1]

    def _status_of(self, place: Place, base: Base) -> Key:
        status = place.status
        raising, records = status.raising, () if status.pending is None else status.pending.records
        followed = None if status.valid_spec is None else self._library.choice_of(status.valid_spec)
        evaluation = status.next_evaluation_at
        return (
            status.attempt - base.attempt if status.attempt else None,
            status.seq - base.seq if status.attempt else 0,
            status.run == f"search-{status.attempt}",
            _generation(status.observed_generation, place.generation),
            _generation(status.recorded_generation, place.generation),
            tuple(map(base.asks, (status.revision, status.rejected_revision, *status.rejected))),
            None if followed is None else _choice(followed, base),
            None if evaluation is None else relative(evaluation, status.effective_at or base.now, self._old[0]),
            None if status.pending is None else tuple(_record(one, base) for one in records),
            relative(min((one.time for one in records), default=base.now), base.now, PATIENCE),
            self._print(status.written, base),
            None if raising is None else self._print(raising.written, base),
            _told_of_records(status),
            self._once(status, base.now, lambda: self._status(status, base.now)),
        )

    def _begun(self, times: tuple[datetime, ...], base: Base) -> Key:
        """What makes others wait, or is told of nothing."""
        scope = self._library.scope
        return tuple([relative(one, base.now, scope.at_once * PACE) for one in times]) if scope.is_paced else ()

    def _print(self, made: str | None, base: Base) -> Key | None:
        return None if made is None else _write(self._written[made], base, is_lease_told=False)

    def _memory(self, memory: Memory, base: Base) -> Key:
        stood, (old, since, last) = memory.stood, self._old
        return (
            tuple(sorted(map(base.asks, memory.fallen))),
            self._begun(memory.begun, base),
            memory.lowered,
            None if stood is None else (stood[0], relative(stood[1], base.now, old)),
            tuple(
                (name, relative(one.since, base.now, since), relative(one.last, base.now, last), min(one.samples, _MOST_SAMPLES))
                for name, one in sorted(memory.breaches.items())
            ),
        )


_LONGER_THAN_ALL = timedelta(days=1)
"""A deadline that no scope gets to: where none is given, it is a week."""


def ages_of(library: Library) -> Ages:
    """When times are old in a scope: later than anything that is counted from them."""
    scope = library.scope
    spec = library.written(Choice()).spec
    deadline = 0 if spec.step_deadline >= _LONGER_THAN_ALL else int(spec.step_deadline.total_seconds())
    reach = max((int(guard.reach.total_seconds()) for guard in library.policy.spec.guards if guard.reach is not None), default=0)
    lasting = max((int(rule.for_.total_seconds()) for rule in library.lasting.values() if rule.for_ is not None), default=0)
    sleep = int(LONGEST_SLEEP.total_seconds()) if "sleep" in scope.events else 0
    gap = max(lasting, STALENESS) + INTERVAL if lasting else INTERVAL
    return {
        (FeatureRolloutStatus, "effective_at"): scope.dwell + deadline + INTERVAL + sleep,
        (FeatureRolloutStatus, "next_attempt_at"): (scope.at_once - 1) * PACE if scope.is_paced else 0,
        (FeatureRolloutStatus, "resumed_at"): deadline + INTERVAL if deadline else 0,
        (FeatureRolloutStatus, "exposed_at"): INTERVAL + sleep,
        (FeatureRolloutStatus, "without_data_since"): PATIENCE + INTERVAL + sleep,
        (FeatureRolloutStatus, "raised_at"): reach + INTERVAL if reach else 0,
        (FeatureRolloutStatus, "enabled_at"): scope.bake + INTERVAL,
        (Drift, "recorded_at"): int(RECORD_EVERY.total_seconds()),
        (GateStatus, "no_data_since"): 40,
        (GateStatus, "breached_last"): gap + 1,
        (GateStatus, "breached_since"): gap + lasting + INTERVAL if lasting else 0,
    }


def _base(place: Place) -> Base:
    status, flags = place.status, place.flags
    attempt, seq = status.attempt, status.seq
    if not attempt:
        attempt, seq = max((run.attempt for run in place.runs), default=0), place.recorded
    epoch = flags.epoch if flags is not None else 0
    return Base(place.now, attempt, seq, epoch, place.uid, place.version, place.choice.revision)


def _told_of_records(status: FeatureRolloutStatus) -> str | None:
    """What status says of records that wait: it is written again where that has become another sentence. The moment in it is that of the
    oldest."""
    problem = unrecorded(status)
    return None if problem is None else problem.message.partition(" since ")[0]


def _generation(noted: int, generation: int) -> int:
    """Which one it is doesn't matter, but whether it is the newest."""
    return -1 if noted < 0 else int(noted == generation)


def _origin(place: Place, base: Base) -> tuple[int, int] | None:
    """Attempt and number to begin with again where something begins at the first attempt: there it matters which one it is."""
    seen = [place] if place.sleeper is None else [place, place.sleeper.seen]
    return (base.attempt, base.seq) if any(not one.status.attempt and not one.runs for one in seen) else None


def _choice(choice: Choice, base: Base) -> Key:
    return choice.steps, choice.gates, choice.paused, choice.enabled, base.asks(choice.revision), choice.retry


def _flags(flags: Flags | None, base: Base) -> Key | None:
    if flags is None:
        return None
    writes = (None if one is None else _write(one, base) for one in (flags.ours, flags.older))
    return (min(base.epoch - flags.epoch, 3), flags.hand, *writes)


def _write(written: Written, base: Base, is_lease_told: bool = True) -> Key:
    """A fingerprint doesn't tell when a lease ends, nor under which epoch it was written."""
    mark, start = written.mark, int(base.now.timestamp() * 1000)

    def told(end: re.Match[str]) -> str:
        return str(max(int(end[0]) * 1000 - start, -_OLD_LEASE)) if is_lease_told else ""

    return (
        written.percent,
        _LEASE.sub(told, written.definition),
        mark.uid == f"u{base.uid}",
        mark.state,
        base.since(mark.attempt),
        mark.percent,
        min(base.epoch - mark.epoch, 3) if is_lease_told else 0,
        base.asks(mark.revision),
        base.asks(mark.rejected),
    )


def _run(run: RunView, base: Base) -> Key:
    return base.since(run.attempt), base.asks(run.revision), run.rejected, run.seq - base.seq


def _record(record: Record, base: Base) -> Key:
    """Of a record that waits only matters what it is about, and whether it rejects."""
    attempt = None if record.attempt is None else record.attempt - base.attempt
    return record.seq - base.seq, attempt, base.asks(record.revision), record.transition, rejects(record)
