"""A place as a tuple, and back. Two places have the same tuple where nothing that may follow tells them apart: times are told from now on,
attempts, seqs and epochs from the newest one on, and what is old, or only read by people, is left out."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from search.codec import Ages, Codec, absolute, relative
from search.flags import Prints
from search.people import LONGEST_SLEEP
from search.place import FIRST, TICK, Breach, Memory, Place, Sleeper
from search.scopes import INTERVAL, STALENESS
from search.spec import Choice, Library
from search.telling import (
    Base,
    Key,
    decoded_flags,
    decoded_record,
    decoded_run,
    decoded_write,
    encoded_flags,
    encoded_record,
    encoded_run,
    encoded_write,
)
from tidegate.api.rollout_status import Drift, FeatureRolloutStatus, GateStatus, Pending
from tidegate.decide.rollout.drift import RECORD_EVERY

Evidence = tuple[int, tuple[GateStatus, ...]]
_ATTEMPT, _SEQ, _EPOCH, _UID, _GENERATION, _VERSION = 50, 500, 20, 2, 2, 10
_MOST_TOLD = 20_000
_MOST_SAMPLES = 4


_DECODED = {"epoch": _EPOCH, "uid": _UID, "version": _VERSION}


class Canon:
    """Places of one scope ↔ tuples."""

    def __init__(self, library: Library, prints: Prints) -> None:
        self._library, self._prints = library, prints
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
        return phase, self._encoded(place, base), asleep, self._encoded_memory(place.memory, place.now), _origin(place, base)

    def decode(self, key: Key) -> Place:
        phase, core, asleep, memory, origin = key
        now = FIRST + phase * TICK
        attempt, seq = origin or (_ATTEMPT, _SEQ)
        base = Base(now=now, attempt=attempt, seq=seq, **_DECODED)
        sleeper = None
        if asleep is not None:
            said, age, seen = asleep
            sleeper = Sleeper(replace(self._decoded(seen, base), now=now - age * TICK), said)
        return replace(self._decoded(core, base), sleeper=sleeper, memory=_decoded_memory(memory, now))

    def _encoded(self, place: Place, base: Base) -> Key:
        return (
            _choice_key(place.choice),
            self._encoded_status(place.status, place.generation, base),
            place.uid == base.uid,
            place.version == base.version,
            place.finalizer,
            place.life,
            encoded_flags(place.flags, base),
            tuple(encoded_run(run, base) for run in place.runs),
            self._encoded_evidence(place.evidence, place.status, base),
            place.policy,
            place.appends,
            place.behind,
            place.hands,
        )

    def _encoded_evidence(self, kept: Evidence | None, status: FeatureRolloutStatus, base: Base) -> Key | None:
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

    def _decoded(self, key: Key, base: Base) -> Place:
        choice, status, same_uid, same_version, finalizer, life, flags, runs, kept, policy, appends, behind, hands = key
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
            flags=decoded_flags(flags, base),
            runs=tuple(decoded_run(run, base) for run in runs),
            evidence=None if kept is None else (found.attempt, tuple(self._gate.decode(gate, base.now) for gate in kept)),
            policy=policy,
            appends=appends,
            behind=behind,
            hands=hands,
        )

    def _encoded_status(self, status: FeatureRolloutStatus, generation: int, base: Base) -> Key:
        pending, evaluation = status.pending, status.next_evaluation_at
        anchor = status.effective_at or base.now
        return (
            status.attempt - base.attempt if status.attempt else None,
            status.seq - base.seq if status.attempt else 0,
            status.run == f"search-{status.attempt}",
            _encoded_generation(status.observed_generation, generation),
            _encoded_generation(status.recorded_generation, generation),
            None if status.valid_spec is None else _choice_key(self._library.choice_of(status.valid_spec)),
            None if evaluation is None else relative(evaluation, anchor, self._old[0]),
            None if pending is None else tuple(encoded_record(one, base) for one in pending.records),
            self._encoded_print(status.written, base),
            None if status.raising is None else self._encoded_print(status.raising.written, base),
            self._once(status, base.now, lambda: self._status.encode(status, base.now)),
        )

    def _decoded_status(self, key: Key, base: Base) -> FeatureRolloutStatus:
        attempt, seq, has_run, observed, told, valid, evaluation, pending, written, raised, rest = key
        status: FeatureRolloutStatus = self._status.decode(rest, base.now)
        number = 0 if attempt is None else base.attempt + attempt
        generation = _decoded_generation(observed)
        anchor = status.effective_at or base.now
        status.__dict__.update(
            attempt=number,
            seq=0 if attempt is None else base.seq + seq,
            run=f"search-{number}" if has_run else None,
            observed_generation=generation,
            recorded_generation=_decoded_generation(told),
            valid_spec=None if valid is None else self._library.written(Choice(*valid)).wire,
            next_evaluation_at=None if evaluation is None else absolute(evaluation, anchor),
            written=self._decoded_print(written, base),
            pending=None if pending is None else Pending.model_construct(records=tuple(decoded_record(one, base) for one in pending)),
        )
        if status.raising is not None:
            status.raising.__dict__["written"] = self._decoded_print(raised, base)
        for condition in status.conditions:
            condition.__dict__["observed_generation"] = generation
        return status

    def _encoded_print(self, made: str | None, base: Base) -> Key | None:
        return None if made is None else encoded_write(self._prints[made], base, is_lease_told=False)

    def _decoded_print(self, key: Key | None, base: Base) -> str | None:
        return None if key is None else self._prints.of(decoded_write(key, base))

    def _encoded_memory(self, memory: Memory, now: datetime) -> Key:
        stood = memory.stood
        old, since, last = self._old
        return (
            tuple(sorted(memory.fallen)),
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


def _base(place: Place) -> Base:
    status, flags = place.status, place.flags
    attempt, seq = status.attempt, status.seq
    if not attempt:
        attempt, seq = max((run.attempt for run in place.runs), default=0), place.recorded
    return Base(place.now, attempt, seq, flags.epoch if flags is not None else 0, place.uid, place.version)


def _encoded_generation(noted: int, generation: int) -> int:
    """Which one it is doesn't matter, but whether it is the newest."""
    return -1 if noted < 0 else int(noted == generation)


def _decoded_generation(key: int) -> int:
    return -1 if key < 0 else _GENERATION - 1 + key


def _origin(place: Place, base: Base) -> tuple[int, int] | None:
    """Attempt and number to begin with again where something begins at the first attempt: there it matters which one it is."""
    seen = [place] if place.sleeper is None else [place, place.sleeper.seen]
    return (base.attempt, base.seq) if any(not one.status.attempt and not one.runs for one in seen) else None


def _choice_key(choice: Choice) -> Key:
    return choice.steps, choice.gates, choice.paused, choice.enabled, choice.revision, choice.retry


def _decoded_memory(key: Key, now: datetime) -> Memory:
    fallen, lowered, stood, breaches = key
    return Memory(
        frozenset(fallen),
        lowered,
        None if stood is None else (stood[0], absolute(stood[1], now)),
        {name: Breach(absolute(since, now), absolute(last, now), samples) for name, since, last, samples in breaches},
    )
