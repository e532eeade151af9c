"""What one reconcile may do: observe → decide → the product's own script, played in memory, and ended between any two of its items."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

from tests.builders import series

from search.flags import FlagWrite, Lever, NotingLever
from search.memory import remembered
from search.place import Life, Place, last_tick_of
from search.playing import Player
from search.scopes import Said
from search.spec import MISSING, Library
from tidegate.api.conditions import Reason
from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.records import Record
from tidegate.api.rollout_status import FeatureRolloutStatus
from tidegate.decide.rollout.deciding import decide
from tidegate.domain.answers import Answer, Failure, GateAnswer, GateId
from tidegate.domain.asks import gates_to_ask
from tidegate.domain.decision import FINALIZER, Decision
from tidegate.domain.history import newest_run, rejected_revisions
from tidegate.domain.queries import compile_query
from tidegate.domain.script import reconcile
from tidegate.domain.snapshot import Policy, Rollout, Snapshot

VALUES = {"good": 0.0, "band": 0.12, "bad": 0.9}
FAILED = Failure(Reason.PROMETHEUS_UNREACHABLE, "connection refused")


@dataclass(frozen=True, slots=True)
class Reconcile:
    """What one reconcile did, up to where it ended. `seen`: where the snapshot was taken, which may be an earlier place; `now`: when it
    decided; `cuts`: what went wrong on the way, in words; `is_unrecorded`: whether its records were refused."""

    place: Place
    seen: Place
    said: Said
    snapshot: Snapshot
    decision: Decision
    now: datetime
    after: Place
    cuts: tuple[str, ...] = ()
    writes: tuple[FlagWrite, ...] = ()
    appended: tuple[Record, ...] = ()
    is_unrecorded: bool = False

    @property
    def read(self) -> FeatureRolloutStatus:
        """The status that it read."""
        return self.snapshot.rollout.status

    @property
    def decided(self) -> FeatureRolloutStatus:
        """The status that it decided."""
        return self.decision.status

    @property
    def spec(self) -> FeatureRolloutSpec | None:
        """The spec that it followed."""
        return self.snapshot.rollout.followed_spec()

    @property
    def is_late(self) -> bool:
        """Whether it was read somewhere else than it is carried out."""
        return self.seen is not self.place

    @property
    def is_done(self) -> bool:
        """Whether nothing went wrong."""
        return not self.cuts

    @property
    def end(self) -> str:
        """How it ends."""
        return ", then ".join(self.cuts) or "is done"

    @property
    def wrote(self) -> bool:
        """Whether anything was stored, the renewal of a lease aside."""
        return self.after.version != self.place.version or self.wrote_flag

    @property
    def wrote_flag(self) -> bool:
        """Whether the flag was written, the renewal of a lease aside."""
        return any(not one.write.renews for one in self.writes)


class Operator:
    """Reconciles at places of one scope."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.lever = Lever(library.target, keeps_older="hostile" in library.scope.events)
        self.noting = NotingLever(library.target)
        self._reach_of = lru_cache(maxsize=None)(lambda query: compile_query(query).reach.total_seconds())

    def reconciles(self, place: Place, said: Said) -> Iterator[Reconcile]:
        """The reconcile with these readings, for each place where it may end; the undisturbed one comes last."""
        yield from self._ends(place, said, self.snapshot(place, said), place.now, place)

    def late_reconciles(self, place: Place) -> Iterator[Reconcile]:
        """What the sleeper does when it wakes: what it had decided then, or what it decides by the clock of now on what it saw then."""
        assert place.sleeper is not None
        seen, said = place.sleeper.seen, self.library.scope.readings[place.sleeper.said]
        snapshot = self.snapshot(seen, said)
        for now in (seen.now, place.now) if seen.now != place.now else (place.now,):
            *_, last = self._ends(replace(place, sleeper=None), said, snapshot, now, seen)
            yield replace(last, place=place)

    def snapshot(self, place: Place, said: Said) -> Snapshot:
        """What the operator reads."""
        written, status, lever = self.library.written(place.choice), place.status, self.noting
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
        kept, runs = place.evidence, place.runs if rollout.needs_runs else ()
        return Snapshot(
            rollout=rollout,
            policy=policy,
            lever=lever,
            reading=self.lever.found(place.flags, rollout.owns),
            answers=answers,
            evidence=kept[1] if kept is not None and kept[0] == status.attempt else (),
            newest_run=newest_run(runs),
            rejected=rejected_revisions(runs, lever.identity),
            begun=place.made if rollout.needs_runs else (),
        )

    def _answers(self, place: Place, spec: FeatureRolloutSpec, policy: Policy, said: Said) -> dict[GateId, GateAnswer]:
        tick, sampled = last_tick_of(place.now).timestamp(), last_tick_of(place.now).timestamp() - 1
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

    def _ends(self, place: Place, said: Said, snapshot: Snapshot, now: datetime, seen: Place) -> Iterator[Reconcile]:
        """`seen`: the place that the snapshot was taken of, which may be an earlier one."""
        decision = decide(snapshot, now)
        player = Player(self.lever, decision, lambda: reconcile(snapshot.rollout, decision, now), place, seen)
        for played in player.ends(self.library.scope.crashes):
            after = played.place
            memory = remembered(self.library, place, snapshot, said, played.writes, after, now)
            if memory is not after.memory:
                after = replace(after, memory=memory)
            yield Reconcile(
                place, seen, said, snapshot, decision, now, after, played.cuts, played.writes, played.appended, played.is_unrecorded
            )
