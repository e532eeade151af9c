import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
import pytest_asyncio
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.schemas.protobuf.flagd.sync.v1.sync_pb2_grpc import FlagSyncServiceStub

from tests.fakes.apiserver import ApiServer
from tests.flags.process import loopback_address
from tests.flags.support import OfrepClient, ServerThread, StartServer, SyncClient, document, eventually, flag
from tidegate.flags.flag_settings import FlagServerSettings


@pytest.fixture
def settings() -> FlagServerSettings:
    host = loopback_address()
    return FlagServerSettings(grpc_host=host, http_host=host, grace_seconds=3.0)


@pytest.fixture
def start_server(settings: FlagServerSettings) -> Iterator[StartServer]:
    """Starts servers with documents by selector, and waits until each is ready; keyword arguments change the settings."""
    servers: list[ServerThread] = []

    def start(documents: dict[str, str | None], *, synced: bool = True, **changed: Any) -> ServerThread:
        server = ServerThread(replace(settings, **changed), documents, synced)
        servers.append(server)
        server.start()
        eventually(lambda: server.answers(200 if synced else 503))
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def server(start_server: StartServer) -> ServerThread:
    """A server with one flag set, in which `search` is on."""
    return start_server({"shop/flags": document(search=flag(on=True))})


@pytest.fixture
def sync_client(settings: FlagServerSettings) -> Iterator[SyncClient]:
    """Connects the real flagd provider, in process; returns as soon as it has flags, or at once with `wait=False`. `backoff_ms` is how
    long it waits after a stream ended."""

    def connect(selector: str | None = None, wait: bool = True, host: str = "", backoff_ms: int = 100) -> OpenFeatureClient:
        provider = FlagdProvider(
            resolver_type=ResolverType.IN_PROCESS,
            host=host or settings.grpc_host,
            port=settings.grpc_port,
            selector=selector,
            deadline_ms=max(5000, 30 * backoff_ms) if wait else 50,
            retry_backoff_ms=50,
            retry_backoff_max_ms=backoff_ms,
        )
        domain = uuid.uuid4().hex
        (api.set_provider_and_wait if wait else api.set_provider)(provider, domain)
        return api.get_client(domain)

    yield connect
    api.shutdown()


@pytest.fixture
def ofrep_client() -> Iterator[OfrepClient]:
    """Connects the real OFREP provider."""

    def connect(base_url: str, **headers: str) -> OpenFeatureClient:
        domain = uuid.uuid4().hex
        api.set_provider_and_wait(OFREPProvider(base_url, headers_factory=lambda: headers), domain)
        return api.get_client(domain)

    yield connect
    api.shutdown()


@pytest.fixture
def stub(settings: FlagServerSettings) -> Iterator[FlagSyncServiceStub]:
    """A bare gRPC client."""
    with grpc.insecure_channel(f"{settings.grpc_host}:{settings.grpc_port}") as channel:
        yield FlagSyncServiceStub(channel)


@pytest_asyncio.fixture
async def api_server() -> AsyncIterator[ApiServer]:
    async with ApiServer.running() as running:
        yield running
