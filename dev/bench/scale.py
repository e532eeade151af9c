"""Thousands of rollouts on a real API server and one operator process: made, found at a start, kept in motion."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from tests.e2e.support.api import Api, Json
from tests.e2e.support.host_operator import Host, with_token
from tests.e2e.support.world import World

ROOT = Path(__file__).resolve().parents[2]
AT_ONCE = 32
PORT = 18_999
_TICKS = os.sysconf("SC_CLK_TCK")
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor seconds since the start, and resident bytes."""

    cpu: float
    resident: int


class Operator:
    """One operator process of the bench's own, straight at the API server."""

    def __init__(self, process: subprocess.Popen[bytes], session: aiohttp.ClientSession) -> None:
        self._process = process
        self._session = session

    def usage(self) -> Usage:
        stat = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return Usage((int(stat[11]) + int(stat[12])) / _TICKS, pages * os.sysconf("SC_PAGE_SIZE"))

    async def counter(self, name: str, **labels: str) -> float:
        """The sum of a metric's series that have these labels."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        return sum(float(line.rpartition(" ")[2]) for line in await self._lines(name) if all(one in line for one in wanted))

    async def series(self, name: str) -> int:
        """How many series a metric has."""
        return len(await self._lines(name))

    async def at_work(self) -> float:
        """How many keys wait to be reconciled or are."""
        return await self.counter("tidegate_queue_ready") + await self.counter("tidegate_queue_running")

    async def _lines(self, name: str) -> list[str]:
        # Only this metric is rendered: all of them, at each poll, would be part of what is measured.
        async with self._session.get(f"http://127.0.0.1:{PORT}/metrics", params={"name[]": name}) as response:
            return [line for line in (await response.text()).splitlines() if line.startswith(name)]

    async def reconciles(self) -> float:
        """How many rollouts were reconciled without an error."""
        return await self.counter("tidegate_reconciles_total", kind="FeatureRollout", result="ok")


def _started(host: Host, folder: Path) -> subprocess.Popen[bytes]:
    config = with_token(host.kubeconfig, host.token, folder / "operator.yaml")
    namespace = host.world.namespace
    command = [sys.executable, "-m", "tidegate", "operator", f"--kubeconfig={config}", "--candidate=bench", f"--namespace={namespace}*"]
    command += [f"--own-namespace={namespace}", "--host=127.0.0.1", f"--port={PORT}", "--log-level=ERROR"]
    with (folder / "operator.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT / "operator")})


@asynccontextmanager
async def operator(host: Host, folder: Path) -> AsyncIterator[Operator]:
    """A process that looks after the bench's namespace, and those whose names begin like it; ends with the block."""
    process = _started(host, folder)
    try:
        async with aiohttp.ClientSession() as session:
            yield Operator(process, session)
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait, 60)


async def create(api: Api, bodies: list[Json], say: Say) -> float:
    """Creates FeatureRollouts, many at a time; seconds that it took."""
    began, left, done = time.monotonic(), iter(bodies), 0

    async def work() -> None:
        nonlocal done
        for body in left:
            await api.create("featurerollouts", body)
            done += 1
            if done % 1000 == 0:
                say(f"{done} of {len(bodies)} rollouts created")

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return time.monotonic() - began


async def until(wanted: Callable[[], Awaitable[bool]], seconds: float, what: str, every: float = 0.2) -> float:
    """Seconds until it is so. AssertionError past the limit."""
    began = time.monotonic()
    while True:
        try:
            if await wanted():
                return time.monotonic() - began
        except aiohttp.ClientError:
            pass  # the process is still on its way up
        assert time.monotonic() - began < seconds, f"not within {seconds:.0f} s: {what}"
        await asyncio.sleep(every)


def waiting(world: World, number: int, namespace: str = "") -> Json:
    """A rollout that nothing happens to: switched off, its flag at 0 %."""
    body = world.rollout_body(
        f"rollout-{number:05}", flag=f"flag-{number:05}", enabled=False, flag_fields={"configMap": f"flags-{number // 500:02}"}
    )
    return body | {"metadata": body["metadata"] | {"namespace": namespace or world.namespace}}


def moving(world: World, number: int, gates: int) -> Json:
    """A rollout at its first step for an hour, with the same gates as all others."""
    made: list[dict[str, Any]] = [
        {"name": f"gate-{gate}", "query": f"{world.selector('errors')} + 0 * {gate}", "advance": {"lt": 0.1}, "rollback": {"gt": 0.5}}
        for gate in range(gates)
    ]
    fields = {"configMap": f"moving-{number // 500:02}"}
    canary = {"percents": [10, 100], "dwell": "24h"}
    return world.rollout_body(f"moving-{number:05}", flag=f"moving-{number:05}", canary=canary, gates=made, flag_fields=fields)
