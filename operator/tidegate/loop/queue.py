"""The keyed queue: what wakes up is a key, and no key is reconciled twice at once.

add ──► timetable (due later) ──┐
 │                              ▼
 └──────────────────────► ready, round the namespaces (domain/shares.py) ──► reconcile(key)
                                ▲                                                │
                                └── seconds until the next reconcile ◄───────────┤
                                └── back-off ◄── exception, time limit ──────────┘
"""

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple

from tidegate.domain.keys import Key
from tidegate.domain.shares import Bounds, Shares, Turn
from tidegate.logs import logging_for
from tidegate.loop.backoff import Backoff
from tidegate.loop.queue_metrics import QueueMetrics
from tidegate.loop.timetable import Timetable

logger = logging.getLogger("tidegate.loop.queue")

_YIELDS_FOR = 60.0
"""Seconds that a key which is not urgent lets urgent ones of its namespace pass. Longer than a start takes, and an end to its waiting
where a namespace always has more that is due than is served."""
_RETRIES_A_SECOND = 200
"""At most, of all keys that fail: an API server that is coming back must not be knocked down again."""

Reconcile = Callable[[Key], Awaitable[float | None]]
"""Reconciles one object. Returns the seconds until the next reconcile, or None to wait for an event."""


class FailedReconcileError(Exception):
    """Raised by a reconcile that failed and must be repeated within so many seconds, however long its key has been failing. Where very
    many others fail as well, it waits longer."""

    def __init__(self, cause: Exception, repeat_within: float) -> None:
        super().__init__(str(cause))
        self.repeat_within = repeat_within


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """`workers`: how many reconciles run side by side. One that takes longer than `lasting_after` seconds, as with slow queries, is not
    counted among these any more: it goes at the cost of its namespace, of which `share` are under way at most. `time_limit`: seconds after
    which a reconcile is cancelled and counts as failed."""

    workers: int = 16
    time_limit: float = 60.0
    share: int = 64
    lasting: int = 2048
    lasting_after: float = 0.5


class _Ready(NamedTuple):
    """A key that is due, since when, and whether it lets none of its namespace pass that became due later."""

    due: float
    is_urgent: bool
    turn: Turn[Key]


