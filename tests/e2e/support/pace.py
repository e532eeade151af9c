"""How slow the machine is while a test measures: upper bounds on times hold for a machine that isn't busy with something else."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tests.e2e.support.world import World

CALLS_PER_STEP = 15
"""Requests to the API server between the end of a dwell and the next step's being in force: decided, recorded, announced, written."""


@dataclass
class Pace:
    """`slowest`: the slowest round trip of a small write, in seconds."""

    slowest: float = 0.0

    @property
    def slack(self) -> float:
        """Seconds by which the machine alone may delay a step."""
        return CALLS_PER_STEP * self.slowest


@contextlib.asynccontextmanager
async def paced(world: World) -> AsyncIterator[Pace]:
    """Measures for as long as the block lasts, by a write every quarter of a second to a ConfigMap that nobody reads."""
    place = {"name": "pace", "namespace": world.namespace}
    await world.api.create("configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": place})
    pace = Pace()

    async def measure() -> None:
        while True:
            begun = time.monotonic()
            await world.api.patch("configmaps", world.namespace, "pace", {"data": {"at": str(begun)}})
            pace.slowest = max(pace.slowest, time.monotonic() - begun)
            await asyncio.sleep(0.25)

    task = asyncio.create_task(measure())
    try:
        yield pace
    finally:
        task.cancel()
