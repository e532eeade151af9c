"""Counters that keep rising under a test, as those of an application under traffic do."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.e2e.support.world import World

BEAT = 0.5


class Flow:
    """`rates` are events per second, by label set; change them at any time."""

    def __init__(self, world: World, metric: str) -> None:
        self._world = world
        self._metric = metric
        self.rates: dict[tuple[tuple[str, str], ...], float] = {}
        self._values: dict[tuple[tuple[str, str], ...], float] = {}

    def at(self, rate: float, **labels: str) -> None:
        """From now on this series rises by so many a second."""
        self.rates[tuple(labels.items())] = rate

    async def beat(self) -> None:
        for labels, rate in self.rates.items():
            self._values[labels] = self._values.get(labels, 0.0) + rate * BEAT
            self._world.stage(self._metric, self._values[labels], **dict(labels))
        await self._world.export()


@contextlib.asynccontextmanager
async def flowing(world: World, metric: str) -> AsyncIterator[Flow]:
    """A metric whose series rise for as long as the block lasts."""
    flow = Flow(world, metric)

    async def run() -> None:
        while True:
            await flow.beat()
            await asyncio.sleep(BEAT)

    task = asyncio.create_task(run())
    try:
        yield flow
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
