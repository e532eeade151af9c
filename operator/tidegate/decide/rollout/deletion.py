"""The end of a FeatureRollout: the flag is left or switched off, and only then may the object go."""

from datetime import datetime

from tidegate.api.conditions import Reason
from tidegate.api.feature_rollout import DeletionPolicy, FlagTarget
from tidegate.api.rollout_status import State
from tidegate.decide.rollout.conditions import conditions_for
from tidegate.domain.decision import FINALIZER, RETRY, Action, Decision, RemoveFinalizer, WriteFlag
from tidegate.domain.snapshot import FlagReading, Marker, Problem, Rollout, Snapshot
from tidegate.levers.flag import Definition, definition_for, same_effect, switched_off
from tidegate.levers.lease import in_force


def decide_deletion(snapshot: Snapshot, now: datetime) -> Decision:
    """Does what spec.deletionPolicy says. In a namespace that is going away nothing can be written, and nothing needs to be."""
    rollout = snapshot.rollout
    if FINALIZER not in rollout.finalizers:
        return Decision(rollout.status, (), None)
    if snapshot.namespace_terminating:
        return Decision(rollout.status, (RemoveFinalizer(),), None)
    if isinstance(snapshot.flag, Problem) and snapshot.flag.reason is Reason.FLAG_SET_UNREADABLE and _has_to_write(rollout):
        return _waits(rollout, snapshot.flag, now)
    write = _last_write(snapshot, now)
    actions: tuple[Action, ...] = (RemoveFinalizer(),) if write is None else (write, RemoveFinalizer())
    return Decision(rollout.status, actions, None)


def _has_to_write(rollout: Rollout) -> bool:
    """Whether this deletion changes a flag that can be read. Keeping one does where a lease would end it."""
    spec = rollout.followed_spec()
    is_left_alone = _policy(rollout) is DeletionPolicy.KEEP and (spec is None or spec.target.flag.lease_seconds is None)
    return spec is not None and not is_left_alone


def _waits(rollout: Rollout, problem: Problem, now: datetime) -> Decision:
    """What can't be read can't be switched off. The object stays, so that somebody sees it, until the flag set is mended or gone."""
    remedy = "the deletion waits for that: nothing could be undone. Deleting the ConfigMap ends it too"
    told = Problem(problem.reason, f"{problem.message}; {remedy}"[:1024])
    status = rollout.status.model_copy(update={"observed_generation": rollout.generation})
    return Decision(status.model_copy(update={"conditions": conditions_for(status, told, {}, now)}), (), RETRY)


def _policy(rollout: Rollout) -> DeletionPolicy:
    spec = rollout.followed_spec()
    if spec is not None and spec.deletion_policy is not None:
        return spec.deletion_policy
    return DeletionPolicy.KEEP if rollout.status.state is State.ENABLED else DeletionPolicy.OFF


def _last_write(snapshot: Snapshot, now: datetime) -> WriteFlag | None:
    rollout = snapshot.rollout
    spec = rollout.followed_spec()
    if spec is None or not isinstance(snapshot.flag, FlagReading):
        return None
    flag = in_force(snapshot.flag, now)
    own = flag.marker if flag.marker is not None and flag.marker.uid == rollout.uid else None
    if flag.definition is None or (own is None and not rollout.had_flag):
        return None
    is_kept = _policy(rollout) is DeletionPolicy.KEEP
    definition = _kept(flag, spec.target.flag) if is_kept else switched_off()
    # A raise may be on its way still: under a larger epoch the flag is no longer the one that it was meant for.
    if same_effect(flag.definition, definition) and rollout.status.raising is None:
        return None
    marker = Marker(
        rollout=rollout.full_name,
        uid=rollout.uid,
        state=(own.state if own else rollout.status.state) if is_kept else State.DISABLED,
        attempt=rollout.status.attempt,
        epoch=0,
        revision=rollout.status.revision,
        rejected=own.rejected if own else rollout.status.rejected_revision,
    )
    return WriteFlag(
        config_map=spec.target.flag.config_map,
        key=spec.target.flag.key,
        percent=(flag.percent or 0) if is_kept else 0,
        definition=definition,
        marker=marker,
        expected=flag.marker,
        raises=False,
        reclaims=flag.marker is None,
    )


def _kept(flag: FlagReading, target: FlagTarget) -> Definition:
    """As it is, but without a lease: nobody will renew it. What a lease has turned off already stays off."""
    if flag.lease is None:
        return {key: value for key, value in (flag.definition or {}).items() if key != "metadata"}
    return definition_for(target, flag.percent) if flag.percent else switched_off()
