"""The Kubernetes API as plain JSON: the official asyncio client's connections and credentials, without its models.

Nothing here retries (the caller reconciles again later), with two exceptions: one repetition with a freshly read token after
a 401, and aiohttp's own of a GET or PUT whose kept-alive connection breaks before the answer. A repeated PUT can't do
harm, since it names the version that it is meant for.
"""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self, cast

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration

from tidegate.clients import credentials
from tidegate.clients.bounded import PageSize, TooLargeError, read_at_most
from tidegate.clients.errors import TooLarge, Unauthorized, Unavailable, short
from tidegate.clients.refusals import refusal
from tidegate.clients.resources import SECRETS, JsonObject, Resource

logger = logging.getLogger("tidegate.clients.kubernetes")

FIELD_MANAGER = "tidegate"
PAGE_SIZE = 500
ANSWER_LIMIT = 16 * 1024 * 1024
PAGE_LIMIT = 4 * 1024 * 1024
"""Bytes of a page. Whoever may create objects may make them large: a page that has more is asked for again with fewer objects."""
METADATA_OF_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"

# The server reads and sends hundreds of objects for a page, so that a list gets more time than a single object.
_LIST_PATIENCE = 3

_JSON = "application/json"
_MERGE_PATCH = "application/merge-patch+json"
_JSON_PATCH = "application/json-patch+json"
_PAGE_BEGINS = re.compile(rb'"metadata":(\{[^{}]*\}),"items":\[(?:\{[^{}]*"metadata":\{"name":"([^"]*)")?')
_NO_SECOND_TIMEOUT = aiohttp.ClientTimeout(total=None)
_STRICT = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list. `resource_version` is the version of the whole list; items carry no apiVersion and kind."""

    items: list[JsonObject]
    resource_version: str


@dataclass(frozen=True, slots=True)
class _Call:
    what: str
    method: str
    resource: Resource
    namespace: str
    name: str
    query: Mapping[str, str]
    body: object = None
    content_type: str = _JSON
    subresource: str | None = None
    time_limit: float | None = None
    accept: str = _JSON
    answer_limit: int | None = None

    @property
    def path(self) -> str:
        return self.resource.path(self.namespace, "" if self.method == "POST" else self.name, self.subresource)

    @property
    def target(self) -> str:
        kind = "/".join(part for part in (self.resource.plural, self.subresource) if part)
        place = "/".join(part for part in (self.namespace, self.name) if part)
        return f"{self.what} {kind} {place}".rstrip()


class Kubernetes:
    """One bounded pool of connections to one API server. All methods raise the ApiErrors of `clients.errors`.

    Cluster-scoped objects have the namespace "". A call takes at most `time_limit` seconds, a page of a list three times that,
    waiting for a free connection included. Writes are made as the field manager "tidegate" and validated strictly.
    """

    def __init__(self, configuration: Configuration, kubeconfig: str | None, time_limit: float) -> None:
        self._configuration = configuration
        self._kubeconfig = kubeconfig
        self._time_limit = time_limit
        self._client: Any = cast(Any, ApiClient)(configuration)
        self._client.user_agent = FIELD_MANAGER
        self._login = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def connect(cls, kubeconfig: str | None = None, *, connections: int = 32, time_limit: float = 5.0) -> AsyncIterator[Self]:
        """A client that lives as long as the `async with` block; credentials as `clients.credentials.load` finds them."""
        configuration = await credentials.load(kubeconfig)
        configuration.connection_pool_maxsize = connections
        # Environment proxies and ~/.netrc must not decide who gets the token; a kubeconfig's proxy-url still works.
        configuration.client_session_kwargs = {"trust_env": False}
        client = cls(configuration, kubeconfig, time_limit)
        try:
            yield client
        finally:
            await client._client.close()

    async def get(self, resource: Resource, namespace: str, name: str, *, time_limit: float | None = None) -> JsonObject:
        """One object, as it is now."""
        return await self._ask(_Call("get", "GET", resource, namespace, name, {}, time_limit=time_limit))

    async def pages(
        self, resource: Resource, namespace: str = "", *, label_selector: str = "", field_selector: str = "", metadata_only: bool = False
    ) -> AsyncIterator[Page]:
        """All objects of a kind in a namespace, or everywhere, at most 500 at a time and as of one moment.

        One that is too large to be read by itself is left out, with an error in the log. Raises Gone when the caller takes so long between
        pages that the list has expired.
        """
        selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
        selected = {name: selector for name, selector in selectors.items() if selector}
        how: dict[str, Any] = {"time_limit": _LIST_PATIENCE * self._time_limit, "answer_limit": PAGE_LIMIT}
        how |= {"accept": METADATA_OF_LIST} if metadata_only else {}
        size, token = PageSize(PAGE_SIZE), ""
        while True:
            query = selected | {"limit": str(size.limit)} | ({"continue": token} if token else {})
            try:
                answer = await self._ask(_Call("list", "GET", resource, namespace, "", query, **how))
            except TooLarge as error:
                if size.shrink():
                    continue
                answer = _without_its_object(error)
            else:
                size.grow()
            metadata = answer.get("metadata") or {}
            yield Page(answer.get("items") or [], str(metadata.get("resourceVersion") or ""))
            token = metadata.get("continue") or ""
            if not token:
                return

    async def create(self, resource: Resource, body: JsonObject, *, time_limit: float | None = None) -> JsonObject:
        """The created object. A body with `generateName` gets its name from the server."""
        namespace, name = _names(body)
        return await self._ask(_Call("create", "POST", resource, namespace, name, _STRICT, body, time_limit=time_limit))

    async def replace(
        self, resource: Resource, body: JsonObject, *, subresource: str | None = None, time_limit: float | None = None
    ) -> JsonObject:
        """The object put in place of the one with `body`'s resourceVersion; Conflict if that is no longer the current one."""
        namespace, name = _names(body)
        return await self._ask(_Call("replace", "PUT", resource, namespace, name, _STRICT, body, _JSON, subresource, time_limit))

    async def merge_patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: JsonObject,
        *,
        subresource: str | None = None,
        resource_version: str | None = None,
    ) -> JsonObject:
        """The object after an RFC 7396 patch; with `resource_version` only if that is the current one, else Conflict."""
        if resource_version is not None:
            patch = patch | {"metadata": (patch.get("metadata") or {}) | {"resourceVersion": resource_version}}
        return await self._ask(_Call("patch", "PATCH", resource, namespace, name, _STRICT, patch, _MERGE_PATCH, subresource))

    async def json_patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        operations: Sequence[JsonObject],
        *,
        subresource: str | None = None,
        resource_version: str | None = None,
    ) -> JsonObject:
        """The object after an RFC 6902 patch; with `resource_version` only if that is the current one, else Conflict.

        The version is written, not tested: the API server answers a failed `test` with the same 422 as a malformed patch.
        """
        steps = list(operations)
        if resource_version is not None:
            steps.insert(0, {"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version})
        return await self._ask(_Call("patch", "PATCH", resource, namespace, name, _STRICT, steps, _JSON_PATCH, subresource))

    async def delete(self, resource: Resource, namespace: str, name: str, *, resource_version: str) -> None:
        """Deletes the object; Conflict where it is no longer the one with this resourceVersion."""
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"resourceVersion": resource_version}}
        await self._ask(_Call("delete", "DELETE", resource, namespace, name, {}, options))

    async def _ask(self, call: _Call) -> JsonObject:
        used = credentials.token_of(self._configuration)
        try:
            return await self._exchange(call)
        except Unauthorized:
            await self._log_in_again(used)
            return await self._exchange(call)

    async def _log_in_again(self, refused: str | None) -> None:
        async with self._login:
            if credentials.token_of(self._configuration) == refused:
                credentials.replace_token(self._configuration, await credentials.load(self._kubeconfig))

    async def _exchange(self, call: _Call) -> JsonObject:
        seconds = call.time_limit if call.time_limit is not None else self._time_limit
        try:
            async with asyncio.timeout(seconds):
                status, retry_after, body = await self._send(call)
        except TimeoutError as error:
            raise Unavailable(call.target, f"no complete answer within {seconds:g} s") from error
        except aiohttp.ClientError as error:
            raise Unavailable(call.target, short(error, 200) or type(error).__name__) from error
        except TooLargeError as error:
            raise TooLarge(call.target, str(error), head=error.head) from error
        if not 200 <= status < 300:
            raise refusal(call.target, status, retry_after, body, confidential=call.resource == SECRETS)
        return _parsed(call.target, status, body)

    async def _send(self, call: _Call) -> tuple[int, str | None, bytes]:
        method, url, headers, _, _ = await self._client.param_serialize(
            call.method,
            call.path,
            query_params=list(call.query.items()),
            header_params={"Accept": call.accept, "Content-Type": call.content_type},
            auth_settings=["BearerToken"],
        )
        answer = await self._client.call_api(method, url, headers, call.body, _request_timeout=_NO_SECOND_TIMEOUT)
        async with cast(aiohttp.ClientResponse, answer.response) as response:
            return (
                response.status,
                response.headers.get("Retry-After"),
                await read_at_most(response.content, call.answer_limit or ANSWER_LIMIT),
            )


def _names(body: Mapping[str, Any]) -> tuple[str, str]:
    metadata = body.get("metadata") or {}
    return metadata.get("namespace") or "", metadata.get("name") or ""


def _without_its_object(error: TooLarge) -> JsonObject:
    """A page of one object that is too large, without it. Raises `error` where the answer doesn't begin with the way to the next page."""
    begins = _PAGE_BEGINS.search(error.head)
    if begins is None:
        raise error
    name = (begins[2] or b"of unknown name").decode(errors="replace")
    logger.error("%s: %s: object %s is left out", error.target, error.message, short(name, 253))
    return {"metadata": json.loads(begins[1])}


def _parsed(target: str, status: int, body: bytes) -> JsonObject:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Unavailable(target, "the answer is not JSON", status) from error
    if not isinstance(answer, dict):
        raise Unavailable(target, "the answer is not a JSON object", status)
    return answer
