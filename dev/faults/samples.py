"""Applications that say nothing, or lie about when they measured."""

import asyncio
import time
from collections.abc import Sequence

from faults.fault import Fault
from faults.figures import Span
from faults.lanes import STALENESS, Lane
from faults.scene import Scene


class Gone(Fault):
    """The series is no longer exported."""

    blinds = True

    async def begin(self, scene: Scene, lanes: Sequence[Lane]) -> None:
        for lane in lanes:
            lane.measured.is_there = False

    async def end(self, scene: Scene, lanes: Sequence[Lane]) -> float:
        for lane in lanes:
            lane.measured.is_there = True
        return time.time()


class Behind(Fault):
    """Samples carry stamps of some seconds ago. Prometheus takes none that is older than what it has, so that the last honest one grows
    stale first."""

    blinds = True

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def begin(self, scene: Scene, lanes: Sequence[Lane]) -> None:
        for lane in lanes:
            lane.measured.stamped = -self._seconds

    async def end(self, scene: Scene, lanes: Sequence[Lane]) -> float:
        for lane in lanes:
            lane.measured.stamped = None
        return time.time()

    def blind(self, began: float, ended: float) -> tuple[Span, ...]:
        return ((began + STALENESS, ended),) if self._seconds > STALENESS else ()


class Ahead(Fault):
    """For some seconds samples carry stamps that lie ahead. Then they are honest again, and Prometheus drops them as long as they are
    older than what it has: that is the fault's end."""

    blinds = True

    def __init__(self, seconds: float, lasts: float) -> None:
        self._seconds, self._lasts = seconds, lasts

    async def begin(self, scene: Scene, lanes: Sequence[Lane]) -> None:
        for lane in lanes:
            lane.measured.stamped = self._seconds
        self._honest = asyncio.create_task(self._become_honest(lanes))

    async def end(self, scene: Scene, lanes: Sequence[Lane]) -> float:
        await self._honest
        return time.time()

    async def _become_honest(self, lanes: Sequence[Lane]) -> None:
        await asyncio.sleep(self._lasts)
        for lane in lanes:
            lane.measured.stamped = None


class AheadForLong(Ahead):
    """So far ahead that nothing of it is seen while it is looked at."""

    falls = False
