"""The flag server's HTTP listener: OFREP, health and metrics."""

import logging

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from tidegate.flags.cors import Cors
from tidegate.flags.flag_settings import FlagServerSettings
from tidegate.flags.metrics import Metrics
from tidegate.flags.ofrep import OfrepService
from tidegate.flags.store import FlagSets

log = logging.getLogger("tidegate.flags.http")


def _is_no_clients_fault(record: logging.LogRecord) -> bool:
    """Any client could fill the log by sending what is no HTTP, or by going away in the middle of a request."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | ConnectionError)


log.addFilter(_is_no_clients_fault)


class Health:
    """Answers the kubelet's questions."""

    def __init__(self, sets: FlagSets) -> None:
        self._sets = sets
        self.serving = False
        """Whether both listeners accept calls."""

    async def healthz(self, request: web.Request) -> web.Response:
        """Alive: the event loop turns. A lost API server is no reason for a restart, which would lose the last known flags."""
        return web.Response(text="ok\n")

    async def readyz(self, request: web.Request) -> web.Response:
        """Ready from the first complete listing on, until the drain; 503 says what is missing. A full replica is ready: with all of them
        full nobody would be served, and it is each refusal that sends a client on."""
        if self._sets.closing:
            return web.Response(status=503, text="shutting down\n")
        if not self._sets.synced.is_set():
            return web.Response(status=503, text=f"waiting for {self._sets.waiting_for}\n")
        if not self.serving:
            return web.Response(status=503, text="waiting for the gRPC listener\n")
        return web.Response(text="ok\n")


async def stop_http(runner: web.AppRunner, ofrep: OfrepService, grace_seconds: float) -> None:
    """Accepts no more connections, answers what is in progress, then closes the rest."""
    for site in list(runner.sites):
        await site.stop()
    # The runner's own shutdown reads no more from connections, and so would never answer a request whose body is still on its way.
    await ofrep.drain(grace_seconds)
    await runner.cleanup()


async def start_http(settings: FlagServerSettings, health: Health, ofrep: OfrepService, metrics: Metrics) -> web.AppRunner:
    """Starts to accept HTTP requests.

    Raises:
        OSError: the port can't be listened on.
    """

    async def expose(request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application(client_max_size=settings.max_body_bytes)
    routes = ofrep.routes()
    app.add_routes(routes)
    app.add_routes([web.get("/healthz", health.healthz), web.get("/readyz", health.readyz), web.get("/metrics", expose)])
    Cors(settings.cors_origins).add_to(app, (route.path for route in routes))
    runner = web.AppRunner(app, logger=log, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.http_host, settings.http_port).start()
    except OSError as error:
        await runner.cleanup()
        raise OSError(f"can't listen on {settings.http_host}:{settings.http_port} for HTTP: {error.strerror or error}") from None
    return runner
