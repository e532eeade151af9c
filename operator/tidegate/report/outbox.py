"""Events on their way to the API server, apart from the reconciles that they report: a rollback doesn't wait for them."""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge

from tidegate.clients.errors import AlreadyExists, Forbidden, Invalid, NotFound, Refused, TooManyRequests
from tidegate.clients.resources import EVENTS, JsonObject
from tidegate.clients.writer import Writer
from tidegate.domain.keys import Key
from tidegate.logs import logging_for

_log = logging.getLogger(__name__)
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
_DROPPED = ("refused", "late", "full", "stopped")
_FOR_GOOD = (Forbidden, Refused, Invalid, NotFound)
"""Refusals that another try would meet again."""


@dataclass(frozen=True, slots=True)
class OutboxSettings:
    """At most `capacity` Events wait, none of them for more than `patience` seconds; `posters` are under way at a time."""

    capacity: int = 10_000
    patience: float = 600.0
    posters: int = 8


class _Letter(NamedTuple):
    body: JsonObject
    since: float


class Outbox:
    """Posts the Events of one rollout in their order, and those of different rollouts side by side. What can't be posted is counted."""

    def __init__(
        self,
        writer: Writer,
        registry: CollectorRegistry,
        settings: OutboxSettings | None = None,
    ) -> None:
        self._writer = writer
        self._settings = settings or OutboxSettings()
        self._lines: dict[Key, deque[_Letter]] = {}
        self._ready: asyncio.Queue[Key] = asyncio.Queue()
        self._waiting = 0
        self._empty = asyncio.Event()
        self._empty.set()
        self._pause = 0.0
        self._not_before = 0.0
        self._dropped = Counter("tidegate_events_dropped", "Events that were not posted, by reason.", ["reason"], registry=registry)
        for reason in _DROPPED:
            self._dropped.labels(reason)
        Gauge("tidegate_events_waiting", "Events that are still to be posted.", registry=registry).set_function(lambda: self._waiting)

    def put(self, about: Key, bodies: Iterable[JsonObject]) -> None:
        """Returns at once. Beyond `capacity` an Event is dropped."""
        now = asyncio.get_running_loop().time()
        for body in bodies:
            if self._waiting >= self._settings.capacity:
                self._drop(about, body, "full", f"{self._waiting} others are waiting")
                continue
            line = self._lines.get(about)
            if line is None:
                line = self._lines[about] = deque()
                self._ready.put_nowait(about)
            line.append(_Letter(body, now))
            self._waiting += 1
            self._empty.clear()

    async def run(self) -> None:
        """Post until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._settings.posters):
                group.create_task(self._post_on(), name=f"events {number}")

    async def drain(self, grace: float) -> None:
        """Wait until everything is posted, for at most `grace` seconds. What is left then counts as dropped."""
        try:
            async with asyncio.timeout(grace):
                await self._empty.wait()
        except TimeoutError:
            _log.warning("%d Events were not posted before the end", self._waiting)
            self._dropped.labels("stopped").inc(self._waiting)

    async def _post_on(self) -> None:
        while True:
            about = await self._ready.get()
            with logging_for(about):
                line = self._lines[about]
                if await self._is_settled(about, line[0]):
                    line.popleft()
                    self._waiting -= 1
            if line:
                self._ready.put_nowait(about)
            else:
                del self._lines[about]
            if not self._waiting:
                self._empty.set()

    async def _is_settled(self, about: Key, letter: _Letter) -> bool:
        """Whether an Event is posted, or given up."""
        await asyncio.sleep(max(0.0, self._not_before - asyncio.get_running_loop().time()))
        try:
            await self._writer.create(EVENTS, letter.body)
        except AlreadyExists:
            pass
        except Exception as error:  # noqa: BLE001 - no Event is worth the end of all others
            reason = self._given_up(error, letter)
            if reason is None:
                self._hold_back(error)
                return False
            self._drop(about, letter.body, reason, error)
        else:
            self._pause = 0.0
        return True

    def _given_up(self, error: Exception, letter: _Letter) -> str | None:
        if isinstance(error, _FOR_GOOD):
            return "refused"
        age = asyncio.get_running_loop().time() - letter.since
        return "late" if age > self._settings.patience else None

    def _hold_back(self, error: Exception) -> None:
        """While the API server takes no Events, none is tried for a while: it has more important things to do."""
        now = asyncio.get_running_loop().time()
        if now < self._not_before:
            return
        self._pause = min(max(2 * self._pause, _FIRST_PAUSE), _LONGEST_PAUSE)
        self._not_before = now + max(self._pause, error.retry_after if isinstance(error, TooManyRequests) else 0.0)
        _log.debug("Events wait for %.1f s: %s", self._not_before - now, error)

    def _drop(self, about: Key, body: JsonObject, reason: str, why: object) -> None:
        self._dropped.labels(reason).inc()
        _log.warning("no Event %s for %s (%s): %s", body["reason"], about, reason, why)
