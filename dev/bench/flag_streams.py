"""Many clients of a flag server in one process: bare gRPC streams, each on a connection of its own, set up as flagd's provider does.

They evaluate nothing: a thousand applications have a thousand machines for that, and here they would share this one's processors.
What came in is told as JSON lines: {"received": [[client, revision, time, whether it is the first of its stream], …]}; times are Unix
seconds.
"""

import asyncio
import json
import re
import sys
import time

import grpc
import grpc.aio
from openfeature.schemas.protobuf.flagd.sync.v1.sync_pb2 import SyncFlagsRequest

BACKOFF_SECONDS, BACKOFF_AFTER_ERROR_SECONDS = 0.5, 1.0
"""FLAGD_RETRY_BACKOFF_MS and FLAGD_RETRY_BACKOFF_MAX_MS, as examples/09-application.yaml sets them."""
REPORT_SECONDS = 0.05
METHOD = "/flagd.sync.v1.FlagSyncService/SyncFlags"
REVISION = re.compile(rb'"revision":"([^"]+)"')
OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", int(1000 * BACKOFF_SECONDS)),
    ("grpc.min_reconnect_backoff_ms", int(1000 * BACKOFF_SECONDS)),
    ("grpc.max_reconnect_backoff_ms", int(1000 * BACKOFF_AFTER_ERROR_SECONDS)),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
)

Received = tuple[int, str, float, bool]


async def follow(number: int, address: str, selector: str, received: list[Received]) -> None:
    """One client. Notes the revision of each document that it gets, for ever."""
    async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
        sync: grpc.aio.UnaryStreamMultiCallable[SyncFlagsRequest, bytes] = channel.unary_stream(METHOD, SyncFlagsRequest.SerializeToString)
        while True:
            first = True
            try:
                async for message in sync(SyncFlagsRequest(selector=selector), wait_for_ready=True):
                    found = REVISION.search(message)
                    received.append((number, found[1].decode() if found else "", time.time(), first))
                    first = False
            except grpc.RpcError:
                await asyncio.sleep(BACKOFF_AFTER_ERROR_SECONDS)


async def report(received: list[Received]) -> None:
    while True:
        await asyncio.sleep(REPORT_SECONDS)
        if received:
            sys.stdout.write(json.dumps({"received": received}) + "\n")
            sys.stdout.flush()
            received.clear()


async def main() -> None:
    """Arguments: address, selector, number of clients. Runs until it is ended."""
    address, selector, count = sys.argv[1:]
    received: list[Received] = []
    await asyncio.gather(report(received), *(follow(number, address, selector, received) for number in range(int(count))))


if __name__ == "__main__":
    asyncio.run(main())
