"""A queue with reconciles that are written down, in virtual time."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

from prometheus_client import CollectorRegistry

from tests.virtual_time import loop_time
from tidegate.domain.keys import Key, Kind
from tidegate.loop.queue import Queue, QueueSettings
from tidegate.loop.queue_metrics import QueueMetrics


def key(name: object, namespace: str = "shop") -> Key:
    return Key(Kind.FEATURE_ROLLOUT, namespace, str(name))


class Reconciles:
    """Writes each reconcile down; `behave` says what it does, after `gate` was opened."""

    def __init__(self, behave: Callable[[Key], Awaitable[float | None]] | None = None, *, is_open: bool = True) -> None:
        self.behave, self.gate = behave, asyncio.Event()
        if is_open:
            self.gate.set()
        self.started: list[Key] = []
        self.times: list[float] = []
        self.running: Counter[Key] = Counter()
        self.most_at_once: Counter[Key] = Counter()
        self.widest = 0
        self.changed = asyncio.Condition()

    async def __call__(self, reconciled: Key) -> float | None:
        self.started.append(reconciled)
        self.times.append(loop_time())
        self.running[reconciled] += 1
        self.most_at_once[reconciled] = max(self.most_at_once[reconciled], self.running[reconciled])
        self.widest = max(self.widest, self.running.total())
        await self._tell()
        try:
            await self.gate.wait()
            return await self.behave(reconciled) if self.behave else None
        finally:
            self.running[reconciled] -= 1
            await self._tell()

    def gaps(self, of: Key | None = None) -> list[float]:
        """The seconds from each reconcile to the next, of one key or of all."""
        times = [at for at, known in zip(self.times, self.started, strict=True) if of in (None, known)]
        return [later - earlier for earlier, later in pairwise(times)]

    async def until(self, condition: Callable[[], bool], seconds: float = 5.0) -> None:
        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(condition)

    async def done(self, times: int) -> None:
        await self.until(lambda: len(self.started) == times and not self.running.total())

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()


@asynccontextmanager
async def running(reconciles: Reconciles, workers: int = 4, time_limit: float = 5.0) -> AsyncIterator[tuple[Queue, CollectorRegistry]]:
    registry = CollectorRegistry()
    queue = Queue(reconciles, QueueMetrics(registry), QueueSettings(workers, time_limit), clock=loop_time, jitter=lambda: 1.0)
    task = asyncio.create_task(queue.run())
    try:
        yield queue, registry
    finally:
        await queue.drain(1.0)
        await task
