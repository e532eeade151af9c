"""What clients would have, told by nobody who is tested: etcd's own history of the flag sets, and what each flag server pushes."""

import asyncio
import base64
import json
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import grpc.aio
from openfeature.schemas.protobuf.flagd.sync.v1.sync_pb2 import SyncFlagsRequest, SyncFlagsResponse
from tests.e2e.support.exposure import DOCUMENT

from tidegate_dev.embedded import LOOPBACK

Versions = list[tuple[float, str | None]]
"""(time of arrival, document), None where there is no flag set, or none of its document."""
FIRST, LAST = b"/registry/configmaps/", b"/registry/configmaps0"
METHOD = "/flagd.sync.v1.FlagSyncService/SyncFlags"
AGAIN_SECONDS = 0.05


@dataclass
class Stored:
    """Follows etcd itself, so that no answer of the API server is needed. The API server has to store JSON."""

    socket: Path
    versions: dict[tuple[str, str], Versions] = field(default_factory=lambda: defaultdict(list))
    """By (namespace, name) of a ConfigMap."""
    revision: int = 0
    """Of the newest version."""

    async def follow(self) -> None:
        """Runs until cancelled. A connection that is lost is made anew, and goes on where it was."""
        connector, forever = aiohttp.UnixConnector(str(self.socket)), aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(connector=connector, timeout=forever, read_bufsize=2**22) as session:
            while True:
                try:
                    await self._watch(session)
                except (aiohttp.ClientError, OSError):
                    await asyncio.sleep(AGAIN_SECONDS)

    async def _watch(self, session: aiohttp.ClientSession) -> None:
        wanted: dict[str, Any] = {"key": _base64(FIRST), "range_end": _base64(LAST), "start_revision": self.revision + 1}
        async with session.post("http://etcd/v3/watch", json={"create_request": wanted}) as answer:
            async for line in answer.content:
                self.take(time.time(), json.loads(line))

    def take(self, at: float, told: dict[str, Any]) -> None:
        """One message of the watch."""
        for event in told.get("result", {}).get("events", []):
            _, _, _, namespace, name = base64.b64decode(event["kv"]["key"]).decode().split("/")
            self.revision = max(self.revision, int(event["kv"]["mod_revision"]))
            gone = event.get("type") == "DELETE"
            stored = {} if gone else json.loads(base64.b64decode(event["kv"]["value"]))
            self.versions[namespace, name].append((at, (stored.get("data") or {}).get(DOCUMENT)))


@dataclass
class Pushed:
    """What one flag server has pushed of one flag set to an application, which keeps it while the server is away."""

    port: int
    selector: str
    versions: Versions = field(default_factory=list)

    async def follow(self) -> None:
        """Runs until cancelled, and connects again as flagd's provider does, but sooner."""
        options = [
            ("grpc.use_local_subchannel_pool", 1),
            *((f"grpc.{which}_reconnect_backoff_ms", 100) for which in ("initial", "min", "max")),
        ]
        async with grpc.aio.insecure_channel(f"{LOOPBACK}:{self.port}", options=options) as channel:
            sync = channel.unary_stream(METHOD, SyncFlagsRequest.SerializeToString, SyncFlagsResponse.FromString)
            while True:
                try:
                    async for message in sync(SyncFlagsRequest(selector=self.selector), wait_for_ready=True):
                        self.versions.append((time.time(), message.flag_configuration))
                except grpc.RpcError:
                    await asyncio.sleep(AGAIN_SECONDS)


def _base64(text: bytes) -> str:
    return base64.b64encode(text).decode()
