"""The whole flag server as a process of its own, as a cluster runs it: asked to stop, refused its port."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from openfeature.schemas.protobuf.flagd.sync.v1.sync_pb2 import SyncFlagsRequest
from openfeature.schemas.protobuf.flagd.sync.v1.sync_pb2_grpc import FlagSyncServiceStub

from tests.fakes.apiserver import ApiServer
from tests.flags.process import flag_server, is_ready, until
from tests.flags.support import MemorySource, document, flag, flag_set
from tidegate.clients.errors import CredentialsError
from tidegate.flags.changes import Change, Synced
from tidegate.flags.flag_settings import FlagServerSettings
from tidegate.flags.server import run, serve


@pytest.mark.thorough
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_the_server_and_tells_clients_to_connect_again(
    api_server: ApiServer, settings: FlagServerSettings, number: signal.Signals, tmp_path: Path
) -> None:
    await api_server.put("configmaps", "shop", flag_set("flags", document(search=flag(on=True))))
    async with flag_server(api_server.kubeconfig(tmp_path), settings.http_host) as process:
        await until(lambda: is_ready(settings.http_host))
        with grpc.insecure_channel(f"{settings.grpc_host}:{settings.grpc_port}") as channel:
            stream = FlagSyncServiceStub(channel).SyncFlags(SyncFlagsRequest(), timeout=60)
            await asyncio.to_thread(next, stream)
            process.send_signal(number)
            with pytest.raises(grpc.RpcError) as raised:
                await asyncio.to_thread(next, stream)
            assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
            assert "connect again" in (raised.value.details() or "")
        _, log = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 0
        assert b"drained" in log


@pytest.mark.parametrize(("port", "protocol"), [(8015, "gRPC"), (8016, "HTTP")])
async def test_a_port_in_use_ends_the_server_with_its_number(settings: FlagServerSettings, port: int, protocol: str) -> None:
    with (
        socket.create_server((settings.http_host, port)),
        pytest.raises(OSError, match=f"listen on {settings.http_host}:{port} for {protocol}"),
    ):
        await serve(settings, MemorySource({}, synced=True), asyncio.Event())


async def test_a_source_that_fails_ends_the_server_with_its_error(settings: FlagServerSettings) -> None:
    class Failing:
        async def changes(self) -> AsyncIterator[Change]:
            yield Synced()
            raise LookupError("the source is broken")

    with pytest.raises(LookupError, match="the source is broken"):
        await serve(settings, Failing(), asyncio.Event())


def test_without_a_cluster_to_log_in_to_it_says_so_and_ends(settings: FlagServerSettings, tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="can't log in with kubeconfig"):
        run(replace(settings, kubeconfig=str(tmp_path / "missing")))
