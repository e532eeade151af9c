"""What several claims ask of a reconcile."""

from collections.abc import Callable, Iterator

from search.flags import FlagWrite
from search.looking import Look, Operator
from search.memory import standing
from tidegate.api.gates import Gate, OnBreach
from tidegate.api.records import Record
from tidegate.api.rollout_status import FeatureRolloutStatus, GateSource
from tidegate.domain.snapshot import Policy

Claim = Callable[[Operator, Look], str | None]


def rises(look: Look) -> Iterator[FlagWrite]:
    """Writes after which more clients see the feature than before; what somebody removed and is restored as it was aside."""
    status = look.snapshot.rollout.status
    restored = standing(status) if status.override is None else status.override
    for one in look.writes:
        if one.before.percent is None and one.write.percent == restored:
            continue
        if (one.after.percent or 0) > (one.before.percent or 0):
            yield one


def is_step(look: Look) -> bool:
    """Whether the rise is a decision of the gates, and not the first write of a feature that is live already."""
    raising = look.snapshot.rollout.status.raising
    return raising is None or not raising.adopts


def gates_that_count(look: Look) -> Iterator[tuple[GateSource, Gate]]:
    policy, spec = look.snapshot.policy, look.snapshot.rollout.followed_spec()
    if not isinstance(policy, Policy) or spec is None:
        return
    if standing(look.snapshot.rollout.status):
        yield from ((GateSource.ROLLOUT, gate.written_out) for gate in spec.gates)
    yield from ((GateSource.POLICY, guard) for guard in policy.spec.guards if guard.on_breach is not OnBreach.NOTIFY)


def waiting(status: FeatureRolloutStatus) -> tuple[Record, ...]:
    """The records that wait to be appended."""
    return () if status.pending is None else status.pending.records
