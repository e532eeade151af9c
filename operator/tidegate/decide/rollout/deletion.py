"""The end of a FeatureRollout: the flag is left or switched off, and only then may the object go."""

from datetime import datetime

from tidegate.api.feature_rollout import DeletionPolicy, FlagTarget
from tidegate.api.rollout_status import State
from tidegate.domain.decision import FINALIZER, Action, Decision, RemoveFinalizer, WriteFlag
from tidegate.domain.snapshot import FlagReading, Marker, Snapshot
from tidegate.levers.flag import Definition, definition_for, same_effect, switched_off
from tidegate.levers.lease import in_force


def decide_deletion(snapshot: Snapshot, now: datetime) -> Decision:
    """Does what spec.deletionPolicy says. In a namespace that is going away nothing can be written, and nothing needs to be."""
    rollout = snapshot.rollout
    if FINALIZER not in rollout.finalizers:
        return Decision(rollout.status, (), None)
    write = _last_write(snapshot, now) if not snapshot.namespace_terminating else None
    actions: tuple[Action, ...] = (RemoveFinalizer(),) if write is None else (write, RemoveFinalizer())
    return Decision(rollout.status, actions, None)


def _last_write(snapshot: Snapshot, now: datetime) -> WriteFlag | None:
    rollout = snapshot.rollout
    spec = rollout.followed_spec()
    if spec is None or not isinstance(snapshot.flag, FlagReading):
        return None
    flag = in_force(snapshot.flag, now)
    if flag.marker is None or flag.marker.uid != rollout.uid:
        return None
    policy = spec.deletion_policy
    if policy is None:
        policy = DeletionPolicy.KEEP if rollout.status.state is State.ENABLED else DeletionPolicy.OFF
    is_kept = policy is DeletionPolicy.KEEP
    definition = _kept(flag, spec.target.flag) if is_kept else switched_off()
    # A raise may be on its way still: under a larger epoch the flag is no longer the one that it was meant for.
    if same_effect(flag.definition, definition) and rollout.status.raising is None:
        return None
    marker = Marker(
        rollout=rollout.full_name,
        uid=rollout.uid,
        state=flag.marker.state if is_kept else State.DISABLED,
        attempt=rollout.status.attempt,
        epoch=0,
        revision=rollout.status.revision,
        rejected=flag.marker.rejected,
    )
    return WriteFlag(
        config_map=spec.target.flag.config_map,
        key=spec.target.flag.key,
        percent=(flag.percent or 0) if is_kept else 0,
        definition=definition,
        marker=marker,
        expected=flag.marker,
        raises=False,
    )


def _kept(flag: FlagReading, target: FlagTarget) -> Definition:
    """As it is, but without a lease: nobody will renew it. What a lease has turned off already stays off."""
    if flag.lease is None:
        return {key: value for key, value in (flag.definition or {}).items() if key != "metadata"}
    return definition_for(target, flag.percent) if flag.percent else switched_off()
