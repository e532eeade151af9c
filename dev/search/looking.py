"""One look of the operator: observe → decide → act → report, and every place where it can end early."""

import json
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import groupby

from tests.builders import CONFIG_MAP, KEY, series

from search.flags import FlagWrite, Lever, RefusedError
from search.memory import remembered
from search.place import Life, Memory, Place, last_tick_of
from search.scopes import Said
from search.spec import MISSING, Library
from tidegate.api.conditions import Reason
from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.records import Record
from tidegate.api.rollout_status import FeatureRolloutStatus, State
from tidegate.decide.rollout import decide
from tidegate.domain.asks import gates_to_ask
from tidegate.domain.decision import FINALIZER, Action, AddFinalizer, Decision, WriteFlag
from tidegate.domain.queries import compile_query
from tidegate.domain.readings import Answer, Failure, GateAnswer, GateId
from tidegate.domain.snapshot import Policy, Rollout, RunView, Snapshot
from tidegate.report.rollouts import significant
from tidegate.report.runs import rejects

VALUES = {"good": 0.0, "band": 0.12, "bad": 0.9}
MOST_KNOWN = 10_000
"""Looks that are kept, to be taken again at a place that differs in memory and sleeper alone."""
MOST_UNWRITTEN = 2
"""With more records than this waiting to be appended, nothing keeps them from it any more."""
FAILED = Failure(Reason.PROMETHEUS_UNREACHABLE, "connection refused")


class End(StrEnum):
    """Where a look ends. A reply that is lost leaves the process alive, with its evidence; a kill does not."""

    DONE = "is done"
    KILLED = "is killed before it acts"
    REFUSED = "is refused its first action"
    KILLED_ACTING = "is killed between two actions"
    LOST_ACTING = "loses the reply to one of its actions"
    KILLED_AFTER_ACT = "is killed after it acted"
    STATUS_REFUSED = "is refused its status write"
    STATUS_LOST = "loses the reply to its status write"
    KILLED_AFTER_STATUS = "is killed after its status write"
    KILLED_AFTER_APPEND = "is killed after its records were appended"


@dataclass(frozen=True, slots=True)
class Look:
    """What one look did, up to where it ended. `now`: when it decided."""

    place: Place
    said: Said
    snapshot: Snapshot
    decision: Decision
    end: End
    now: datetime
    after: Place
    writes: tuple[FlagWrite, ...] = ()
    appended: tuple[Record, ...] = ()
    is_late: bool = False

    @property
    def wrote(self) -> bool:
        """Whether anything was stored, the renewal of a lease aside."""
        return self.after.version != self.place.version or self.wrote_flag

    @property
    def wrote_flag(self) -> bool:
        """Whether the flag was written, the renewal of a lease aside."""
        return any(not one.write.renews for one in self.writes)


