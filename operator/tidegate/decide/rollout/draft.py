"""The decision while it is being made: the status as it will be, and the records of what changed on the way."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from tidegate.api.feature_rollout import FeatureRolloutSpec, Step
from tidegate.api.records import Record, RecordedReading, Transition
from tidegate.api.rollout_status import MAX_PENDING, FeatureRolloutStatus, GateStatus, Pending, Phase, State
from tidegate.domain.drift import DriftNote
from tidegate.domain.snapshot import FlagReading, Marker, Policy, Problem, Snapshot
from tidegate.domain.templates import Resolved, resolved_gates


@dataclass
class Draft:
    """Local to one call of `decide`; never escapes it. `flag` is what is in force; `snapshot.flag` is what is written."""

    snapshot: Snapshot
    spec: FeatureRolloutSpec
    steps: tuple[Step, ...]
    now: datetime
    status: FeatureRolloutStatus
    flag: FlagReading
    records: list[Record] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    stalled: Problem | None = None
    wake_at: list[datetime] = field(default_factory=list)
    raise_confirmed: bool = False
    touched: bool = False
    lost_note: DriftNote | None = None
    look_again: datetime | None = None

    @cached_property
    def resolved(self) -> Resolved:
        """The rollout's own gates, templates resolved; none while there is no policy to have them judged under."""
        policy = self.snapshot.policy
        return resolved_gates(self.spec, policy.spec) if isinstance(policy, Policy) else Resolved((), (), None)

    @property
    def percent(self) -> int:
        """The exposure that this attempt has decided and seen; what the flag should show while no raise is under way."""
        return self.status.percent or 0

    @property
    def exposed(self) -> bool:
        """Whether this attempt shows the feature to a share of the clients."""
        return self.status.state in (State.ROLLING_OUT, State.ENABLED) and self.percent > 0

    @property
    def own_marker(self) -> Marker | None:
        """The marker that this attempt wrote; None where the flag has another, or none."""
        marker = self.flag.marker
        is_ours = marker is not None and (marker.uid, marker.attempt) == (self.snapshot.rollout.uid, self.status.attempt)
        return marker if is_ours else None

    @property
    def turned_down_to(self) -> int | None:
        """What somebody else turned the flag down to: as it is, or where that can't be seen as it was; None where nobody did."""
        live = self.flag.percent
        if live is None or self.flag.rewritten:
            return self.status.lowered_percent
        return live if live < self.percent else None

    @property
    def full(self) -> int:
        """The percent of the last step."""
        return self.spec.strategy.canary.full

    @property
    def at_full(self) -> bool:
        """Whether there is nothing left to climb. What is ENABLED stays so when the holdback is edited."""
        return self.status.state is State.ENABLED or self.percent >= self.full

    def revision_key(self) -> str:
        """What a rejection remembers: "" stands for a rollout without spec.revision."""
        return self.spec.revision or ""

    def set(self, **changes: Any) -> None:
        self.status = self.status.model_copy(update=changes)

    def record(self, transition: Transition, message: str, *, to_percent: int | None = None, actor: str = "operator") -> None:
        """Notes what the status change so far means. `from` is the status as it was read."""
        before = self.snapshot.rollout.status
        seq = self.status.seq + 1
        self.set(seq=seq)
        self.records.append(
            Record(
                seq=seq,
                attempt=self.status.attempt,
                revision=self.status.revision,
                time=self.now,
                transition=transition,
                actor=actor,
                from_phase=before.phase.value if before.attempt else None,
                to_phase=self.status.phase.value,
                from_percent=before.percent,
                to_percent=self.percent if to_percent is None else to_percent,
                message=message[:1024],
                readings=tuple(_recorded(gate) for gate in self.status.gates),
            )
        )

    def with_pending(self) -> FeatureRolloutStatus:
        """The status with the records of this decision behind those not appended yet."""
        unwritten = self.snapshot.rollout.status.pending
        records = (unwritten.records if unwritten else ()) + tuple(self.records)
        return self.status.model_copy(update={"pending": Pending(records=records[-MAX_PENDING:]) if records else None})

    def head_for_zero(self, state: State, phase: Phase) -> None:
        """On the way to 0: what belonged to the step is forgotten; `percent` stays until the flag reads back 0."""
        self.set(state=state, phase=phase, raising=None, lapsed_percent=None, lowered_percent=None)
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
