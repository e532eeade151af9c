"""Full lists: once at the start, and from time to time after, since a watch may miss what happens while it is cut off."""

import asyncio
import logging
import random
from collections.abc import Sequence

from tidegate.watch.hearing import Hearing, Ref
from tidegate.watch.settings import WatchSettings
from tidegate.watch.watched import WATCHED, Lister

logger = logging.getLogger("tidegate.watch.listing")

_FIRST_RETRY = 0.2
_LONGEST_RETRY = 5.0
# A resync shares the queue with what is urgent: 250 keys a second leave room.
_AT_ONCE = 50
_PAUSE = 0.2


class Listing:
    """Lists everything that is watched, in the namespaces of the settings."""

    def __init__(self, settings: WatchSettings, hearing: Hearing, lister: Lister) -> None:
        self._settings = settings
        self._hearing = hearing
        self._lister = lister

    async def first(self) -> None:
        """Enqueue everything that exists. Tries until it succeeds: without it nothing is known."""
        retry = _FIRST_RETRY
        while True:
            try:
                for ref in await self._everything():
                    self._hearing.look_at(ref)
                return
            except Exception as error:  # noqa: BLE001 - whatever is wrong out there, the answer is to wait and say so
                logger.warning("the first listing failed, next try in %.1f s: %s", retry, error)
            await asyncio.sleep(retry)
            retry = min(2 * retry, _LONGEST_RETRY)

    async def again_and_again(self) -> None:
        """Resync until cancelled, at random times so that several operators and kinds don't coincide."""
        while True:
            await asyncio.sleep(random.uniform(*self._settings.resync))  # noqa: S311 - no secret depends on it
            try:
                refs = await self._everything()
            except Exception as error:  # noqa: BLE001 - the next resync may do better, and the watch goes on meanwhile
                logger.warning("the resync failed: %s", error)
                continue
            logger.info("resync: %d objects", len(refs))
            await self._look_unhurriedly(refs)

    async def _everything(self) -> list[Ref]:
        refs = []
        for watched in WATCHED:
            before, listed = self._hearing.known(watched), set[Ref]()
            places = self._settings.exact_namespaces if watched.namespaced else ()
            for namespace in places or ("",):
                async for page in self._lister(watched, namespace):
                    listed |= {ref for body in page if (ref := self._hearing.listed(watched, body)) is not None}
            self._hearing.forget_missing(before, listed)
            refs += sorted(listed, key=lambda ref: (ref.namespace, ref.name))
        return refs

    async def _look_unhurriedly(self, refs: Sequence[Ref]) -> None:
        for start in range(0, len(refs), _AT_ONCE):
            for ref in refs[start : start + _AT_ONCE]:
                self._hearing.look_at(ref)
            await asyncio.sleep(_PAUSE)
