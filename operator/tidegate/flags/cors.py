"""Which pages may read OFREP: browsers ask before they let the page of another origin send a request or read its answer."""

import re
from collections.abc import Iterable

from aiohttp import hdrs, web

_OFREP = "/ofrep/v1/"
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(?::([1-9][0-9]{0,4}))?")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_SENT = "Content-Type, If-None-Match, Flagd-Selector, Authorization"
"""What a page may send: what OFREP reads, and what whoever stands in front of it asks for."""
_READ = "ETag, Retry-After"
_REMEMBERED_SECONDS = "7200"
"""How long a browser may remember that it may ask. Whether a page may read an answer is said by each answer."""


def check_origin(origin: str) -> None:
    """Raises ValueError where no browser sends this as the origin of a page."""
    match = _ORIGIN.fullmatch(origin)
    port = int(match[2]) if match is not None and match[2] else None
    if match is None or (port is not None and (port > 65535 or port == _DEFAULT_PORTS.get(match[1]))):
        raise ValueError(
            f"cors origin {origin!r} is not an origin as browsers send it: give a scheme, a host in lower case and a port that isn't the "
            "scheme's own, such as https://shop.example or http://localhost:3000. A wildcard would let every page in"
        )


class Cors:
    """Grants pages of these origins OFREP, and nothing else of the server. Never with credentials: the server asks for none."""

    def __init__(self, origins: tuple[str, ...]) -> None:
        self._origins = frozenset(origins)

    def add_to(self, app: web.Application, paths: Iterable[str]) -> None:
        """Answers browsers that ask about these routes of OFREP; without origins nothing is added."""
        if self._origins:
            app.add_routes([web.options(path, self._preflight) for path in paths])
            app.on_response_prepare.append(self._grant)

    async def _preflight(self, request: web.Request) -> web.Response:
        return web.Response(status=204)

    async def _grant(self, request: web.Request, response: web.StreamResponse) -> None:
        if _OFREP not in request.path:
            return
        response.headers[hdrs.VARY] = hdrs.ORIGIN  # else a cache would give the page of one origin what another one got
        origin = request.headers.get(hdrs.ORIGIN)
        if origin not in self._origins:
            return
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        if request.method == hdrs.METH_OPTIONS:
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = hdrs.METH_POST
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = _SENT
            response.headers[hdrs.ACCESS_CONTROL_MAX_AGE] = _REMEMBERED_SECONDS
        else:
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _READ
