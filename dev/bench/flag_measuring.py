"""One measurement of the flag server: connect, write, kill, start again."""

import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

from tests.fakes.apiserver import ApiServer
from tests.flags.process import flag_server, loopback_address

from bench.flag_figures import Measured
from bench.flag_swarm import Application, FlagDocument, Swarm

PORT = 8015
QUIET_SECONDS = 0.2
"""Between two writes, so that each finds the server at rest."""


async def measure(clients: int, flags: int, writes: int, say: Callable[[str], None]) -> Measured:
    """Measures everything once; tells `say` what it is at."""
    out, swarm, application, host = Measured(clients, flags), Swarm(clients), Application(), loopback_address()
    with tempfile.TemporaryDirectory() as folder:
        async with ApiServer.running() as api:
            document, start = FlagDocument(api, flags), partial(flag_server, api.kubeconfig(Path(folder)), host)
            await document.create()
            out.document = document.bytes
            say(f"connecting {clients} clients to {flags} flags, {document.bytes / 1000:.0f} kB")
            began = time.time()
            async with start() as server, swarm.running(f"{host}:{PORT}"):
                out.connected = max(await swarm.all_connected_since(began)) - began
                async with application.running(host, PORT, document.moving):
                    say(f"{writes} writes")
                    await change(out, swarm, application, document, writes, server.pid)
                    out.memory, out.peak = memory(server.pid, "VmRSS"), memory(server.pid, "VmHWM")
                    say("killing the server, and starting another")
                    await replace(out, swarm, application, document, server, start)
    return out


async def change(out: Measured, swarm: Swarm, application: Application, document: FlagDocument, writes: int, pid: int) -> None:
    """Writes the moving flag over and over, each time when everybody has the write before."""
    for number in range(writes):
        on = number % 2 == 0
        await asyncio.sleep(QUIET_SECONDS)
        used = processor_seconds(pid)
        began = await document.move(f"write-{number}", 100 if on else 0)
        at, last = await asyncio.gather(swarm.all_have(f"write-{number}"), application.turns(on))
        out.processor.append(processor_seconds(pid) - used)
        out.written += [moment - began for moment in at]
        out.everybody.append(max(at) - began)
        out.application.append(last - began)


async def replace(
    out: Measured,
    swarm: Swarm,
    application: Application,
    document: FlagDocument,
    server: asyncio.subprocess.Process,
    start: Callable[[], AbstractAsyncContextManager[asyncio.subprocess.Process]],
) -> None:
    """Kills the server while the flag is on, which the code's default is not, and starts another. Ends when that one has pushed a write."""
    await document.move("before", 100)
    await asyncio.gather(swarm.all_have("before"), application.turns(True))
    changes, killed = len(application.changes), time.time()
    server.kill()
    await server.wait()
    async with start():
        out.back = [at - killed for at in await swarm.all_connected_since(killed)]
        out.lost = len(application.changes) - changes
        await document.move("after", 0)
        await asyncio.gather(swarm.all_have("after"), application.turns(False))


def memory(pid: int, what: str) -> int:
    """`VmRSS` or `VmHWM` of a process, in bytes."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(f"{what}:"))
    return int(line.split()[1]) * 1024


def processor_seconds(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
