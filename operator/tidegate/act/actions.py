"""Carries out one action of a decision."""

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

    async def perform(self, rollout: Rollout, action: Action, version: str) -> str:
        """The rollout's resourceVersion afterwards, for the writes that follow."""
        match action:
            case WriteFlag():
                await self._flags.write(rollout.namespace, action)
            case AddFinalizer():
                return await self._set_finalizers(rollout, (*rollout.finalizers, FINALIZER), version)
            case RemoveFinalizer():
                rest = tuple(name for name in rollout.finalizers if name != FINALIZER)
                return await self._set_finalizers(rollout, rest, version)
            case _:
                raise TypeError(f"no lever takes {type(action).__name__}")
        return version

    async def _set_finalizers(self, rollout: Rollout, finalizers: tuple[str, ...], version: str) -> str:
        patch = {"metadata": {"finalizers": list(finalizers)}}
        try:
            stored = await self._writer.merge_patch(FEATURE_ROLLOUTS, rollout.namespace, rollout.name, patch, resource_version=version)
        except NotFound:
            return version
        return str(stored["metadata"]["resourceVersion"])
