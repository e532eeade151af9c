"""Reads that many rollouts share within a moment: one request answers all who ask while it is under way or fresh."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")
_SWEEP_ABOVE = 1024


class Recent(Generic[K, V]):
    """Remembers each read for `ttl` seconds. A failed read is not remembered, but all who waited for it get its error."""

    def __init__(self, read: Callable[[K], Awaitable[V]], ttl: float) -> None:
        self._read = read
        self._ttl = ttl
        self._reads: dict[K, tuple[float, asyncio.Future[V]]] = {}

    async def get(self, key: K) -> V:
        """The value as it was at most `ttl` seconds ago."""
        now = asyncio.get_running_loop().time()
        known = self._reads.get(key)
        if known is not None and now < known[0]:
            return await asyncio.shield(known[1])
        self._sweep(now)
        future = asyncio.ensure_future(self._read(key))
        self._reads[key] = (now + self._ttl, future)
        try:
            return await asyncio.shield(future)
        except BaseException:
            if self._reads.get(key, (0.0, None))[1] is future and (not future.done() or future.cancelled() or future.exception()):
                self.forget(key)
            raise

    def forget(self, key: K) -> None:
        """The next `get` reads anew: something was written, or an event says so."""
        self._reads.pop(key, None)

    def _sweep(self, now: float) -> None:
        if len(self._reads) > _SWEEP_ABOVE:
            self._reads = {key: entry for key, entry in self._reads.items() if now < entry[0]}
