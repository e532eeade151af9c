"""Carries out one action of a decision."""

from dataclasses import replace

from tidegate.act.flag_writes import FlagWrites
from tidegate.clients.errors import NotFound
from tidegate.clients.resources import FEATURE_ROLLOUTS
from tidegate.clients.writer import Writer
from tidegate.domain.decision import FINALIZER, Action, AddFinalizer, RemoveFinalizer
from tidegate.domain.snapshot import Rollout
from tidegate.levers.flag.flag_set import WriteFlag


class Actions:
    """Writes levers and finalizers."""

    def __init__(self, writer: Writer, flags: FlagWrites) -> None:
        self._writer = writer
        self._flags = flags

    async def perform(self, rollout: Rollout, action: Action) -> Rollout:
        """The rollout as it is stored afterwards, for the writes that follow."""
        match action:
            case WriteFlag():
                await self._flags.write(rollout.namespace, action)
            case AddFinalizer():
                return await self._set_finalizers(rollout, (*rollout.finalizers, FINALIZER))
            case RemoveFinalizer():
                rest = tuple(name for name in rollout.finalizers if name != FINALIZER)
                return await self._set_finalizers(rollout, rest)
            case _:
                raise TypeError(f"no lever takes {type(action).__name__}")
        return rollout

    async def _set_finalizers(self, rollout: Rollout, finalizers: tuple[str, ...]) -> Rollout:
        patch, where = {"metadata": {"finalizers": list(finalizers)}}, (rollout.namespace, rollout.name)
        try:
            stored = await self._writer.merge_patch(FEATURE_ROLLOUTS, *where, patch, resource_version=rollout.resource_version)
        except NotFound:
            return rollout
        return replace(rollout, resource_version=str(stored["metadata"]["resourceVersion"]), finalizers=finalizers)
