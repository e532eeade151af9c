"""Lists and watches the flag sets of one namespace, or of all, without ever missing a change or a deletion."""

import asyncio
import json
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientError, ClientResponse, ClientTimeout
from kubernetes.aio.client import ApiClient

from tidegate.clients import credentials
from tidegate.clients.errors import CredentialsError
from tidegate.flags.changes import Change, Deleted, FlagSetKey, Interrupted, Synced, Upserted

log = logging.getLogger("tidegate.flags.scope_watch")

LABEL_SELECTOR = "tidegate.io/flag-set=true"
DOCUMENT_KEY = "flags.flagd.json"

_PAGE_SIZE = 100  # a page of full ConfigMaps is 100 MB at the very most
_LIST_SECONDS = 30.0
_ANSWER_SECONDS = 10.0
_SHORTEST_WATCH_SECONDS = 1.0
_ERROR_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchTimes:
    """Times of a watch, in seconds."""

    connect: float = 5.0
    silence: float = 65.0
    """A watch that is silent for this long is opened anew. The API server sends a bookmark about every 60 s."""
    lifetime: float = 300.0
    """How long the API server is asked to keep a watch open; up to a third of it is added at random."""
    first_pause: float = 0.2
    """Pause after the first failure; it doubles with each further one, up to `longest_pause`."""
    longest_pause: float = 1.0
    """A rollback that is written as soon as the API server is back must not wait for the clients' next look."""


class _ExpiredError(Exception):
    """The resource version is too old to watch from: changes may be missed, so everything is listed again."""


class _ApiError(Exception):
    """The API server refused a request."""


