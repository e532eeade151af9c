"""From standing by to the end of a leader: how it begins, and in which order it stops: its work, the Lease, the rest."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tidegate.loop.election import Leadership

_log = logging.getLogger(__name__)


async def elected(leadership: Leadership, stop: asyncio.Event, answered_again: Callable[[], None]) -> bool:
    """Waits for the Lease; False where the process was asked to stop first."""
    acquiring = asyncio.create_task(leadership.acquire(answered_again), name="election")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait([acquiring, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if acquiring.done():
        acquiring.result()
        return True
    acquiring.cancel()
    await asyncio.wait([acquiring])
    await leadership.release()
    return False


async def lead(
    leadership: Leadership,
    stop: asyncio.Event,
    works: Mapping[asyncio.Task[None], str],
    drain: Callable[[float], Awaitable[None]],
    grace: float,
) -> int:
    """Leads until `stop` is set (0), or until it must not go on (1).

    `works`: what has to run meanwhile, and what is said where it ends. When `drain` returns, within the grace that it gets,
    nothing writes any more: only then may another begin.
    """
    ends: dict[asyncio.Task[Any], str] = {
        asyncio.create_task(stop.wait(), name="stop"): "asked to stop",
        asyncio.create_task(leadership.lost.wait(), name="lost"): "lost the Lease",
        **works,
    }
    done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    why = ends[next(iter(done))]
    _log.log(logging.INFO if stop.is_set() else logging.ERROR, "draining: %s", why)
    await drain(0.0 if leadership.lost.is_set() else grace)
    await leadership.release()
    for task in ends:
        task.cancel()
    for result in await asyncio.gather(*ends, return_exceptions=True):
        if isinstance(result, Exception):
            _log.error("%s: %s", why, result)
    return 0 if stop.is_set() else 1
