"""A flag set that was deleted or emptied is made anew whole: with the flags of all of its rollouts, whichever of them is there first."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import datetime

from tidegate.clients.errors import ClientError
from tidegate.decide.rollout.restoring import restored
from tidegate.domain.snapshot import Rollout
from tidegate.levers.choosing import lever_for
from tidegate.levers.flag.flag_set import WriteFlag
from tidegate.observe.flags import Flags

_log = logging.getLogger(__name__)
PATIENCE = 1.0
"""Seconds. What is there first waits for no longer: the others follow one by one then."""


class LostFlags:
    """Knows the rollouts of a flag set by their status."""

    def __init__(self, flags: Flags, clock: Callable[[], datetime]) -> None:
        self._flags = flags
        self._clock = clock

    def stored(self, namespace: str, config_map: str, own: Iterable[str], put_back: Iterable[str]) -> None:
        self._flags.stored(namespace, config_map, own, put_back)

    async def flags(self, namespace: str, config_map: str) -> list[WriteFlag]:
        """One write for each flag that is a rollout's; that of the older one where two have it."""
        try:
            async with asyncio.timeout(PATIENCE):
                rollouts = await self._flags.owners(namespace, config_map)
        except (TimeoutError, ClientError) as error:
            _log.warning("flag set %s/%s is not made anew in one write: %s", namespace, config_map, error or f"no answer in {PATIENCE:g} s")
            return []
        found: dict[str, WriteFlag] = {}
        for rollout in rollouts:
            for write in self._writes(rollout):
                found.setdefault(write.key, write)
        return list(found.values())

    def _writes(self, rollout: Rollout) -> list[WriteFlag]:
        spec = rollout.followed_spec()
        try:
            writes = () if spec is None else restored(rollout, lever_for(spec.target), self._clock())
        except Exception:  # noqa: BLE001 - one that nobody foresaw keeps no other's flag away
            _log.exception("what FeatureRollout %s had can't be told", rollout.full_name)
            return []
        return [write for write in writes if isinstance(write, WriteFlag)]
