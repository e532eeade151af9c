"""What an observer who forgets nothing learns from a reconcile, and from what people do: nothing that `decide` remembers."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from search.flags import FlagWrite
from search.place import Breach, Memory, Place
from search.scopes import STALENESS, Said
from search.spec import Library
from tidegate.api.gates import RollbackRule
from tidegate.api.rollout_status import FeatureRolloutStatus
from tidegate.domain.answers import Answer
from tidegate.domain.snapshot import Snapshot


def remembered(
    library: Library, place: Place, snapshot: Snapshot, said: Said, writes: tuple[FlagWrite, ...], after: Place, now: datetime
) -> Memory:
    """The memory after a reconcile, decided at `now`, that led from one place to the other; the same object where nothing was learnt."""
    memory, fallen = place.memory, _fallen(place, snapshot, writes, after)
    changes: dict[str, Any] = {} if fallen == memory.fallen else {"fallen": fallen}
    if library.scope.is_paced and after.status.attempt > place.status.attempt:
        changes["begun"] = (*memory.begun, now)[-library.scope.at_once :]
    if after.status is not place.status:
        new = standing(after.status)
        if not new:
            changes["stood"] = None
        elif (new, after.status.attempt) != (standing(place.status), place.status.attempt):
            changes["stood"] = (new, now)
    if library.lasting:
        breaches = _breaches(library.lasting, memory.breaches, snapshot, said, after)
        if breaches != memory.breaches:
            changes["breaches"] = breaches
    return replace(memory, **changes) if changes else memory


def standing(status: FeatureRolloutStatus) -> int:
    """The percent that should be in force while no raise is under way."""
    return (status.step_percent or 0) if status.effective_at is not None else 0


def _fallen(place: Place, snapshot: Snapshot, writes: tuple[FlagWrite, ...], after: Place) -> frozenset[str]:
    """A revision falls where status or a mark says so for the first time, and may be tried again once spec.retry was heeded. A mark of an
    earlier attempt, which a stopped leader writes late, says nothing of one that was asked for since."""
    out, old, new = place.memory.fallen, place.status, after.status
    if new is not old:
        out |= {*new.rejected} - {*old.rejected}
    out |= {one.write.mark.rejected for one in writes if one.write.mark.rejected is not None and one.write.mark.attempt >= new.attempt}
    spec = snapshot.rollout.followed_spec()
    if new is not old and spec is not None and old.attempt and (new.retry or 0) > (old.retry or 0) and new.attempt > old.attempt:
        out -= {spec.revision or ""}
    return out


def _breaches(
    rules: Mapping[str, RollbackRule], known: Mapping[str, Breach], snapshot: Snapshot, said: Said, after: Place
) -> Mapping[str, Breach]:
    """Bad samples count in every reconcile that read them; a healthy one ends the breach where that is stored."""
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


def forgotten(place: Place) -> Place:
    """After somebody changed the flag, or the object went with its status: what fell counts for as long as it is written anywhere."""
    known = place.memory.fallen & told_of_falls(place)
    return place if known == place.memory.fallen else replace(place, memory=replace(place.memory, fallen=known))


def told_of_falls(place: Place) -> frozenset[str]:
    """The revisions of which the newest run, status or the mark says that they were rolled back."""
    status, flags = place.status, place.flags
    told = {*status.rejected, status.rejected_revision, *(run.revision for run in place.runs if run.rejected)}
    if flags is not None and flags.ours is not None and (flags.hand is None or flags.hand.what in ("percent", "rewritten")):
        told.add(flags.ours.mark.rejected)
    return frozenset(revision for revision in told if revision is not None)
