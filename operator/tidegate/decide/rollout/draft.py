"""The decision while it is being made: the status as it will be, and the records of what changed on the way."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Self

from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.gates import Gate
from tidegate.api.records import REPEATABLE, Record, RecordedReading, Transition
from tidegate.api.rollout_status import MAX_REJECTED, FeatureRolloutStatus, GateSource, GateStatus, Pending, Phase, State
from tidegate.api.strategies import Step
from tidegate.decide.gates.blame import blamed
from tidegate.domain.answers import GateAnswer, GateId
from tidegate.domain.exposure import Lever, Mark, Reading
from tidegate.domain.snapshot import Policy, Snapshot
from tidegate.domain.templates import Resolved, resolved_gates
from tidegate.levers.deadman import in_force

BACKLOG = 24
"""With so many records that could not be appended no attempt begins: all that may follow until the next fits beside them."""


@dataclass
class Draft:
    """Local to one call of `decide`; only `status` and the lists change. `reading` is what is in force; `snapshot.reading` is what is
    written, `before` the status as it was read."""

    snapshot: Snapshot
    spec: FeatureRolloutSpec
    lever: Lever
    steps: tuple[Step, ...]
    now: datetime
    reading: Reading
    written: Reading
    status: FeatureRolloutStatus
    pending: list[Record] = field(default_factory=list)
    waited: tuple[Record, ...] = ()
    own_writes: list[str] = field(default_factory=list)
    """Fingerprints of our own writes that status does not know."""

    @classmethod
    def of(cls, snapshot: Snapshot, lever: Lever, reading: Reading, spec: FeatureRolloutSpec, now: datetime) -> Self:
        """The draft of a decision, before anything is decided."""
        status = snapshot.rollout.status
        appended = snapshot.newest_run.seq if snapshot.newest_run is not None else 0
        waiting = status.pending.records if status.pending is not None else ()
        pending = [record for record in waiting if record.seq > appended]  # the process may have died before it cleared them
        if len(pending) < len(waiting):
            status = status.model_copy(update={"pending": Pending(records=tuple(pending)) if pending else None})
        draft = cls(snapshot, spec, lever, spec.strategy.ladder(), now, in_force(reading, now), reading, status, pending, tuple(pending))
        if status.raising is not None and status.raising.written is not None:
            draft.own_writes.append(status.raising.written)
        return draft

    @property
    def before(self) -> FeatureRolloutStatus:
        return self.snapshot.rollout.status

    @cached_property
    def resolved(self) -> Resolved:
        """The rollout's own gates, templates resolved; none while there is no policy to have them judged under."""
        policy = self.snapshot.policy
        return resolved_gates(self.spec, policy.spec) if isinstance(policy, Policy) else Resolved((), (), None)

    @cached_property
    def every_gate(self) -> Mapping[GateId, Gate]:
        """The rollout's own gates and the policy's guards; none while there is no policy."""
        policy = self.snapshot.policy
        guards = policy.spec.guards if isinstance(policy, Policy) else ()
        own = {(GateSource.ROLLOUT, gate.name): gate for gate in self.resolved.gates}
        return own | {(GateSource.POLICY, guard.name): guard for guard in guards}

    @cached_property
    def answers(self) -> Mapping[GateId, GateAnswer]:
        """What the source answered, each refusal with whose fault it is. To be read once the attempt is up to date (`begin`)."""
        known, gates = self.latest_evidence(), self.every_gate
        raw = self.snapshot.answers.items()
        return {one: blamed(gates[one], answer, known.get(one)) if one in gates else answer for one, answer in raw}

    def latest_evidence(self) -> dict[GateId, GateStatus]:
        """Status, or what could not be written to it, whichever read the later sample. What an earlier attempt saw is none of a new
        one's."""
        out = {(gate.source, gate.name): gate for gate in self.status.gates}
        for gate in self.snapshot.evidence if self.status.attempt == self.before.attempt else ():
            known = out.get((gate.source, gate.name))
            if known is None or known.sample_time is None or (gate.sample_time is not None and gate.sample_time >= known.sample_time):
                out[gate.source, gate.name] = gate
        return out

    @property
    def step_percent(self) -> int:
        """What this attempt has decided and seen in force."""
        return self.status.step_percent or 0

    @property
    def standing(self) -> int:
        """The exposure that should be in force while no raise is under way: the step's, nothing behind an expired lease."""
        return self.step_percent if self.exposed else 0

    @property
    def exposed(self) -> bool:
        """Whether this attempt shows the feature to a share of the clients."""
        return self.status.is_exposed

    @property
    def own_mark(self) -> Mark | None:
        """The mark that this attempt wrote; None where there is another, or none."""
        is_ours = self.reading.owned(self.snapshot.rollout.uid, self.status.attempt)
        return self.reading.mark if is_ours else None

    @property
    def override(self) -> int | None:
        """What a manual override turned exposure down to: as it is, or where that can't be seen as it was; None where there is none."""
        if not self.exposed:
            return None
        if not self.reading.is_known:
            return self.before.override if self.before.attempt == self.status.attempt else None
        live = self.reading.percent or 0
        return live if live < self.step_percent else None

    @property
    def is_off(self) -> bool:
        """Nobody sees the feature and nobody is about to: deleting the object would leave nothing to undo."""
        return self.status.state is State.ROLLBACK or self.status.phase is Phase.DISABLED

    @property
    def full(self) -> int:
        """The percent of the last step."""
        return self.spec.strategy.full

    @property
    def at_full(self) -> bool:
        """Whether there is nothing left to climb. What is ENABLED stays so when the holdback is edited."""
        return self.status.state is State.ENABLED or self.standing >= self.full

    @property
    def revision_key(self) -> str:
        """What a rejection remembers: "" stands for a rollout without spec.revision."""
        return self.spec.revision or ""

    @property
    def rejected(self) -> tuple[str, ...]:
        """The revisions that were rolled back, by the runs and by status. A run doesn't know yet of a retry whose record waits."""
        lifted = {record.revision or "" for record in self.waited if record.transition is Transition.RETRIED}
        return tuple(dict.fromkeys((*(one for one in self.snapshot.rejected if one not in lifted), *self.status.rejected)))

    @property
    def is_rejected(self) -> bool:
        """Whether what spec asks for was rolled back before, by the runs or by status."""
        return self.revision_key in self.rejected

    @property
    def is_rejected_at_contact(self) -> bool:
        """The same of a target that was never read before, where its mark counts too: it may be anybody's, and may lower."""
        mark = self.reading.mark
        return self.is_rejected or (mark is not None and mark.rejected == self.revision_key)

    @property
    def is_backlogged(self) -> bool:
        """Whether so many records wait to be appended that nothing may begin."""
        return len(self.pending) >= BACKLOG

    @property
    def has_recorded(self) -> bool:
        """Whether this decision recorded anything."""
        return tuple(self.pending) != self.waited

    def mark(self, percent: int) -> Mark:
        """The mark that goes with a write of `percent` now."""
        status, rollout = self.status, self.snapshot.rollout
        begins = status.state is State.DISABLED and percent > 0
        return Mark(
            rollout=rollout.full_name,
            uid=rollout.uid,
            attempt=status.attempt,
            state=State.ROLLING_OUT if begins else status.state,  # as it will be once this is read back, or it would be written twice
            percent=percent,
            revision=status.revision,
            rejected=status.rejected_revision,
        )

    def set(self, **changes: Any) -> None:
        """Copying the model is what a decision spends its time on: what stays as it is costs none."""
        known = self.status.__dict__
        new = {name: value for name, value in changes.items() if known[name] is not value and known[name] != value}
        if new:
            self.status = self.status.model_copy(update=new)

    def record(self, transition: Transition, message: str, *, to_percent: int | None = None, actor: str = "operator") -> None:
        """Notes what the status change so far means. `from` is the status as it was read. While records can't be appended, what repeats is
        counted in the one that waits."""
        waiting = self._waiting_alike(transition)
        seq = self.status.seq + 1 if waiting is None else self.pending[waiting].seq
        made = Record(
            seq=seq,
            attempt=self.status.attempt,
            revision=self.status.revision,
            time=self.now,
            transition=transition,
            actor=actor,
            from_phase=self.before.phase.value if self.before.attempt else None,
            to_phase=self.status.phase.value,
            from_percent=self.before.step_percent,
            to_percent=self.step_percent if to_percent is None else to_percent,
            message=message[:1024],
            readings=tuple(_recorded(gate) for gate in self.status.gates),
        )
        if waiting is None:
            self.set(seq=seq)
            self.pending.append(made)
        else:
            self.pending[waiting] = made.model_copy(update={"count": (self.pending[waiting].count or 1) + 1})

    def _waiting_alike(self, transition: Transition) -> int | None:
        """Where the record stands that waits since an earlier reconcile and says such a thing of this attempt."""
        if transition not in REPEATABLE or self.before.pending is None:
            return None
        alike = (transition, self.status.attempt)
        found = (number for number, one in enumerate(self.pending) if (one.transition, one.attempt) == alike)
        return next(found, None)

    def with_pending(self) -> FeatureRolloutStatus:
        """The status with the records of this decision behind those not appended yet."""
        return self.status.model_copy(update={"pending": Pending(records=tuple(self.pending)) if self.pending else None})

    def reject(self, revision: str, cause: str) -> None:
        """The revision stays rejected until a person lifts that; the newest are kept here, and all by the RolloutRuns."""
        others = tuple(one for one in self.status.rejected if one != revision)
        self.set(rejected_revision=revision, rolled_back_at=self.now, rolled_back_because=cause[:1024])
        self.keep_rejected((*others, revision))

    def keep_rejected(self, revisions: tuple[str, ...]) -> None:
        """Status has room for the newest; the runs know all."""
        self.set(rejected=revisions[-MAX_REJECTED:])

    def head_for_zero(self, state: State, phase: Phase) -> None:
        """On the way to 0: what belonged to the step is forgotten."""
        step = None if self.status.step_percent is None else 0
        self.set(state=state, phase=phase, raising=None, step_percent=step, overdue_since=None)
        self.set(effective_at=None, step_entered_at=None, next_evaluation_at=None)


def _recorded(gate: GateStatus) -> RecordedReading:
    return RecordedReading(
        source=gate.source.value,
        name=gate.name,
        verdict=gate.verdict.value,
        value=gate.value,
        threshold=gate.threshold,
        samples=gate.samples,
        sample_time=gate.sample_time,
    )
