"""flagd.sync.v1 over gRPC: the whole document on connect and on every change, to in-process providers of every OpenFeature language."""

import time
from typing import Any
from urllib.parse import unquote

import grpc
import grpc.aio
from openfeature.schemas.protobuf.flagd.sync.v1.sync_pb2 import FetchAllFlagsRequest, SyncFlagsRequest

from tidegate.flags.document import Document
from tidegate.flags.flag_settings import FlagServerSettings
from tidegate.flags.metrics import Metrics
from tidegate.flags.store import SELECTOR_HEADER, BadSelectorError, FlagSet, FlagSets, SelectorError
from tidegate.flags.wrong_selectors import WrongSelectors

_SERVER_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.so_reuseport", 0),  # else a second server on the same port starts without an error and takes half of the clients
    ("grpc.max_receive_message_length", 64 * 1024),
    ("grpc.keepalive_time_ms", 30_000),  # a client whose machine died holds its place for 40 s
    ("grpc.keepalive_timeout_ms", 10_000),
    # Providers may ping as often as they like, to find a dead server. The Python one pings all the time unless it is configured. Each time
    # that it was cut off for that, it would miss changes until it connects again, seconds later.
    ("grpc.http2.max_ping_strikes", 0),
    # Clients keep their connection when a call is refused. They try again after about a second: by then it is gone, and the next one may
    # lead to another replica.
    ("grpc.max_connection_idle_ms", 250),
)

_Context = grpc.aio.ServicerContext[Any, bytes]


class SyncService:
    """The two calls of FlagSyncService. GetMetadata is deprecated and left out, which clients understand: it answers UNIMPLEMENTED."""

    def __init__(self, settings: FlagServerSettings, sets: FlagSets, metrics: Metrics, wrong_selectors: WrongSelectors) -> None:
        self._settings = settings
        self._sets = sets
        self._wrong_selectors = wrong_selectors
        self._metrics = metrics
        self._streams = 0

    def handler(self) -> grpc.GenericRpcHandler:
        """Registers the calls with documents that are serialised already, so that a change is serialised once and not per client."""
        return grpc.method_handlers_generic_handler(
            "flagd.sync.v1.FlagSyncService",
            {
                "SyncFlags": grpc.unary_stream_rpc_method_handler(self.sync_flags, request_deserializer=SyncFlagsRequest.FromString),
                "FetchAllFlags": grpc.unary_unary_rpc_method_handler(
                    self.fetch_all_flags, request_deserializer=FetchAllFlagsRequest.FromString
                ),
            },
        )

    async def sync_flags(self, request: SyncFlagsRequest, context: _Context) -> None:
        """Writes the newest document whenever the last one that was written isn't the newest.

        Nothing is queued: a client that reads slowly skips the documents in between.
        """
        if self._streams >= self._settings.max_streams:
            self._metrics.refused.labels("sync").inc()
            # Not RESOURCE_EXHAUSTED: providers don't try that again by themselves, and an application that starts would end.
            await context.abort(
                grpc.StatusCode.UNAVAILABLE, f"{self._streams} clients are connected already: another replica may have room"
            )
        self._streams += 1
        try:
            await self._push(await self._choose(request.selector, context), context)
        finally:
            self._streams -= 1

    async def _push(self, flag_set: FlagSet, context: _Context) -> None:
        sent: bytes | None = None
        flag_set.streams += 1
        try:
            while True:
                document = await self._document(flag_set, context)
                if document.message is sent:
                    await flag_set.wait_change()
                    continue
                observed_at = flag_set.observed_at
                await context.write(document.message)
                flag_set.pushes += 1
                if sent is not None:
                    self._metrics.push_seconds.observe(time.monotonic() - observed_at)
                sent = document.message
        finally:
            flag_set.streams -= 1

    async def fetch_all_flags(self, request: FetchAllFlagsRequest, context: _Context) -> bytes:
        """Answers with the newest document."""
        flag_set = await self._choose(request.selector, context)
        return (await self._document(flag_set, context)).message

    async def _choose(self, selector_field: str, context: _Context) -> FlagSet:
        headers = dict(context.invocation_metadata() or ())
        given = headers.get(SELECTOR_HEADER) or selector_field
        selector = given if isinstance(given, str) else given.decode("utf-8", "replace")
        try:
            return self._sets.choose(selector)
        except SelectorError as error:
            self._wrong_selectors.log(_address(context.peer()), selector, error)
            is_bad = isinstance(error, BadSelectorError)
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT if is_bad else grpc.StatusCode.NOT_FOUND, str(error))

    async def _document(self, flag_set: FlagSet, context: _Context) -> Document:
        """The set's document; ends the call where there is none to be had. Clients keep the flags that they have, and try again."""
        if self._sets.closing:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "this server is shutting down: connect again")
        if flag_set.deleted:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"flag set {flag_set.key} was deleted")
        if flag_set.document is None:
            await context.abort(grpc.StatusCode.UNAVAILABLE, f"flag set {flag_set.key} has had no valid document yet: {flag_set.fault}")
        return flag_set.document


def _address(peer: str) -> str:
    """`ipv4:10.1.2.3:40000` → `10.1.2.3`."""
    return unquote(peer).partition(":")[2].rpartition(":")[0]


async def start_sync(settings: FlagServerSettings, service: SyncService) -> grpc.aio.Server:
    """Starts to accept gRPC calls.

    Raises:
        OSError: the port can't be listened on.
    """
    server = grpc.aio.server(options=_SERVER_OPTIONS, maximum_concurrent_rpcs=settings.max_streams + settings.max_requests)
    server.add_generic_rpc_handlers((service.handler(),))
    host = f"[{settings.grpc_host}]" if ":" in settings.grpc_host else settings.grpc_host
    try:
        server.add_insecure_port(f"{host}:{settings.grpc_port}")
    except RuntimeError as error:
        raise OSError(f"can't listen on {host}:{settings.grpc_port} for gRPC: {error}") from None
    await server.start()
    return server
