"""Starts the application: OpenFeature's flagd provider in process, synced from the flag server, and traffic on top of it.

Environment: FLAGS_HOST, FLAGS_PORT and FLAGS_SELECTOR say where the flags come from, REQUESTS_PER_SECOND how much traffic there is,
HOST and PORT where it listens.
"""

import os
from random import Random

from aiohttp import web
from openfeature import api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from prometheus_client import CollectorRegistry

from demo.application.measures import Measures
from demo.application.trading import TradingEngine
from demo.application.traffic import Traffic, flags_of
from demo.application.web import serve

PATIENCE_MILLISECONDS = 600_000
"""How long the provider goes on trying to get its first flags: the flag set may be made after the application."""


def main() -> None:
    """Serves until SIGTERM."""
    provider = FlagdProvider(
        resolver_type=ResolverType.IN_PROCESS,
        host=os.environ["FLAGS_HOST"],
        port=int(os.environ["FLAGS_PORT"]),
        selector=os.environ["FLAGS_SELECTOR"],
        deadline_ms=PATIENCE_MILLISECONDS,
        retry_backoff_ms=100,
        retry_backoff_max_ms=500,
    )
    api.set_provider(provider)
    registry, random = CollectorRegistry(), Random()  # noqa: S311 - a simulation
    measures = Measures(registry)
    engine = TradingEngine(measures, random)
    traffic = Traffic(flags_of(api.get_client()), engine, measures, random)
    served = serve(traffic, engine, registry, float(os.environ["REQUESTS_PER_SECOND"]))
    web.run_app(served, host=os.environ["HOST"], port=int(os.environ["PORT"]), access_log=None, print=None)


if __name__ == "__main__":
    main()
