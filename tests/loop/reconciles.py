"""A queue with looks that are written down, in virtual time."""

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


def key(name: object) -> Key:
    return Key(Kind.FEATURE_ROLLOUT, "shop", str(name))


class Looks:
    """Records each look; `behave` says what a look does."""

    def __init__(self, behave: Callable[[Key], Awaitable[float | None]] | None = None) -> None:
        self.behave = behave
        self.started: list[Key] = []
        self.times: list[float] = []
        self.running: Counter[Key] = Counter()
        self.most_at_once: Counter[Key] = Counter()
        self.widest = 0
        self.changed = asyncio.Condition()

    async def __call__(self, looked_at: Key) -> float | None:
        self.started.append(looked_at)
        self.times.append(loop_time())
        self.running[looked_at] += 1
        self.most_at_once[looked_at] = max(self.most_at_once[looked_at], self.running[looked_at])
        self.widest = max(self.widest, self.running.total())
        await self._tell()
        try:
            return await self.behave(looked_at) if self.behave else None
        finally:
            self.running[looked_at] -= 1
            await self._tell()

    def gaps(self, of: Key | None = None) -> list[float]:
        """The seconds from each look to the next, of one key or of all."""
        times = [at for at, looked in zip(self.times, self.started, strict=True) if of in (None, looked)]
        return [later - earlier for earlier, later in pairwise(times)]

    async def until(self, condition: Callable[[], bool], seconds: float = 5.0) -> None:
        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(condition)

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()


@asynccontextmanager
async def running(looks: Looks, workers: int = 4, time_limit: float = 5.0) -> AsyncIterator[tuple[Queue, CollectorRegistry]]:
    registry = CollectorRegistry()
    queue = Queue(looks, QueueMetrics(registry), QueueSettings(workers, time_limit), clock=loop_time, jitter=lambda: 1.0)
    task = asyncio.create_task(queue.run())
    try:
        yield queue, registry
    finally:
        await queue.drain(1.0)
        await task
