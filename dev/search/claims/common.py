"""What several claims ask of a reconcile."""

from collections.abc import Callable, Iterator

from search.flags import FlagWrite
from search.memory import standing
from search.reconciling import Operator, Reconcile
from tidegate.api.gates import Gate, OnBreach
from tidegate.api.records import Record
from tidegate.api.rollout_status import FeatureRolloutStatus, GateSource, Phase
from tidegate.domain.snapshot import Policy

Claim = Callable[[Operator, Reconcile], str | None]


def rises(done: Reconcile) -> Iterator[FlagWrite]:
    """Writes after which more clients see the feature than before; what somebody removed and is restored as it was aside."""
    status = done.read
    restored = standing(status) if status.override is None else status.override
    for one in done.writes:
        if one.before.percent is None and one.write.percent == restored:
            continue
        if (one.after.percent or 0) > (one.before.percent or 0):
            yield one


def is_step(done: Reconcile) -> bool:
    """Whether the rise is a decision of the gates, and not the first write of a feature that is live already."""
    raising = done.read.raising
    return raising is None or not raising.adopts


def gates_that_count(done: Reconcile) -> Iterator[tuple[GateSource, Gate]]:
    policy, spec = done.snapshot.policy, done.spec
    if not isinstance(policy, Policy) or spec is None:
        return
    if standing(done.read):
        yield from ((GateSource.ROLLOUT, gate.written_out) for gate in spec.gates)
    yield from ((GateSource.POLICY, guard) for guard in policy.spec.guards if guard.on_breach is not OnBreach.NOTIFY)


def waits_its_turn(done: Reconcile) -> bool:
    """Whether what spec asks for may not begin yet, and the attempt is that of before."""
    spec, before, after = done.spec, done.read, done.decided
    if spec is None or after.attempt != before.attempt or after.next_attempt_at is None:
        return False
    asks = spec.revision != after.revision or spec.retry > (after.retry or 0) or before.phase is Phase.DISABLED
    return spec.enabled and asks and done.now < after.next_attempt_at


def waiting(status: FeatureRolloutStatus) -> tuple[Record, ...]:
    """The records that wait to be appended."""
    return () if status.pending is None else status.pending.records
