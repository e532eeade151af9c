"""The application's HTTP side: metrics, health, and the switch that makes a feature bad."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from demo.application.trading import FEATURES, TradingEngine
from demo.application.traffic import Traffic


def serve(traffic: Traffic, engine: TradingEngine, registry: CollectorRegistry, per_second: float) -> web.Application:
    """The application; its traffic runs as long as it is served.

    GET /metrics · GET /healthz (500 once the traffic has ended) · POST /bad?feature=NAME (from now on NAME trades badly where it is on)
    """
    running: list[asyncio.Task[None]] = []

    async def traffic_runs(_: web.Application) -> AsyncIterator[None]:
        running.append(asyncio.create_task(traffic.run(per_second)))
        yield
        running[0].cancel()
        with suppress(asyncio.CancelledError):
            await running[0]

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthz(_: web.Request) -> web.Response:
        if running and not running[0].done():
            return web.Response(text="ok")
        return web.Response(status=500, text="the traffic has ended")

    async def bad(request: web.Request) -> web.Response:
        feature = request.query.get("feature", "")
        if feature not in FEATURES:
            return web.Response(status=404, text=f"feature {feature!r} is not known: name one of {', '.join(FEATURES)}")
        engine.bad = engine.bad | {feature}
        return web.json_response({"bad": sorted(engine.bad)})

    application = web.Application()
    application.add_routes([web.get("/metrics", metrics), web.get("/healthz", healthz), web.post("/bad", bad)])
    application.cleanup_ctx.append(traffic_runs)
    return application
