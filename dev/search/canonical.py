"""A place as a tuple, and back. Two places have the same tuple where nothing that may follow tells them apart: times are told from now on,
attempts, seqs and epochs from the newest one on, and what is old, or only read by people, is left out."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from tests.builders import CONFIG_MAP, KEY

from search.codec import Ages, Codec, absolute, relative, without_numbers
from search.flags import Flags, Hand
from search.people import LONGEST_SLEEP
from search.place import FIRST, TICK, Breach, Memory, Place, Sleeper
from search.scopes import INTERVAL, STALENESS
from search.spec import Choice, Library
from tidegate.api.drift import Drift
from tidegate.api.records import Record, Transition
from tidegate.api.rollout_status import FeatureRolloutStatus, GateStatus, Pending, State
from tidegate.decide.rollout.drift import RECORD_EVERY, SHORT_WHILE
from tidegate.domain.drift import DriftNote
from tidegate.domain.snapshot import Marker, RunView
from tidegate.report.runs import rejects

Evidence = tuple[int, tuple[GateStatus, ...]]
Key = tuple[Any, ...]
_ATTEMPT, _SEQ, _EPOCH, _UID, _GENERATION, _VERSION = 5, 50, 20, 2, 2, 10
_MOST_TOLD = 20_000
_OLD_LEASE = 40_000
_MOST_SAMPLES = 4
_LEASE = re.compile(r'(?<="\$flagd.timestamp"}, )\d+')
_LEASE_AS = re.compile(r"@lease(-?\d+)@")


@dataclass(frozen=True, slots=True)
class _Base:
    """What everything of a place is told from."""

    now: datetime
    attempt: int
    seq: int
    epoch: int
    uid: int
    version: int


_DECODED = {"attempt": _ATTEMPT, "seq": _SEQ, "epoch": _EPOCH, "uid": _UID, "version": _VERSION}


def _within(value: int, most: int) -> int:
    return max(-most, min(most, value))


class Canon:
    """Places of one scope ↔ tuples."""

    def __init__(self, library: Library) -> None:
        self._library = library
        ages = ages_of(library)
        self._status, self._gate = Codec(FeatureRolloutStatus, ages), Codec(GateStatus, ages)
        self._old = ages[FeatureRolloutStatus, "effective_at"], ages[GateStatus, "breached_since"], ages[GateStatus, "breached_last"]
        self._told: dict[tuple[int, datetime], tuple[object, Key]] = {}
        self._phases = 1 if library.scope.lease is None else max(1, library.scope.lease // 3 // int(TICK.total_seconds()))

    def forget(self) -> None:
        """Drops what was encoded, where that has become much; to be called now and then."""
        if len(self._told) > _MOST_TOLD:
            self._told.clear()

    def encode(self, place: Place) -> Key:
        base = _base(place)
        phase = int(place.now.timestamp() // TICK.total_seconds()) % self._phases
        sleeper = place.sleeper
        asleep = None if sleeper is None else (sleeper.said, (place.now - sleeper.seen.now) // TICK, self._encoded(sleeper.seen, base))
        return phase, self._encoded(place, base), asleep, self._encoded_memory(place.memory, place.now)

    def decode(self, key: Key) -> Place:
        phase, core, asleep, memory = key
        now = FIRST + phase * TICK
        base = _Base(now=now, **_DECODED)
        sleeper = None
        if asleep is not None:
            said, age, seen = asleep
            sleeper = Sleeper(replace(self._decoded(seen, base), now=now - age * TICK), said)
        return replace(self._decoded(core, base), sleeper=sleeper, memory=_decoded_memory(memory, now))

    def _encoded(self, place: Place, base: _Base) -> Key:
        choice, run, kept = place.choice, place.run, place.evidence
        return (
            (choice.steps, choice.gates, choice.paused, choice.enabled, choice.revision),
            self._encoded_status(place.status, place.generation, base),
            place.uid == base.uid,
            place.version == base.version,
            place.finalizer,
            place.life,
            _encoded_flags(place.flags, place.status, base),
            None if run is None else (_within(run.attempt - base.attempt, 2), run.revision, run.rejected, _within(run.seq - base.seq, 40)),
            self._encoded_evidence(kept, place.status, base),
            place.policy,
            place.behind,
            place.hands,
        )

    def _encoded_evidence(self, kept: Evidence | None, status: FeatureRolloutStatus, base: _Base) -> Key | None:
        """Evidence that says what status says is none."""
        if kept is None or kept[0] != status.attempt:
            return None
        gates = self._once(kept[1], base.now, lambda: tuple(self._gate.encode(gate, base.now) for gate in kept[1]))
        known = self._once(status.gates, base.now, lambda: tuple(self._gate.encode(gate, base.now) for gate in status.gates))
        return None if gates == known else gates

    def _once(self, what: object, now: datetime, make: Callable[[], Key]) -> Key:
        """Many places share their status: it is told once."""
        known = self._told.get((id(what), now))
        if known is None:
            known = self._told[id(what), now] = (what, make())  # what is kept keeps its id
        return known[1]

    def _decoded(self, key: Key, base: _Base) -> Place:
        choice, status, same_uid, same_version, finalizer, life, flags, run, kept, policy, behind, hands = key
        found = self._decoded_status(status, base)
        return Place(
            now=base.now,
            choice=Choice(*choice),
            status=found,
            generation=_GENERATION,
            uid=base.uid if same_uid else base.uid - 1,
            version=base.version if same_version else base.version - 1,
            finalizer=finalizer,
            life=life,
            flags=_decoded_flags(flags, base),
            run=None if run is None else _decoded_run(run, base),
            evidence=None if kept is None else (found.attempt, tuple(self._gate.decode(gate, base.now) for gate in kept)),
            policy=policy,
            behind=behind,
            hands=hands,
        )

    def _encoded_status(self, status: FeatureRolloutStatus, generation: int, base: _Base) -> Key:
        pending, evaluation = status.pending, status.next_evaluation_at
        anchor = status.effective_at or base.now
        return (
            _within(status.attempt - base.attempt, 2) if status.attempt else None,
            _within(status.seq - base.seq, 40),
            status.run == f"search-{status.attempt}",
            -1 if status.observed_generation < 0 else int(status.observed_generation == generation),
            None if status.valid_spec is None else _choice_key(self._library.choice_of(status.valid_spec)),
            None if evaluation is None else relative(evaluation, anchor, self._old[0]),
            None if pending is None else tuple(_encoded_record(one, base) for one in pending.records),
            self._once(status, base.now, lambda: self._status.encode(status, base.now)),
        )

    def _decoded_status(self, key: Key, base: _Base) -> FeatureRolloutStatus:
        attempt, seq, has_run, observed, valid, evaluation, pending, rest = key
        status: FeatureRolloutStatus = self._status.decode(rest, base.now)
        number = 0 if attempt is None else base.attempt + attempt
        generation = -1 if observed < 0 else _GENERATION - 1 + observed
        anchor = status.effective_at or base.now
        status.__dict__.update(
            attempt=number,
            seq=0 if attempt is None else base.seq + seq,
            run=f"search-{number}" if has_run else None,
            observed_generation=generation,
            valid_spec=None if valid is None else self._library.written(Choice(*valid)).wire,
            next_evaluation_at=None if evaluation is None else absolute(evaluation, anchor),
            pending=None if pending is None else Pending.model_construct(records=tuple(_decoded_record(one, base) for one in pending)),
        )
        for condition in status.conditions:
            condition.__dict__["observed_generation"] = generation
        return status

    def _encoded_memory(self, memory: Memory, now: datetime) -> Key:
        stood = memory.stood
        old, since, last = self._old
        return (
            memory.fallen,
            memory.lowered,
            None if stood is None else (stood[0], relative(stood[1], now, old)),
            tuple(
                (name, relative(one.since, now, since), relative(one.last, now, last), min(one.samples, _MOST_SAMPLES))
                for name, one in sorted(memory.breaches.items())
            ),
        )


def ages_of(library: Library) -> Ages:
    """When times are old in a scope: later than anything that is counted from them."""
    scope = library.scope
    spec = library.written(Choice()).spec
    deadline = 0 if spec.step_deadline is None else int(spec.step_deadline.total_seconds())
    reach = max((int(guard.reach.total_seconds()) for guard in library.policy.spec.guards if guard.reach is not None), default=0)
    lasting = max((int(rule.for_.total_seconds()) for rule in library.lasting.values() if rule.for_ is not None), default=0)
    gap = max(lasting, STALENESS) + INTERVAL if lasting else INTERVAL
    return {
        (FeatureRolloutStatus, "effective_at"): scope.dwell + deadline + INTERVAL,
        (FeatureRolloutStatus, "resumed_at"): deadline + INTERVAL if deadline else 0,
        (FeatureRolloutStatus, "exposed_at"): INTERVAL + (int(LONGEST_SLEEP.total_seconds()) if "sleep" in scope.events else 0),
        (FeatureRolloutStatus, "raised_at"): reach + INTERVAL if reach else 0,
        (FeatureRolloutStatus, "enabled_at"): scope.bake + INTERVAL,
        (Drift, "recorded_at"): int(RECORD_EVERY.total_seconds()),
        (GateStatus, "no_data_since"): 30,
        (GateStatus, "breached_last"): gap + 1,
        (GateStatus, "breached_since"): gap + lasting + INTERVAL if lasting else 0,
    }


def _base(place: Place) -> _Base:
    status, flags, run = place.status, place.flags, place.run
    attempt, seq = status.attempt, status.seq
    if not attempt:
        marked = flags.marker.attempt if flags is not None and flags.marker is not None else 0
        attempt, seq = max(marked, run.attempt if run is not None else 0), run.seq if run is not None else 0
    return _Base(place.now, attempt, seq, flags.epoch if flags is not None else 0, place.uid, place.version)


def _choice_key(choice: Choice) -> Key:
    return choice.steps, choice.gates, choice.paused, choice.enabled, choice.revision


def _encoded_flags(flags: Flags | None, status: FeatureRolloutStatus, base: _Base) -> Key | None:
    if flags is None:
        return None
    marker, hand = flags.marker, flags.hand
    told = None
    if marker is not None:
        told = (
            marker.uid == f"u{base.uid}",
            marker.state,
            _within(marker.attempt - base.attempt, 2),
            min(base.epoch - marker.epoch, 3),
            marker.revision,
            marker.rejected,
            marker.cause is not None,
            marker.lapsed,
        )
    definition = flags.definition
    if definition is not None:
        start = int(base.now.timestamp() * 1000)
        definition = _LEASE.sub(lambda found: f"@lease{max(int(found[0]) * 1000 - start, -_OLD_LEASE)}@", definition)
    return (
        min(base.epoch - flags.epoch, 3),
        flags.percent,
        definition,
        told,
        None if hand is None else (hand.what, hand.percent),
        _encoded_note(flags, status, base),
    )


def _encoded_note(flags: Flags, status: FeatureRolloutStatus, base: _Base) -> Key | None:
    """A note that status knows of is none."""
    note, drift, marker = flags.note, status.drift, flags.marker
    if note is None or marker is None or marker.uid != f"u{base.uid}" or (drift is not None and note.at <= drift.corrected_at[-1]):
        return None
    return relative(note.at, base.now, int(SHORT_WHILE.total_seconds())), note.manager, without_numbers(note.difference)


def _decoded_flags(key: Key | None, base: _Base) -> Flags | None:
    if key is None:
        return None
    epoch, percent, definition, told, hand, noted = key
    marker = None
    if told is not None:
        is_own, state, attempt, since, revision, rejected, has_cause, lapsed = told
        marker = Marker(
            rollout="shop/search",
            uid=f"u{base.uid if is_own else base.uid - 1}",
            state=State(state),
            attempt=base.attempt + attempt,
            epoch=base.epoch - since,
            revision=revision,
            rejected=rejected,
            cause="a cause" if has_cause else None,
            written_at=FIRST - 1000 * TICK,
            lapsed=lapsed,
        )
    if definition is not None and "@" in definition:
        start = int(base.now.timestamp() * 1000)
        definition = _LEASE_AS.sub(lambda found: str((start + int(found[1])) // 1000), definition)
    note = None if noted is None else DriftNote(absolute(noted[0], base.now), noted[1], noted[2])
    return Flags(base.epoch - epoch, percent, definition, marker, None if hand is None else Hand(*hand), note)


def _decoded_run(key: Key, base: _Base) -> RunView:
    attempt, revision, rejected, seq = key
    number = base.attempt + attempt
    return RunView(f"search-{number}", number, revision, rejected, base.seq + seq, target=(CONFIG_MAP, KEY))


def _encoded_record(record: Record, base: _Base) -> Key:
    """Of a record that waits only matters whose it is, and whether it rejects."""
    attempt = None if record.attempt is None else _within(record.attempt - base.attempt, 2)
    return record.seq - base.seq, attempt, record.revision, rejects(record)


def _decoded_record(key: Key, base: _Base) -> Record:
    seq, attempt, revision, is_rejected = key
    number = None if attempt is None else base.attempt + attempt
    told = Transition.ROLLED_BACK if is_rejected else Transition.ATTEMPT_STARTED
    return Record.model_construct(seq=base.seq + seq, attempt=number, revision=revision, time=FIRST, transition=told)


def _decoded_memory(key: Key, now: datetime) -> Memory:
    fallen, lowered, stood, breaches = key
    return Memory(
        fallen,
        lowered,
        None if stood is None else (stood[0], absolute(stood[1], now)),
        {name: Breach(absolute(since, now), absolute(last, now), samples) for name, since, last, samples in breaches},
    )
