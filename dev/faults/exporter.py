"""The application of each lane, as Prometheus sees it: one series whose value, time stamp and presence a trial controls."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from tidegate_dev.embedded import LOOPBACK

METRIC = "faults_errors"
GOOD, BAD = 0.0, 1.0


@dataclass
class Measured:
    """What the application measures now. `lane` is the label of its series, `stamped` how far ahead of the time its samples are."""

    lane: str
    value: float = GOOD
    stamped: float | None = None
    is_there: bool = True

    def text(self, now: float) -> str:
        """The answer to a scrape."""
        if not self.is_there:
            return ""
        stamp = "" if self.stamped is None else f" {int((now + self.stamped) * 1000)}"
        return f'{METRIC}{{test="{self.lane}"}} {self.value:g}{stamp}\n'


class Exporter:
    """A target per lane: Prometheus scrapes each at a moment of its own."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._ports = ports
        self.lanes: list[Measured] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for number, port in enumerate(self._ports):
                app = web.Application()
                app.router.add_get("/metrics", self._of(number))
                runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
                await runner.setup()
                stack.push_async_callback(runner.cleanup)
                await web.TCPSite(runner, LOOPBACK, port).start()
            yield

    def _of(self, number: int) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def scraped(_: web.Request) -> web.Response:
            text = self.lanes[number].text(time.time()) if number < len(self.lanes) else ""
            return web.Response(text=text, headers={"Content-Type": "text/plain; version=0.0.4"})

        return scraped
