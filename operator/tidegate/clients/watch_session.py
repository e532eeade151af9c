"""The session that the watcher asks the API server with: metadata only, pages of bounded size, and no refusal is the end of it.

The watching framework reads whole pages of whole objects, and ends where a list or a watch is refused for half a minute. Whoever may create
large objects, or takes a right away in one namespace, would end the watch of all others.
"""

import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from tidegate.clients import credentials
from tidegate.clients.bounded import PageSize, TooLargeError, read_at_most
from tidegate.clients.kubernetes import FIELD_MANAGER, METADATA_OF_LIST, PAGE_LIMIT, PAGE_SIZE
from tidegate.clients.refusals import refusal

METADATA_OF_WATCH = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
_COLLECTION = re.compile(r"/(?:api/v1|apis/[^/]+/v[^/]+)(?:/namespaces/([^/]+))?/([^/]+)$")
_OF_LISTS, _OF_WATCHES = (401, 429), (401, 429, 410)
"""What the watcher itself knows to answer: it logs in anew, is patient, and ends, so that the process begins anew."""

Answered = Callable[[str, str, str | None], None]
"""Gets plural and namespace ("" for all) of each list and watch that was answered, and why it was refused, or None."""


@dataclass(frozen=True, slots=True)
class WatchSession:
    """To be closed by whoever got it."""

    server: str
    session: aiohttp.ClientSession


class RefusedWatchError(aiohttp.ClientConnectionError):
    """A list or watch that was refused, as a failure that the watcher lives with: it asks again, after some seconds."""


async def watch_session(kubeconfig: str | None, answered: Answered) -> WatchSession:
    """With credentials as `clients.credentials.load` finds them, read afresh. Belongs to the event loop that it was made in."""
    found = await credentials.connection(kubeconfig)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=_trust(found)),
        headers={"User-Agent": FIELD_MANAGER} | ({"Authorization": found.authorization} if found.authorization else {}),
        middlewares=[_Shaping(answered)],
        response_class=_BoundedResponse,
        proxy=found.proxy,
        trust_env=False,
    )
    return WatchSession(found.server, session)


def _trust(found: credentials.Connection) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=found.ca_path)
    if found.certificate_path:
        context.load_cert_chain(found.certificate_path, found.private_key_path)
    if not found.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class _BoundedResponse(aiohttp.ClientResponse):
    """Whoever reads it whole reads no more than a page may have. The stream of a watch is not read whole."""

    async def read(self) -> bytes:
        if self._body is None:
            try:
                self._body = await read_at_most(self.content, PAGE_LIMIT)
            except BaseException:
                self.close()
                raise
        return self._body

    async def json(self, **how: Any) -> Any:
        answer = await super().json(**how)
        # An empty list of metadata has `items: null`, which the watcher does not expect.
        if isinstance(answer, dict) and answer.get("items", ()) is None:
            answer["items"] = []
        return answer


class _Shaping:
    """Asks for less than the watcher does, and reports how it went. What is neither list nor watch passes."""

    def __init__(self, answered: Answered) -> None:
        self._answered = answered
        self._sizes: dict[str, PageSize] = {}

    async def __call__(self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        collection = _COLLECTION.search(request.url.path)
        if collection is None:
            return await handler(request)
        namespace, plural = collection[1] or "", collection[2]
        watches = request.url.query.get("watch") == "true"
        request.headers["Accept"] = METADATA_OF_WATCH if watches else METADATA_OF_LIST
        response = await (handler(request) if watches else self._page(request, handler))
        if response.status < 400:
            self._answered(plural, namespace, None)
            return response
        target = f"{'watch' if watches else 'list'} {plural} {namespace}".rstrip()
        why = str(refusal(target, response.status, None, await response.read(), confidential=False))
        self._answered(plural, namespace, why)
        if response.status not in (_OF_WATCHES if watches else _OF_LISTS):
            raise RefusedWatchError(why)
        return response

    async def _page(self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        size = self._sizes.setdefault(request.url.path, PageSize(PAGE_SIZE))
        while True:
            request.url = request.url.update_query(limit=str(size.limit))
            response = await handler(request)
            try:
                await response.read()
            except TooLargeError as error:
                if not size.shrink():
                    raise RefusedWatchError(str(error)) from error
            else:
                size.grow()
                return response