class Operator:
    """Looks at places of one scope. `exact`: every status goes through JSON, as in the API server."""

    def __init__(self, library: Library, exact: bool = False) -> None:
        self.library = library
        self.lever = Lever(library.target)
        self.exact = exact
        self.core: Hashable = None
        """What tells the place that is looked at from others, memory and sleeper aside; None where nobody knows."""
        self._known: dict[Hashable, list[Look]] = {}
        self._reach: dict[str, float] = {}

    def looks(self, place: Place, said: Said) -> Iterator[Look]:
        """The look with these readings, for each place where it may end; DONE comes last."""
        if self.core is None:
            yield from self._ends(place, said, self.snapshot(place, said), place.now, place)
            return
        key = self.core, id(said)
        if key not in self._known:
            if len(self._known) > MOST_KNOWN:
                self._known.clear()
            awake = replace(place, sleeper=None, memory=Memory())
            self._known[key] = list(self._ends(awake, said, self.snapshot(place, said), place.now, place))
        yield from (self._again(look, place) for look in self._known[key])

    def _again(self, look: Look, place: Place) -> Look:
        """The same look at a place that differs in memory and sleeper alone."""
        after = place if look.after is look.place else replace(look.after, sleeper=place.sleeper, memory=place.memory)
        memory = remembered(self.library, place, look.snapshot, look.said, look.writes, after, look.now)
        return replace(look, place=place, after=after if memory is place.memory else replace(after, memory=memory))

    def late_looks(self, place: Place) -> Iterator[Look]:
        """What the sleeper does when it wakes: what it had decided then, or what it decides by the clock of now on what it saw then."""
        assert place.sleeper is not None
        seen, said = place.sleeper.seen, self.library.scope.readings[place.sleeper.said]
        snapshot = self.snapshot(seen, said)
        for now in (seen.now, place.now) if seen.now != place.now else (place.now,):
            *_, last = self._ends(replace(place, sleeper=None), said, snapshot, now, seen)
            yield replace(last, place=place, is_late=True)

    def would_write(self, place: Place, said: Said) -> bool:
        """Whether a look would store anything."""
        *_, last = self.looks(place, said)
        return last.wrote

    def snapshot(self, place: Place, said: Said) -> Snapshot:
        """What the operator reads."""
        written = self.library.written(place.choice)
        status = place.status
        last = None
        if written.problem is not None and status.valid_spec is not None:
            last = self.library.written(self.library.choice_of(status.valid_spec)).spec
        finalizers = (FINALIZER,) if place.finalizer else ()
        rollout = Rollout(
            "shop", "search", f"u{place.uid}", place.generation, str(place.version), place.life is Life.DELETING,
            finalizers, written.spec, written.problem, status, last,
        )  # fmt: skip
        followed = rollout.followed_spec()
        if followed is None:
            return Snapshot(rollout, MISSING, MISSING)
        policy = self.library.policy if place.policy else MISSING
        answers = self._answers(place, followed, policy, said) if isinstance(policy, Policy) and not rollout.deleting else {}
        kept = place.evidence
        return Snapshot(
            rollout=rollout,
            policy=policy,
            flag=self.lever.found(place.flags, rollout.had_flag),
            answers=answers,
            evidence=kept[1] if kept is not None and kept[0] == status.attempt else (),
            newest_run=place.run if status.attempt == 0 else None,
            newest_of_flag=place.run if status.attempt == 0 else None,
        )

    def _answers(self, place: Place, spec: FeatureRolloutSpec, policy: Policy, said: Said) -> dict[GateId, GateAnswer]:
        tick, sampled = last_tick_of(place.now).timestamp(), place.sampled.timestamp()
        out = {}
        for asked in gates_to_ask(spec, policy.spec, place.status):
            kind = said.get(asked.gate.name, "good")
            value: Answer | Failure = FAILED
            if kind in VALUES:
                value = Answer(tick, "vector", series(VALUES[kind]), sampled, self._reach_of(asked.gate.query or ""), 1)
            elif kind == "none":
                value = Answer(tick, "vector", (), None, 0, 0)
            out[asked.source, asked.gate.name] = GateAnswer(value)
        return out

    def _reach_of(self, query: str) -> float:
        if query not in self._reach:
            self._reach[query] = compile_query(query).reach.total_seconds()
        return self._reach[query]

    def _ends(self, place: Place, said: Said, snapshot: Snapshot, now: datetime, seen: Place) -> Iterator[Look]:
        """`seen`: the place that the snapshot was taken of, which may be an earlier one."""
        look = Look(place, said, snapshot, decide(snapshot, now), End.DONE, now, place)
        yield from _Hand(self, look, seen).carry_out()


