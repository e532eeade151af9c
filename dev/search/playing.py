"""Plays the product's own script (tidegate.domain.script) on a place, and cuts it wherever a process can die or a reply can fail.

Any write may be refused, may be carried out while its reply is lost, and the process may be killed before and after it, also after another
write went wrong: what the script does then is played on.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from tests.builders import CONFIG_MAP, KEY

from search.flags import FlagWrite, Lever, RefusedError
from search.place import Life, Place
from tidegate.api.records import Record
from tidegate.api.rollout_status import FeatureRolloutStatus, State
from tidegate.domain import script
from tidegate.domain.decision import AddFinalizer, Decision, RemoveFinalizer
from tidegate.domain.snapshot import RunView
from tidegate.levers.flag.flag_set import WriteFlag

MOST_MADE = 2
"""Of so many RolloutRuns a place knows when they were made: no scope looks further back."""
REFUSED = script.Outcome(is_ok=False, refusal="no changes on Fridays")
_NAMES = {
    script.Act: "action",
    script.WriteStatus: "status write",
    script.Append: "append",
    script.ClearPending: "clearing of what was appended",
}
_WRITES = tuple(_NAMES)


@dataclass(frozen=True, slots=True)
class Played:
    """How far a script got. `version`: the object's, as the process knows it; `outcomes` of all items so far, by which it is played again
    to here; `cuts`: what went wrong, in words; `is_unrecorded`: whether its records were refused."""

    place: Place
    version: int
    writes: tuple[FlagWrite, ...] = ()
    appended: tuple[Record, ...] = ()
    outcomes: tuple[script.Outcome, ...] = ()
    cuts: tuple[str, ...] = ()
    is_unrecorded: bool = False


class Player:
    """Plays the script of one decision. `seen`: the place that it was decided on."""

    def __init__(self, lever: Lever, decision: Decision, begin: Callable[[], script.Script], place: Place, seen: Place) -> None:
        self._lever, self._decision, self._begin = lever, decision, begin
        self._now, self._uid = place.now, seen.uid
        self._start = Played(place, seen.version)

    def ends(self, crashes: bool) -> Iterator[Played]:
        """Every way in which it may end; the undisturbed one comes last."""
        if crashes:
            yield _killed(self._start, "is killed before it writes")
        yield from self._on(self._start, crashes)

    def _on(self, so_far: Played, crashes: bool) -> Iterator[Played]:
        """Plays on from there. Something goes wrong at most once, and the process may be killed at any time."""
        playing = self._begin()
        item: script.Item | None = next(playing)
        for outcome in so_far.outcomes:
            item = _sent(playing, outcome)
        while item is not None:
            done, outcome = self._done(so_far, item)
            if crashes and isinstance(item, _WRITES):
                if not so_far.cuts:
                    for after, said, words in self._faults(so_far, done, item):
                        yield from self._on(
                            replace(after, outcomes=(*so_far.outcomes, said), cuts=(f"{words} {_NAMES[type(item)]}",)), True
                        )
                if outcome.is_ok and not isinstance(item, script.ClearPending):
                    yield _killed(done, f"is killed after its {_NAMES[type(item)]}")
            so_far = replace(done, outcomes=(*so_far.outcomes, outcome))
            item = _sent(playing, outcome)
        yield so_far

    def _faults(self, before: Played, done: Played, item: script.Item) -> Iterator[tuple[Played, script.Outcome, str]]:
        """What may go wrong with a write: where that leaves the place, and what the script is told."""
        yield before, script.FAILED, "is refused its"
        if isinstance(item, script.Act) and isinstance(item.action, WriteFlag):
            yield before, REFUSED, "is refused for good its"
            if self._decision.status.state is State.ROLLBACK:
                yield before, script.CONFLICT, "meets a conflict in its"
        if done.place is before.place:
            return
        if not isinstance(item, script.ClearPending):
            yield done, script.FAILED, "loses the reply to its"
        if isinstance(item, script.Append) and len(done.appended) > 1:
            part = self._appended(before, item.status, only_first=True)
            if part.appended != done.appended:
                yield part, script.FAILED, "is refused the second run of its"

    def _done(self, before: Played, item: script.Item) -> tuple[Played, script.Outcome]:
        """The item carried out, as far as the place lets it."""
        match item:
            case script.Act(WriteFlag() as write):
                try:
                    flags, made = self._lever.write(before.place.flags, write, self._now)
                except RefusedError:
                    return before, script.CONFLICT
                return replace(before, place=replace(before.place, flags=flags), writes=(*before.writes, made)), script.OK
            case script.Act(AddFinalizer() | RemoveFinalizer() as action):
                keeps = isinstance(action, AddFinalizer)
                life = Life.GONE if before.place.life is Life.DELETING and not keeps else before.place.life
                return self._stored(before, replace(before.place, finalizer=keeps, life=life))
            case script.WriteStatus(status) | script.ClearPending(status):
                return self._stored(before, replace(before.place, status=status))
            case script.Append(status):
                return (
                    (self._appended(before, status), script.OK) if before.place.appends else (replace(before, is_unrecorded=True), REFUSED)
                )
            case script.Keep(status):
                return replace(before, place=replace(before.place, evidence=(status.attempt, status.gates))), script.OK
            case script.Drop():
                return _without_evidence(before), script.OK
        return before, script.OK

    def _stored(self, before: Played, after: Place) -> tuple[Played, script.Outcome]:
        """The API server's part: the object is still the one that was read. One that is gone is nobody's trouble."""
        if before.place.life is Life.GONE:
            return before, script.OK
        if before.place.uid != self._uid or before.place.version != before.version:
            return before, script.CONFLICT
        version = before.version + 1
        return replace(before, place=replace(after, version=version), version=version), script.OK

    def _appended(self, before: Played, status: FeatureRolloutStatus, only_first: bool = False) -> Played:
        """Each record to the run of its attempt."""
        out = before
        records = status.pending.records if status.pending is not None else ()
        for attempt, group in groupby(records, key=lambda record: record.attempt or status.attempt):
            after = _appended_to(out, attempt, tuple(group))
            if only_first and after is not out:
                return after
            out = after
        return out


def _appended_to(before: Played, attempt: int, records: tuple[Record, ...]) -> Played:
    """Of the runs the last one of each revision is kept: nobody reads an earlier one again, and what it lacks was appended to it before."""
    runs = before.place.runs
    known = next((run for run in runs if run.attempt == attempt), None)
    if known is None and any(run.attempt > attempt for run in runs):
        return before
    new = tuple(record for record in records if known is None or record.seq > known.seq)
    if not new:
        return before
    is_rejected = any(map(script.rejects, new)) or (known is not None and known.rejected)
    revision = new[0].revision if known is None else known.revision
    times = before.place.made if known is not None else (*before.place.made, before.place.now)[-MOST_MADE:]
    made = RunView(f"search-{attempt}", "search", attempt, revision, is_rejected, new[-1].seq, target=f"flag/{CONFIG_MAP}/{KEY}")
    others = [run for run in runs if run.attempt != attempt and run.revision != revision]
    after = tuple(sorted((*others, made), key=lambda run: run.attempt))
    return replace(before, place=replace(before.place, runs=after, made=times), appended=(*before.appended, *new))


def _sent(playing: script.Script, outcome: script.Outcome) -> script.Item | None:
    try:
        return playing.send(outcome)
    except StopIteration:
        return None


def _killed(played: Played, words: str) -> Played:
    return replace(_without_evidence(played), cuts=(*played.cuts, words))


def _without_evidence(played: Played) -> Played:
    return played if played.place.evidence is None else replace(played, place=replace(played.place, evidence=None))
