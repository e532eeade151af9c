"""What an observer who forgets nothing learns from a look, and from what people do. Nothing of it is taken from what `decide` remembers."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from search.flags import FlagWrite
from search.place import Breach, Memory, Place
from search.scopes import STALENESS, Said
from search.spec import Library
from tidegate.api.gates import RollbackRule
from tidegate.domain.readings import Answer
from tidegate.domain.snapshot import Snapshot


def remembered(
    library: Library, place: Place, snapshot: Snapshot, said: Said, writes: tuple[FlagWrite, ...], after: Place, now: datetime
) -> Memory:
    """The memory after a look, decided at `now`, that led from one place to the other; the same object where nothing was learnt."""
    memory, asked = place.memory, after.choice.revision
    changes: dict[str, Any] = {}
    if memory.fallen != asked and _falls(asked, writes, after):
        changes["fallen"] = asked
    if after.status is not place.status:
        old, new = place.status, after.status
        if not new.percent:
            changes["stood"] = None
        elif (new.percent, new.attempt) != (old.percent, old.attempt):
            changes["stood"] = (new.percent, now)
    if library.lasting:
        breaches = _breaches(library.lasting, memory.breaches, snapshot, said, after)
        if breaches != memory.breaches:
            changes["breaches"] = breaches
    return replace(memory, **changes) if changes else memory


def _falls(asked: str, writes: tuple[FlagWrite, ...], after: Place) -> bool:
    """Whether the revision that is asked for was rolled back, as status or the flag's mark tells. A mark of an earlier attempt, which a
    stopped leader writes late, says nothing of one that was asked for since."""
    if after.status.rejected_revision == asked:
        return True
    marks = [one.write.marker for one in writes]
    return any(mark.rejected == asked and mark.attempt >= after.status.attempt for mark in marks)


def _breaches(
    rules: Mapping[str, RollbackRule], known: Mapping[str, Breach], snapshot: Snapshot, said: Said, after: Place
) -> Mapping[str, Breach]:
    """Bad samples count in every look that read them; a healthy one ends the breach where that is stored."""
    out = dict(known)
    kept = {gate.name for gate in after.status.gates if gate.breached_since is not None}
    for (_, name), answer in snapshot.answers.items():
        if name not in rules or not isinstance(answer.value, Answer) or answer.value.oldest_sample is None:
            continue
        if said.get(name, "good") == "bad":
            out[name] = _extended(out.get(name), answer.value.oldest_sample, rules[name])
        elif name not in kept:
            out.pop(name, None)
    return out


def _extended(known: Breach | None, seconds: float, rule: RollbackRule) -> Breach:
    sample = datetime.fromtimestamp(seconds, UTC)
    gap = None if rule.for_ is None else max(rule.for_, timedelta(seconds=STALENESS))
    if known is None or (gap is not None and sample - known.last > gap):
        return Breach(sample, sample, 1)
    return known if sample <= known.last else Breach(known.since, sample, known.samples + 1)


def forgotten_marks(place: Place) -> Place:
    """After the flag's mark was taken away, or the object with its status: a rejection counts only where it is still written anywhere."""
    asked = place.memory.fallen
    if asked is None or tells_of_fall(place, asked) or place.status.rejected_revision == asked:
        return place
    return replace(place, memory=replace(place.memory, fallen=None))


def tells_of_fall(place: Place, revision: str) -> bool:
    """Whether the flag's mark or the newest run says that this revision was rolled back."""
    flags = place.flags
    is_marked = flags is not None and flags.marker is not None and flags.marker.rejected == revision and _shows_mark(place)
    return is_marked or (place.run is not None and place.run.rejected and place.run.revision == revision)


def _shows_mark(place: Place) -> bool:
    hand = place.flags.hand if place.flags is not None else None
    return hand is None or hand.what not in ("removed", "replaced")
