"""Runs the flag server: from the first listing to the last drained call."""

import asyncio
import logging
import signal

import grpc.aio

from tidegate.clients import credentials
from tidegate.flags.changes import FlagSetSource
from tidegate.flags.flag_set_metrics import FlagSetMetrics
from tidegate.flags.flag_settings import FlagServerSettings
from tidegate.flags.http import Health, start_http, stop_http
from tidegate.flags.metrics import Metrics
from tidegate.flags.ofrep import OfrepService
from tidegate.flags.source import KubernetesFlagSetSource
from tidegate.flags.store import FlagSets
from tidegate.flags.sync import SyncService, start_sync
from tidegate.flags.wrong_selectors import WrongSelectors

log = logging.getLogger("tidegate.flags.server")


def run(settings: FlagServerSettings) -> None:
    """Serves the flag sets of a cluster until SIGTERM or SIGINT, then drains.

    A second signal ends the process at once.

    Raises:
        OSError: a port can't be listened on; the message names it.
        tidegate.clients.errors.CredentialsError: there is no way to log in to a cluster; the message has the remedy.
    """
    # The evaluator logs an error for every anonymous user in a percentage; any client could fill the log with that.
    logging.getLogger("openfeature.contrib").setLevel(logging.CRITICAL)
    asyncio.run(_run(settings))


async def _run(settings: FlagServerSettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        log.info("draining", extra={"signal": signal.Signals(number).name})
        stop.set()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(each)

    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, on_signal, each)
    await credentials.load(settings.kubeconfig)  # later, a missing file is waited for; at the start it is a mistake that should be seen
    await serve(settings, KubernetesFlagSetSource(settings.kubeconfig, settings.namespaces), stop)


async def serve(settings: FlagServerSettings, source: FlagSetSource, stop: asyncio.Event) -> None:
    """Serves what the source reports, until `stop` is set.

    Nothing is accepted over gRPC, and `/readyz` is false, until the source has reported every flag set once: a restarted server never shows
    clients less than there is.

    Raises:
        OSError: a port can't be listened on; the message names it.
        Exception: whatever the source raises.
    """
    metrics = Metrics()
    sets = FlagSets(metrics)
    FlagSetMetrics(metrics.registry, sets.live)
    health = Health(sets)
    wrong_selectors = WrongSelectors(sets)
    ofrep = OfrepService(settings, sets, metrics, wrong_selectors)
    http = await start_http(settings, health, ofrep, metrics)
    sync: grpc.aio.Server | None = None
    following = asyncio.create_task(sets.follow(source), name="follow-flag-sets")
    try:
        await _first(following, sets.synced, stop)
        if not stop.is_set():
            sync = await start_sync(settings, SyncService(settings, sets, metrics, wrong_selectors))
            health.serving = True
            log.info("serving", extra={"grpc_port": settings.grpc_port, "http_port": settings.http_port})
            await _first(following, stop)
    finally:
        sets.close()
        stops = [stop_http(http, ofrep, settings.grace_seconds)]
        if sync is not None:
            stops.append(sync.stop(settings.grace_seconds))
        await asyncio.gather(*stops)
        ofrep.close()
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    log.info("drained")


async def _first(following: asyncio.Task[None], *events: asyncio.Event) -> None:
    """Returns when one of the events is set. Raises where the source has ended: it never does so by itself."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait([following, *waits], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    if following.done():
        following.result()
        raise RuntimeError("the source of flag sets ended")