class _Hand:
    """Carries one decision out. Holds the place as it has become so far."""

    def __init__(self, operator: Operator, look: Look, seen: Place) -> None:
        self._operator, self._look_so_far, self._decision, self._now = operator, look, look.decision, look.place
        self._uid, self._version = seen.uid, seen.version
        self._writes: tuple[FlagWrite, ...] = ()
        self._appended: tuple[Record, ...] = ()

    def carry_out(self) -> Iterator[Look]:
        yield self._look(End.KILLED, keeps=False)
        actions = sorted(self._decision.actions, key=_urgency)
        if actions:
            yield self._look(End.REFUSED, keeps=True)
            if self._decision.status.state is State.ROLLBACK:
                yield self._refused_rollback()
        for number, action in enumerate(actions, start=1):
            try:
                self._act(action)
            except RefusedError:
                yield self._look(End.DONE, keeps=True)
                return
            if number < len(actions):
                yield self._look(End.KILLED_ACTING, keeps=False)
                yield self._look(End.LOST_ACTING, keeps=True)
            else:
                yield self._look(End.KILLED_AFTER_ACT, keeps=False)
        yield from self._report()

    def _refused_rollback(self) -> Look:
        """It stands in status all the same."""
        now, version, appended, status = self._now, self._version, self._appended, self._decision.status
        if significant(self._look_so_far.snapshot.rollout.status) == significant(status) or self._store(status):
            self._append(status)
            self._store(status.model_copy(update={"pending": None}))
        look = self._look(End.REFUSED, keeps=True)
        self._now, self._version, self._appended = now, version, appended
        return look

    def _report(self) -> Iterator[Look]:
        status = self._decision.status
        if significant(self._look_so_far.snapshot.rollout.status) != significant(status):
            yield self._look(End.STATUS_REFUSED, keeps=True)
            if not self._store(status):
                yield self._look(End.DONE, keeps=True)
                return
            if status.pending is None or len(status.pending.records) <= MOST_UNWRITTEN:
                yield self._look(End.STATUS_LOST, keeps=True)
            self._now = replace(self._now, evidence=None)
        if status.pending is not None:
            if len(status.pending.records) <= MOST_UNWRITTEN:
                yield self._look(End.KILLED_AFTER_STATUS, keeps=False)
            self._append(status)
            yield self._look(End.KILLED_AFTER_APPEND, keeps=False)
            self._store(status.model_copy(update={"pending": None}))
        yield self._look(End.DONE, keeps=None)

    def _look(self, end: End, keeps: bool | None) -> Look:
        """`keeps`: whether the process goes on with what it judged; None where there is nothing new to remember."""
        after = self._now
        if keeps:
            after = replace(after, evidence=(self._decision.status.attempt, self._decision.status.gates))
        elif keeps is False and after.evidence is not None:
            after = replace(after, evidence=None)
        far, writes = self._look_so_far, self._writes
        memory = remembered(self._operator.library, far.place, far.snapshot, far.said, writes, after, far.now)
        if memory is not after.memory:
            after = replace(after, memory=memory)
        return Look(far.place, far.said, far.snapshot, self._decision, end, far.now, after, writes, self._appended)

    def _act(self, action: Action) -> None:
        if isinstance(action, WriteFlag):
            flags, write = self._operator.lever.write(self._now.flags, action, self._look_so_far.place.now)
            self._now = replace(self._now, flags=flags)
            self._writes += (write,)
            return
        self._check()
        keeps = isinstance(action, AddFinalizer)
        life = Life.GONE if self._now.life is Life.DELETING and not keeps else self._now.life
        self._bump(replace(self._now, finalizer=keeps, life=life))

    def _store(self, status: FeatureRolloutStatus) -> bool:
        try:
            self._check()
        except RefusedError:
            return False
        if self._operator.exact:
            again = FeatureRolloutStatus.model_validate(json.loads(json.dumps(status.to_wire())))
            assert again == status, "what is written is not what is read back"
        self._bump(replace(self._now, status=status))
        return True

    def _append(self, status: FeatureRolloutStatus) -> None:
        """Each record to the run of its attempt. Of the runs only the newest is kept: nobody reads an earlier one again."""
        records = status.pending.records if status.pending is not None else ()
        for attempt, group in groupby(records, key=lambda record: record.attempt or status.attempt):
            self._append_to(attempt, tuple(group))

    def _append_to(self, attempt: int, records: tuple[Record, ...]) -> None:
        run = self._now.run
        if run is not None and run.attempt > attempt:
            return
        known = run if run is not None and run.attempt == attempt else None
        new = tuple(record for record in records if known is None or record.seq > known.seq)
        if not new:
            return
        is_rejected = any(map(rejects, new)) or (known is not None and known.rejected)
        self._appended += new
        after = RunView(f"search-{attempt}", attempt, new[0].revision, is_rejected, new[-1].seq, target=(CONFIG_MAP, KEY))
        self._now = replace(self._now, run=after)

    def _check(self) -> None:
        """The API server's: the object is still the one that was read."""
        if self._now.life is Life.GONE or self._now.uid != self._uid or self._now.version != self._version:
            raise RefusedError("not found, or a conflict")

    def _bump(self, place: Place) -> None:
        self._version += 1
        self._now = replace(place, version=self._version)


def _urgency(action: Action) -> int:
    """The order of act: lowerings, finalizer, raises, and letting go last."""
    if isinstance(action, WriteFlag):
        return 2 if action.raises else 0
    return 1 if isinstance(action, AddFinalizer) else 3
