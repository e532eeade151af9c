"""The end of a FeatureRollout: exposure is left or switched off, and only then may the object go."""

from datetime import datetime

from tidegate.api.conditions import Reason
from tidegate.api.feature_rollout import DeletionPolicy
from tidegate.api.rollout_status import State
from tidegate.decide.rollout.summary import conditions_for
from tidegate.domain.decision import FINALIZER, RETRY, Action, Decision, RemoveFinalizer
from tidegate.domain.exposure import Expires, Mark, Write
from tidegate.domain.problems import Problem
from tidegate.domain.snapshot import Rollout, Snapshot
from tidegate.levers.deadman import in_force


def decide_deletion(snapshot: Snapshot, now: datetime) -> Decision:
    """Does what spec.deletionPolicy says. In a namespace that is going away nothing can be written, and nothing needs to be."""
    rollout = snapshot.rollout
    if FINALIZER not in rollout.finalizers:
        return Decision(rollout.status, (), None)
    if snapshot.namespace_terminating:
        return Decision(rollout.status, (RemoveFinalizer(),), None)
    if isinstance(snapshot.reading, Problem) and snapshot.reading.reason is Reason.UNREADABLE and _has_to_write(snapshot):
        return _waits(rollout, snapshot.reading, now)
    if rollout.status.pending is not None:  # its records outlive the object
        return Decision(rollout.status, last_writes(snapshot, now), 0.0)
    actions: tuple[Action, ...] = (*last_writes(snapshot, now), RemoveFinalizer())
    return Decision(rollout.status, actions, None)


def _has_to_write(snapshot: Snapshot) -> bool:
    """Whether this deletion changes what can be read. Keeping does where a lease would end it."""
    lever = snapshot.lever
    has_lease = isinstance(lever, Expires) and lever.lease_seconds is not None
    return lever is not None and (_policy(snapshot.rollout) is DeletionPolicy.OFF or has_lease)


def _waits(rollout: Rollout, problem: Problem, now: datetime) -> Decision:
    """What can't be read can't be switched off. The object stays, so that somebody sees it, until the target is mended or gone."""
    remedy = "the deletion waits for that: nothing could be undone. Deleting that object ends it too"
    said = Problem(problem.reason, f"{problem.message}; {remedy}"[:1024])
    status = rollout.status.model_copy(update={"observed_generation": rollout.generation})
    return Decision(status.model_copy(update={"conditions": conditions_for(status, said, None, now)}), (), RETRY)


def _policy(rollout: Rollout) -> DeletionPolicy:
    spec = rollout.followed_spec()
    if spec is not None and spec.deletion_policy is not None:
        return spec.deletion_policy
    return DeletionPolicy.KEEP if rollout.status.state is State.ENABLED else DeletionPolicy.OFF


def last_writes(snapshot: Snapshot, now: datetime) -> tuple[Write, ...]:
    """What the deletion of the object would still write."""
    rollout, lever = snapshot.rollout, snapshot.lever
    if lever is None or isinstance(snapshot.reading, Problem):
        return ()
    reading, status = in_force(snapshot.reading, now), rollout.status
    own = reading.mark if reading.mark is not None and reading.mark.uid == rollout.uid else None
    if reading.percent is None or (own is None and not rollout.owns):
        return ()
    is_kept = _policy(rollout) is DeletionPolicy.KEEP
    mark = Mark(
        rollout=rollout.full_name,
        uid=rollout.uid,
        attempt=max(status.attempt, 1),
        state=status.state if is_kept else State.DISABLED,
        percent=reading.percent if is_kept else 0,
        revision=status.revision,
        rejected=status.rejected_revision or (own.rejected if own is not None and own.rejected == status.revision else None),
    )
    # A raise may be on its way still: under a larger epoch the target is no longer what it was meant for.
    return lever.last(reading, mark, keep=is_kept, anew=status.raising is not None and status.pending is None, owned=rollout.owns)
