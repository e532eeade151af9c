"""What a Kubernetes Service is to its clients: each new connection goes to the next replica in turn, and stays there."""

import asyncio
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.flags.process import loopback_address

PORTS = (8015, 8016)


@contextmanager
def balanced(*replicas: str) -> Iterator[str]:
    """An address whose ports are those of the replicas, given by their addresses."""
    host, up, stop = loopback_address(), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(_serve(host, replicas, up, stop),), name="balancer")
    thread.start()
    assert up.wait(30)
    try:
        yield host
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(15)
        assert not thread.is_alive()
        loop.close()


async def _serve(host: str, replicas: tuple[str, ...], up: threading.Event, stop: asyncio.Event) -> None:
    writers: list[asyncio.StreamWriter] = []

    async def listen(port: int) -> asyncio.Server:
        turns = itertools.cycle(replicas)

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there = await asyncio.open_connection(next(turns), port)
            writers.extend((writer, there[1]))
            await asyncio.gather(_pump(reader, there[1]), _pump(there[0], writer))

        return await asyncio.start_server(accept, host, port)

    servers = [await listen(port) for port in PORTS]
    up.set()
    await stop.wait()
    for server in servers:
        server.close()
    for writer in writers:
        writer.transport.abort()
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while received := await reader.read(65536):
            writer.write(received)
            await writer.drain()
    writer.close()
