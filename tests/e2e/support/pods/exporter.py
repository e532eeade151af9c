"""A metrics endpoint whose content tests set: PUT /set/<test> with exposition text, DELETE /set/<test>, GET /metrics."""

from aiohttp import web

texts: dict[str, str] = {}


async def put(request: web.Request) -> web.Response:
    texts[request.match_info["test"]] = await request.text()
    return web.Response(text="set\n")


async def delete(request: web.Request) -> web.Response:
    texts.pop(request.match_info["test"], None)
    return web.Response(text="gone\n")


async def metrics(_: web.Request) -> web.Response:
    return web.Response(text="".join(text.rstrip("\n") + "\n" for text in texts.values()))


app = web.Application()
app.add_routes([web.put("/set/{test}", put), web.delete("/set/{test}", delete), web.get("/metrics", metrics)])
web.run_app(app, port=9000, print=None)
