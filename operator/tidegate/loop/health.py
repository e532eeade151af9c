"""What the kubelet and Prometheus ask of the process: /healthz, /readyz, /metrics.

/healthz fails when restarting would help: the event loop stood still, or keys wait and no reconcile ends. (While the loop
stands still nobody answers, which fails the probe as well.) /readyz fails while the process can't do its part.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import choose_encoder

logger = logging.getLogger("tidegate.loop.health")

_BEAT = 0.5

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

Check = Callable[[], str | None]
"""What is wrong, in one sentence, or None."""


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """How long the event loop (`stuck_after`) and the queue (`stalled_after`) may stand still, in seconds, and where to ask.

    `host` None is every interface: the kubelet probes from outside the pod. `stalled_after` must exceed the time limit of
    one reconcile, since all workers may be busy with slow ones.
    """

    host: str | None = None
    port: int = 8080
    stuck_after: float = 15.0
    stalled_after: float = 120.0


class Pulse:
    """Measures how late the event loop comes to things. Its beats are what /healthz watches."""

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._beat_at = clock()
        lag = Gauge("tidegate_event_loop_lag_seconds", "How late the event loop's last beat was.", registry=registry)
        self._record_lag: Callable[[float], None] = lag.set

    def still_for(self) -> float:
        """Seconds since the last beat; up to half a second is normal."""
        return self._clock() - self._beat_at

    async def beat(self) -> None:
        """Beat until cancelled."""
        while True:
            await asyncio.sleep(_BEAT)
            self._record_lag(max(0.0, self.still_for() - _BEAT))
            self._beat_at = self._clock()


def loop_check(pulse: Pulse, settings: HealthSettings) -> Check:
    """Is the event loop alive?"""

    def check() -> str | None:
        still = pulse.still_for()
        return f"the event loop has stood still for {still:.0f} s" if still > settings.stuck_after else None

    return check


def queue_check(stalled_for: Callable[[], float], settings: HealthSettings) -> Check:
    """Do reconciles end while keys wait?"""

    def check() -> str | None:
        stalled = stalled_for()
        return f"keys are due, and no reconcile has ended for {stalled:.0f} s" if stalled > settings.stalled_after else None

    return check


@asynccontextmanager
async def serve_health(
    settings: HealthSettings, registry: CollectorRegistry, *, alive: list[Check], ready: list[Check]
) -> AsyncIterator[int]:
    """Serve as long as the `async with` block; yields the port. Raises OSError when the port is taken."""
    app = web.Application()
    app.router.add_get("/healthz", _probe("healthz", alive))
    app.router.add_get("/readyz", _probe("readyz", ready))
    app.router.add_get("/metrics", _metrics(registry))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _probe(name: str, checks: list[Check]) -> _Handler:
    before: list[str] = []

    async def answer(_: web.Request) -> web.Response:
        wrong = [problem for check in checks if (problem := check()) is not None]
        if wrong != before:
            before[:] = wrong
            logger.log(logging.WARNING if wrong else logging.INFO, "%s: %s", name, "; ".join(wrong) or "ok")
        return web.Response(text="\n".join(wrong or ["ok"]) + "\n", status=503 if wrong else 200)

    return answer


def _metrics(registry: CollectorRegistry) -> _Handler:
    async def answer(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        names = request.query.getall("name[]", [])
        # Thousands of objects make hundreds of thousands of lines: more than the event loop may wait for.
        body = await asyncio.to_thread(encode, registry.restricted_registry(names) if names else registry)
        return web.Response(body=body, headers={"Content-Type": content_type})

    return answer
