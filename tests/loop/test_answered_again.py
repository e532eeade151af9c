"""Keys that failed while the API server was away: once it answers again they don't wait for the end of their back-off."""

import asyncio
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from tests.virtual_time import in_virtual_time, loop_time
from tidegate.app import Parts
from tidegate.domain.keys import Key, Kind
from tidegate.loop.queue import Queue, QueueSettings
from tidegate.loop.queue_metrics import QueueMetrics
from tidegate.loop.reconciler import Reconciler

FALLEN, WELL = (Key(Kind.FEATURE_ROLLOUT, "shop", name) for name in ("fallen", "well"))


class Handler:
    """Of a rollout that can't be read while the API server is `away`."""

    def __init__(self) -> None:
        self.away = True
        self.begun: list[tuple[str, float]] = []

    async def reconcile(self, key: Key) -> float | None:
        self.begun.append((key.name, loop_time()))
        if self.away and key == FALLEN:
            raise OSError("away")
        return None

    def gone(self, key: Key) -> None:
        pass

    def times(self, key: Key) -> list[float]:
        return [at for name, at in self.begun if name == key.name]


@in_virtual_time
async def test_what_failed_is_reconciled_within_a_second() -> None:
    handler = Handler()
    reconciler = Reconciler({Kind.FEATURE_ROLLOUT: handler})
    queue = Queue(reconciler, QueueMetrics(CollectorRegistry()), QueueSettings(2), clock=loop_time, jitter=lambda: 1.0)
    nothing = cast(Any, None)
    parts = Parts(queue, reconciler, *[nothing] * 6)
    working = asyncio.create_task(queue.run())
    queue.add(FALLEN)
    queue.add(WELL)
    await asyncio.sleep(12.0)
    assert handler.times(FALLEN) == pytest.approx([loop_time() - 12.0 + at for at in (0.0, 0.2, 0.6, 1.4, 3.0, 6.2, 11.2)])
    handler.away, back = False, loop_time()
    parts.retry()
    await asyncio.sleep(20.0)
    again = handler.times(FALLEN)[7:]
    assert len(again) == 1
    assert again[0] - back <= 1.0, "its back-off has come to five seconds"
    assert len(handler.times(WELL)) == 1, "who has not failed has no part in it"
    parts.retry()
    await asyncio.sleep(20.0)
    assert len(handler.times(FALLEN)) == 8, "nor has who failed once and is well again"
    await queue.drain(1.0)
    await working
