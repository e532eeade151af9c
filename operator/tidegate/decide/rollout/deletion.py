"""The end of a FeatureRollout: the flag is left or switched off, and only then may the object go."""

from tidegate.api.feature_rollout import DeletionPolicy
from tidegate.api.rollout_status import State
from tidegate.domain.decision import FINALIZER, Action, Decision, RemoveFinalizer, WriteFlag
from tidegate.domain.snapshot import FlagReading, Marker, Snapshot
from tidegate.levers.flag import same_effect, switched_off


def decide_deletion(snapshot: Snapshot) -> Decision:
    """Does what spec.deletionPolicy says. In a namespace that is going away nothing can be written, and nothing needs to be."""
    rollout = snapshot.rollout
    if FINALIZER not in rollout.finalizers:
        return Decision(rollout.status, (), None)
    write = _switch_off(snapshot) if not snapshot.namespace_terminating else None
    actions: tuple[Action, ...] = (RemoveFinalizer(),) if write is None else (write, RemoveFinalizer())
    return Decision(rollout.status, actions, None)


def _switch_off(snapshot: Snapshot) -> WriteFlag | None:
    rollout, flag = snapshot.rollout, snapshot.flag
    spec = rollout.followed_spec()
    if spec is None or not isinstance(flag, FlagReading) or flag.marker is None or flag.marker.uid != rollout.uid:
        return None
    policy = spec.deletion_policy
    if policy is None:
        policy = DeletionPolicy.KEEP if rollout.status.state is State.ENABLED else DeletionPolicy.OFF
    if policy is DeletionPolicy.KEEP or same_effect(flag.definition, switched_off()):
        return None
    marker = Marker(
        rollout=rollout.full_name,
        uid=rollout.uid,
        state=State.DISABLED,
        attempt=rollout.status.attempt,
        epoch=0,
        revision=rollout.status.revision,
        rejected=flag.marker.rejected,
    )
    return WriteFlag(
        config_map=spec.target.flag.config_map,
        key=spec.target.flag.key,
        percent=0,
        definition=switched_off(),
        marker=marker,
        expected=flag.marker,
        raises=False,
    )
