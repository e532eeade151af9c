"""Full lists: once at the start, and from time to time after, since a watch may miss what happens while it is cut off.

Each kind in each namespace is listed by itself, so that one that is refused, or too slow, keeps no other waiting.
"""

import asyncio
import logging
import random
from collections.abc import Sequence

from tidegate.clients.errors import ApiError, NotFound
from tidegate.watch.coverage import Coverage
from tidegate.watch.hearing import Hearing, Seen, Version, identify
from tidegate.watch.kopf_settings import WatchSettings
from tidegate.watch.watched import WATCHED, Lister, Part, Watched

logger = logging.getLogger("tidegate.watch.listing")

_FIRST_RETRY = 0.2
_LONGEST_RETRY = 5.0
# Pages are held in memory, one for each list under way.
_LISTS_AT_ONCE = 4
# A resync shares the queue with what is urgent: 250 keys a second leave room.
_AT_ONCE = 50
_PAUSE = 0.2


class Listing:
    """Lists everything that is watched, in the namespaces of the settings."""

    def __init__(self, settings: WatchSettings, hearing: Hearing, lister: Lister, coverage: Coverage) -> None:
        self._settings = settings
        self._hearing = hearing
        self._lister = lister
        self._coverage = coverage
        self._parts = parts_of(settings)
        self._turns = asyncio.Semaphore(_LISTS_AT_ONCE)
        self._answered = set[Watched]()
        self.served = asyncio.Event()
        """Set when the API server has answered about each kind: that it can be listed somewhere, or may not be."""
        coverage.begin(self._parts)

    async def first(self) -> None:
        """Enqueue everything that exists, each part as soon as it can be listed."""
        async with asyncio.TaskGroup() as group:
            for part in self._parts:
                group.create_task(self._until_listed(part), name=f"first list of {part}")

    async def again_and_again(self) -> None:
        """Resync until cancelled, at random times so that several operators and kinds don't coincide."""
        while True:
            await asyncio.sleep(random.uniform(*self._settings.resync))  # noqa: S311 - no secret depends on it
            refs = list[Seen]()
            for part in self._parts:
                try:
                    refs += await self._list(part)
                except Exception as error:  # noqa: BLE001 - the next resync may do better, and the watch goes on meanwhile
                    logger.warning("%s: the resync failed: %s", part, error)
            logger.info("resync: %d objects", len(refs))
            await self._enqueue_unhurriedly(refs)

    async def _hurried(self, part: Part) -> dict[Seen, Version]:
        """Enqueues those that can't wait, before all are listed; which they were. An API server that can't select them (Kubernetes below
        1.31) costs nothing but their head start."""
        hurried = dict[Seen, Version]()
        if not part.watched.first:
            return hurried
        try:
            async with self._turns:
                async for page in self._lister(*part, part.watched.first):
                    for body in page:
                        if (ref := self._hearing.listed(part.watched, body)) is not None:
                            hurried[ref] = identify(part.watched, body)[1]
                            self._hearing.enqueue(ref)
        except Exception as error:  # noqa: BLE001 - the full list follows, and reports what is wrong
            logger.debug("%s: those in motion can't be listed first: %s", part, error)
        return hurried

    async def _until_listed(self, part: Part) -> None:
        hurried = await self._hurried(part)
        retry = _FIRST_RETRY
        while True:
            try:
                refs = await self._list(part)
            except Exception as error:  # noqa: BLE001 - whatever is wrong, it is reported and tried again
                self._coverage.missing(part, str(error))
                if isinstance(error, ApiError) and error.status is not None and not isinstance(error, NotFound):
                    self._note_answer(part)
            else:
                break
            await asyncio.sleep(retry)
            retry = min(2 * retry, _LONGEST_RETRY)
        known = self._hearing.known(part)
        for ref in refs:
            if hurried.get(ref) != known.get(ref):
                self._hearing.enqueue(ref, is_urgent=False)
        self._coverage.covered(part)
        self._note_answer(part)

    def _note_answer(self, part: Part) -> None:
        self._answered.add(part.watched)
        if self._answered == set(WATCHED):
            self.served.set()

    async def _list(self, part: Part) -> list[Seen]:
        before, listed = self._hearing.known(part), set[Seen]()
        async with self._turns:
            async for page in self._lister(*part, ""):
                listed |= {ref for body in page if (ref := self._hearing.listed(part.watched, body)) is not None}
        self._hearing.forget_missing(before, listed)
        return sorted(listed, key=lambda ref: (ref.namespace, ref.name))

    async def _enqueue_unhurriedly(self, refs: Sequence[Seen]) -> None:
        for start in range(0, len(refs), _AT_ONCE):
            for ref in refs[start : start + _AT_ONCE]:
                self._hearing.enqueue(ref, is_urgent=False)
            await asyncio.sleep(_PAUSE)


def parts_of(settings: WatchSettings) -> list[Part]:
    """Everything that is listed and watched by itself."""
    named = settings.exact_namespaces
    return [Part(watched, place) for watched in WATCHED for place in (named if watched.namespaced and named else ("",))]
