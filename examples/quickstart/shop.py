"""A shop whose search has a new form, behind the flag new-search. It counts searches by status code and by variant.

Its flags come from where FLAGD_* in the environment says. NEW_SEARCH_FAILS there is the share of the new searches that fail, from 0, the
default, to 1.
"""

import os
from random import random

from aiohttp import web
from openfeature import api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.evaluation_context import EvaluationContext
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Counter, generate_latest

FLAG = "new-search"
CODES = (200, 500)


def shop(fails: float, registry: CollectorRegistry = REGISTRY) -> web.Application:
    """GET /search?user=NAME, and GET /metrics. `fails` is the share of the new searches that fail."""
    requests = Counter("http_requests", "Searches, by status code and by variant.", ["code", "variant"], registry=registry)
    for variant in ("on", "off"):
        for code in CODES:
            requests.labels(code, variant)  # begins at 0: what Prometheus sees is a counter's rise

    async def search(request: web.Request) -> web.Response:
        new = api.get_client().get_boolean_value(FLAG, False, EvaluationContext(request.query["user"]))
        code = 500 if new and random() < fails else 200  # noqa: S311 - a simulation
        requests.labels(code, "on" if new else "off").inc()
        return web.Response(status=code, text=f"the {'new' if new else 'old'} search\n")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    application = web.Application()
    application.add_routes([web.get("/search", search), web.get("/metrics", metrics)])
    return application


if __name__ == "__main__":
    api.set_provider(FlagdProvider())  # isn't waited for: the flag comes with the rollout, which waits for the shop's metrics
    web.run_app(shop(float(os.environ.get("NEW_SEARCH_FAILS", "0"))), port=8080, access_log=None)
