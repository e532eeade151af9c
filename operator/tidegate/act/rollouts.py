"""Carries out the actions of one decision, in order. The first that fails ends it: the next look decides anew."""

from collections.abc import Callable, Iterable

from tidegate.act.flag_sets import FlagSets
from tidegate.clients.errors import NotFound
from tidegate.clients.kubernetes import JsonObject, Kubernetes
from tidegate.clients.resources import FEATURE_ROLLOUTS
from tidegate.domain.decision import FINALIZER, Action, AddFinalizer, RemoveFinalizer, WriteFlag
from tidegate.domain.snapshot import Rollout


class RolloutActions:
    """`written` is told the object after each write to a FeatureRollout."""

    def __init__(
        self, kubernetes: Kubernetes, flag_sets: FlagSets, check_fence: Callable[[], None], written: Callable[[JsonObject], None]
    ) -> None:
        self._kubernetes = kubernetes
        self._flag_sets = flag_sets
        self._check_fence = check_fence
        self._written = written

    async def perform(self, rollout: Rollout, actions: Iterable[Action]) -> str:
        """The rollout's resourceVersion afterwards, for the status write that follows."""
        version = rollout.resource_version
        # a lowering goes first: it waits for nothing, least of all for a finalizer
        for action in sorted(actions, key=_urgency):
            match action:
                case WriteFlag():
                    await self._flag_sets.write(rollout.namespace, action)
                case AddFinalizer():
                    version = await self._set_finalizers(rollout, (*rollout.finalizers, FINALIZER), version)
                case RemoveFinalizer():
                    rest = tuple(name for name in rollout.finalizers if name != FINALIZER)
                    version = await self._set_finalizers(rollout, rest, version)
        return version

    async def _set_finalizers(self, rollout: Rollout, finalizers: tuple[str, ...], version: str) -> str:
        self._check_fence()
        patch: JsonObject = {"metadata": {"finalizers": list(finalizers)}}
        try:
            stored = await self._kubernetes.merge_patch(FEATURE_ROLLOUTS, rollout.namespace, rollout.name, patch, resource_version=version)
        except NotFound:
            return version
        self._written(stored)
        return str(stored["metadata"]["resourceVersion"])


def _urgency(action: Action) -> int:
    if isinstance(action, WriteFlag):
        return 2 if action.raises else 0
    return 1 if isinstance(action, AddFinalizer) else 3