class ScopeWatch:
    """One namespace, or all of them (`scope` None): a listing, then watches from where it ended."""

    def __init__(
        self,
        scope: str | None,
        kubeconfig: str | None,
        report: Callable[[str | None, Change], Awaitable[None]],
        times: WatchTimes,
    ) -> None:
        self.scope = scope
        self._kubeconfig = kubeconfig
        self._report = report
        self._times = times
        self._client: ApiClient | None = None
        self._version: str | None = None
        self._known: set[FlagSetKey] = set()
        self._in_touch = False
        self._reason: str | None = None
        self._failures = 0

    async def run(self) -> None:
        """Runs until it is cancelled; whatever fails is tried again."""
        try:
            while True:
                try:
                    if self._version is None:
                        self._version = await self._list()
                    await self._watch(self._version)
                except _ExpiredError:
                    self._version = None
                    await self._pause()
                except (_ApiError, ClientError, OSError, TimeoutError, CredentialsError) as error:
                    await self._interrupted(str(error) or type(error).__name__)
                except Exception as error:
                    log.exception("watch failed unexpectedly", extra={"namespace": self.scope})
                    self._version = None
                    await self._interrupted(f"{type(error).__name__}: {error}")
        finally:
            await self._disconnect()

    async def _list(self) -> str:
        """Reports every flag set, and the deletion of those that are gone. Returns the version to watch from."""
        found: set[FlagSetKey] = set()
        token: str | None = None
        while True:
            query = {"limit": str(_PAGE_SIZE)} | ({"continue": token} if token else {})
            async with self._get(query, ClientTimeout(total=_LIST_SECONDS, sock_connect=self._times.connect)) as response:
                page = await response.json(content_type=None)
            for item in page.get("items") or ():
                change = _upserted(item)
                found.add(change.key)
                self._known.add(change.key)
                await self._report(self.scope, change)
            token = page["metadata"].get("continue")
            if not token:
                break
        for key in self._known - found:
            await self._report(self.scope, Deleted(key))
        self._known = found
        return str(page["metadata"]["resourceVersion"])

    async def _watch(self, version: str) -> None:
        """Reports changes until the watch ends, as every watch does."""
        opened = time.monotonic()
        lifetime = self._times.lifetime * random.uniform(1.0, 1.33)  # noqa: S311 - spreads load, guards nothing
        query = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": version, "timeoutSeconds": str(int(lifetime) or 1)}
        limits = ClientTimeout(total=None, sock_connect=self._times.connect, sock_read=self._times.silence)
        async with self._get(query, limits) as response:
            if not self._in_touch:
                self._in_touch, self._reason = True, None
                await self._report(self.scope, Synced())
            try:
                async for line in response.content:
                    await self._handle(json.loads(line))
                    self._failures = 0
            except TimeoutError:
                # Silence is no failure by itself: most likely nothing changed. If the server is gone, opening the next watch will show it.
                log.debug("watch was silent, opening another", extra={"namespace": self.scope})
                return
        if time.monotonic() - opened < _SHORTEST_WATCH_SECONDS:
            raise _ApiError("watches are closed as soon as they are opened")

    async def _handle(self, event: dict[str, Any]) -> None:
        kind, item = event["type"], event["object"]
        if kind == "ERROR":
            if item.get("code") == 410:
                raise _ExpiredError
            raise _ApiError(f"the watch ended with {item.get('code')}: {item.get('message')}")
        if kind in ("ADDED", "MODIFIED"):
            change = _upserted(item)
            self._known.add(change.key)
            await self._report(self.scope, change)
        elif kind == "DELETED":
            key = _key(item)
            self._known.discard(key)
            await self._report(self.scope, Deleted(key))
        self._version = item["metadata"]["resourceVersion"]

    @asynccontextmanager
    async def _get(self, query: dict[str, str], limits: ClientTimeout) -> AsyncIterator[ClientResponse]:
        client = self._client = self._client or await self._connect()
        path = "/api/v1/configmaps" if self.scope is None else f"/api/v1/namespaces/{self.scope}/configmaps"
        request = await client.param_serialize(
            "GET",
            path,
            query_params=[("labelSelector", LABEL_SELECTOR), *query.items()],
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
        )
        async with asyncio.timeout(_ANSWER_SECONDS):
            answer = await client.call_api(*request, _request_timeout=limits)
        response: ClientResponse = answer.response
        try:
            if response.status != 200:
                await self._refused(response)
            yield response
        finally:
            response.close()

    async def _refused(self, response: ClientResponse) -> None:
        text = (await response.content.read(_ERROR_BYTES)).decode("utf-8", "replace")
        if response.status == 410:
            raise _ExpiredError
        if response.status == 401:
            await self._disconnect()  # the next attempt reads the credentials anew
        remedy = "; the flag server needs list and watch on configmaps" if response.status == 403 else ""
        raise _ApiError(f"the API server answered {response.status}: {_message(text)}{remedy}")

    async def _interrupted(self, reason: str) -> None:
        if reason != self._reason:
            self._in_touch, self._reason = False, reason
            await self._report(self.scope, Interrupted(reason))
        await self._pause()

    async def _pause(self) -> None:
        pause = min(self._times.first_pause * 2 ** min(self._failures, 16), self._times.longest_pause)
        self._failures += 1
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311

    async def _connect(self) -> ApiClient:
        configuration = await credentials.load(self._kubeconfig)
        # Environment proxies and ~/.netrc must not decide who gets the token; a kubeconfig's proxy-url still works.
        configuration.client_session_kwargs = {"trust_env": False}
        client = ApiClient(configuration)
        client.user_agent = "tidegate-flags"
        return client

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()  # type: ignore[no-untyped-call]


def _key(item: dict[str, Any]) -> FlagSetKey:
    return FlagSetKey(item["metadata"]["namespace"], item["metadata"]["name"])


def _upserted(item: dict[str, Any]) -> Upserted:
    return Upserted(_key(item), (item.get("data") or {}).get(DOCUMENT_KEY))


def _message(text: str) -> str:
    """The sentence in a Kubernetes Status, or the text itself."""
    try:
        return str(json.loads(text)["message"])[:500]
    except (ValueError, KeyError, TypeError):
        return text[:500]
