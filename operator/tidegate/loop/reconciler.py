"""One key → the handler of its kind. After a conflict the key is reconciled again soon."""

import logging
from collections.abc import Awaitable, Mapping
from typing import Protocol, TypeVar

from tidegate.act.flag_writes import StaleDecisionError
from tidegate.clients.errors import ClientError, Conflict
from tidegate.domain.keys import Key, Kind
from tidegate.loop.queue import FailedReconcileError

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
AFTER_CONFLICT = 0.05
"""Seconds. An external writer came between our read and our write. Read again, but let its events arrive first."""
LONGEST_AFTER_CONFLICT = 1.0
"""Seconds. The wait doubles with each further conflict of a key, up to here: a lowering must not wait for longer."""
AFTER_FAILURE = 5.0
"""Seconds at most, however long a key has been failing: a breach that is due then must not wait for the end of a long back-off."""


class Handler(Protocol):
    """What is done for one kind."""

    async def reconcile(self, key: Key) -> float | None:
        """Seconds until the next reconcile, or None to wait for an event."""
        ...

    def gone(self, key: Key) -> None:
        """The object no longer exists."""
        ...


class Reconciler:
    """Calls the handler of a key's kind."""

    def __init__(self, handlers: Mapping[Kind, Handler]) -> None:
        self._handlers = handlers
        self._conflicts: dict[Key, int] = {}
        self._failed: set[Key] = set()

    def failed(self) -> list[Key]:
        """The keys whose last reconcile failed."""
        return list(self._failed)

    async def __call__(self, key: Key) -> float | None:
        try:
            delay = await self._handlers[key.kind].reconcile(key)
        except (Conflict, StaleDecisionError) as error:
            _log.debug("reading again: %s", error)
            before = self._conflicts.get(key, 0)
            self._conflicts[key] = before + 1
            return min(AFTER_CONFLICT * 2.0 ** min(before, 16), LONGEST_AFTER_CONFLICT)
        except BaseException:
            self._failed.add(key)
            raise
        self._conflicts.pop(key, None)
        self._failed.discard(key)
        return delay

    def gone(self, key: Key) -> None:
        """The object of a key no longer exists."""
        self._conflicts.pop(key, None)
        self._failed.discard(key)
        self._handlers[key.kind].gone(key)


async def observed(reading: Awaitable[_T]) -> _T:
    """What was read; a read that fails is repeated soon."""
    try:
        return await reading
    except ClientError as error:
        raise FailedReconcileError(error, AFTER_FAILURE) from error
