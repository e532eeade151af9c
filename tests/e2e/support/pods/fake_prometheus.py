"""Stands in front of the real Prometheus and, where a test says so, answers as a real one can't be made to.

PUT /mode/<test> with one of the modes below; the policy's URL is http://fake-prometheus:9090/<test>. Every answer is counted per test:
GET /log/<test> gives query, evaluation time and Authorization header of each, one JSON list.
"""

import asyncio
import json
import os
from collections import deque
from collections.abc import AsyncIterator, Mapping

from aiohttp import ClientSession, web

REAL = os.environ["PROMETHEUS"]
modes: dict[str, str] = {}
asked: dict[str, deque[dict[str, object]]] = {}
evaluating: dict[str, asyncio.Semaphore] = {}
SESSION: list[ClientSession] = []
CONCURRENCY = 20
"""What a Prometheus evaluates at once, unless it is told otherwise."""


def vector(*values: str) -> dict[str, object]:
    result = [{"metric": {"series": str(n)}, "value": [0, value]} for n, value in enumerate(values)]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


_SCRIPTED = {  # serialised once: the largest would otherwise keep this pod from answering anybody else
    "nan": vector("NaN"),
    "inf": vector("+Inf"),
    "minus-inf": vector("-Inf"),
    "empty": vector(),
    "500-series": vector(*["0"] * 500),
    "10000-series": vector(*["0"] * 10_000),
    "100000-series": vector(*["0"] * 100_000),
    "string": {"status": "success", "data": {"resultType": "string", "result": [0, "0"]}},
    "error-200": {"status": "error", "errorType": "execution", "error": "boom"},
}
LOGGED = {"authorization": "Authorization", "tenant": "X-Scope-OrgID", "team": "X-Team"}
SCRIPTED = {mode: json.dumps(answer).encode() for mode, answer in _SCRIPTED.items()}


async def query(request: web.Request) -> web.StreamResponse:
    test = request.match_info["test"]
    form = await request.post()
    headers = {name: request.headers.get(header, "") for name, header in LOGGED.items()}
    said = {"query": str(form["query"]), "time": float(str(form["time"]))} | headers
    asked.setdefault(test, deque(maxlen=20_000)).append(said)
    mode = modes.get(test, "pass")
    is_freshness = "timestamp(" in str(form["query"])
    if mode in SCRIPTED and not is_freshness:
        return web.Response(body=SCRIPTED[mode], content_type="application/json")
    if mode == "http-500":
        return web.Response(status=500, text="internal error")
    if mode == "redirect":
        return web.Response(status=302, headers={"Location": f"{REAL}/api/v1/query"})
    if mode == "garbage":
        return web.Response(text="<html>", content_type="application/json")
    if mode == "hang" or (mode == "hang-heavy" and 'weight="heavy"' in str(form["query"])):
        await asyncio.sleep(3600)
    if mode == "slow-heavy":
        return await evaluated(test, form)
    if mode == "slow-drip":
        return await drip(request)
    if mode == "huge":
        return web.Response(text='{"status":"success","data":"' + "x" * 4_000_000 + '"}', content_type="application/json")
    async with ClientSession() as session, session.post(f"{REAL}/api/v1/query", data=form) as response:
        answer = await response.json()
    if mode == "warning":
        answer["warnings"] = ["one of the stores did not answer"]
    return web.json_response(answer)


async def evaluated(test: str, form: Mapping[str, object]) -> web.Response:
    """As a Prometheus whose heavy queries take half a minute: twenty at once, of whichever kind, the others wait for these."""
    async with evaluating.setdefault(test, asyncio.Semaphore(CONCURRENCY)):
        if 'weight="heavy"' in str(form["query"]):
            await asyncio.sleep(30)
        async with SESSION[0].post(f"{REAL}/api/v1/query", data=form) as response:
            return web.json_response(await response.json(), status=response.status)


async def series(request: web.Request) -> web.Response:
    """Which series exist is never what a test lies about."""
    async with ClientSession() as session, session.post(f"{REAL}/api/v1/series", data=await request.post()) as response:
        return web.json_response(await response.json(), status=response.status)


async def drip(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for char in '{"status":"success"' + " " * 1000:
        await response.write(char.encode())
        await asyncio.sleep(0.2)
    return response


async def set_mode(request: web.Request) -> web.Response:
    modes[request.match_info["test"]] = await request.text()
    return web.Response(text="set\n")


async def log(request: web.Request) -> web.Response:
    return web.Response(text=json.dumps(list(asked.get(request.match_info["test"], ()))))


async def forget(request: web.Request) -> web.Response:
    modes.pop(request.match_info["test"], None)
    asked.pop(request.match_info["test"], None)
    return web.Response(text="gone\n")


async def connected(_: web.Application) -> AsyncIterator[None]:
    async with ClientSession() as session:
        SESSION.append(session)
        yield


app = web.Application()
app.cleanup_ctx.append(connected)
app.add_routes([web.post("/{test}/api/v1/query", query), web.post("/{test}/api/v1/series", series)])
app.add_routes([web.put("/mode/{test}", set_mode), web.get("/log/{test}", log), web.delete("/log/{test}", forget)])
web.run_app(app, port=9090, print=None, handler_cancellation=True)  # as Prometheus: who hangs up ends its query