class Queue:
    """Each key waits at most once, at the earliest time asked for. A key that is added during its reconcile is reconciled again.

    Ready keys are taken round their namespaces, and in a namespace those first that have been due for longest; one that is not urgent lets
    urgent ones pass for a while. A key that fails or hangs costs the others nothing.
    """

    def __init__(
        self,
        reconcile: Reconcile,
        metrics: QueueMetrics,
        settings: QueueSettings | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._reconcile = reconcile
        self._metrics = metrics
        self._settings = settings or QueueSettings()
        self._clock = clock
        self._backoff = Backoff(jitter)
        self._timetable = Timetable()
        workers, lasting = self._settings.workers, self._settings.lasting
        self._shares = Shares[Key](Bounds(workers, self._settings.share, lasting, in_all=workers + lasting))
        self._ready: dict[Key, _Ready] = {}
        self._running: dict[Key, asyncio.Task[None]] = {}
        self._again: dict[Key, float] = {}
        self._earlier = asyncio.Event()
        self._drained = asyncio.Event()
        self._draining = False
        self._group: asyncio.TaskGroup | None = None
        self._progress = clock()
        metrics.observe(lambda: len(self._ready), lambda: len(self._timetable), lambda: len(self._running), self._backoff.failing)

    def add(self, key: Key, delay: float = 0.0, *, is_urgent: bool = True) -> None:
        """Reconcile `key` in `delay` seconds at the latest. A key that has just failed waits for up to a second. What is one of very many,
        as at the start, is not urgent."""
        now = self._clock()
        due = max(now + delay, self._backoff.not_before(key))
        if self._draining:
            return
        if key in self._ready:
            self._move_up(key, now, is_urgent)
        elif key in self._running:
            self._again[key] = min(due, self._again.get(key, due))
        elif due <= now:
            self._make_ready(key, now, is_urgent)
        elif self._timetable.add(key, due):
            self._earlier.set()

    async def run(self) -> None:
        """Work until `drain` or cancellation. Raises what broke the queue itself; what breaks a reconcile never does."""
        async with asyncio.TaskGroup() as self._group:
            timer = self._group.create_task(self._watch_the_clock(), name="queue timer")
            self._start_ready()
            await self._drained.wait()
            timer.cancel()

    async def drain(self, grace: float) -> None:
        """Take no more keys. Let the reconciles in progress end within `grace` seconds, then cancel them."""
        self._draining = True
        if self._running:
            _, late = await asyncio.wait(self._running.values(), timeout=grace)
            for reconcile in late:
                reconcile.cancel()
            if late:
                logger.warning("%d reconciles were cut short after %g s of grace", len(late), grace)
                await asyncio.wait(late)
        self._drained.set()

    def stalled_for(self) -> float:
        """Seconds since any reconcile ended while a key was due and waiting; 0 when nothing waits."""
        if not self._ready:
            return 0.0
        longest = next(iter(self._ready.values()))
        return max(0.0, self._clock() - max(self._progress, longest.due))

    def _make_ready(self, key: Key, due: float, is_urgent: bool) -> None:
        ready = self._ready[key] = _Ready(due, is_urgent, Turn(key))
        self._shares.wait(ready.turn, key.namespace, (due + (0.0 if is_urgent else _YIELDS_FOR),))
        self._start_ready()

    def _move_up(self, key: Key, due: float, is_urgent: bool) -> None:
        ready = self._ready[key]
        if is_urgent and not ready.is_urgent:
            self._ready[key] = ready._replace(is_urgent=True)
            self._shares.wait(ready.turn, key.namespace, (due,))

    def _start_ready(self) -> None:
        while self._group is not None and not self._draining and (turn := self._shares.take()) is not None:
            key, due = turn.item, self._ready.pop(turn.item).due
            self._timetable.discard(key)
            self._metrics.wait.observe(max(0.0, self._clock() - due))
            self._running[key] = self._group.create_task(self._work(turn), name=f"reconcile of {key}")

    async def _watch_the_clock(self) -> None:
        while True:
            for key, due in self._timetable.pop_due(self._clock()):
                if key in self._ready:
                    self._move_up(key, due, True)
                else:
                    self._make_ready(key, due, True)
            self._earlier.clear()
            next_due = self._timetable.next_due()
            try:
                async with asyncio.timeout(None if next_due is None else max(0.0, next_due - self._clock())):
                    await self._earlier.wait()
            except TimeoutError:
                pass

    async def _work(self, turn: Turn[Key]) -> None:
        key = turn.item
        lasting = asyncio.get_running_loop().call_later(self._settings.lasting_after, self._lasts, turn)
        try:
            delay = await self._reconcile_one(key)
        finally:
            lasting.cancel()
            self._shares.ended(turn)
            del self._running[key]
        self._progress = self._clock()
        self._schedule_next(key, delay)
        self._start_ready()

    def _lasts(self, turn: Turn[Key]) -> None:
        self._shares.lasts(turn)
        self._start_ready()

    async def _reconcile_one(self, key: Key) -> float | None:
        started = self._clock()
        result = "ok"
        with logging_for(key):
            try:
                async with asyncio.timeout(self._settings.time_limit) as limit:
                    delay = await self._reconcile(key)
                if delay is not None and not math.isfinite(delay):
                    raise ValueError(f"the reconcile asked to be repeated in {delay} seconds")
                self._backoff.succeeded(key)
            except (Exception, asyncio.CancelledError) as error:
                if _is_cancelled_from_outside(error):
                    raise
                result = "timeout" if isinstance(error, TimeoutError) and limit.expired() else "error"
                delay = self._backoff.failed(key, self._clock())
                if isinstance(error, FailedReconcileError):
                    delay = min(delay, max(error.repeat_within, self._backoff.failing() / _RETRIES_A_SECOND))
                what = f"took longer than {self._settings.time_limit:g} s" if result == "timeout" else f"failed: {error!r}"
                logger.exception("the reconcile %s; next one in %.1f s", what, delay)
        self._metrics.reconciles.labels(key.kind.value, result).inc()
        self._metrics.seconds.labels(key.kind.value).observe(self._clock() - started)
        return delay

    def _schedule_next(self, key: Key, delay: float | None) -> None:
        asked_meanwhile = self._again.pop(key, None)
        if delay is not None:
            self.add(key, delay)
        if asked_meanwhile is not None:
            self.add(key, asked_meanwhile - self._clock())


def _is_cancelled_from_outside(error: BaseException) -> bool:
    # A reconcile may also end with the cancellation of something that it waited for: that is its failure, not our end.
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
