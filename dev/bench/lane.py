"""Rollouts side by side, each with its own flag and its own exporter: exposed, made bad, and followed to 0 %."""

import asyncio
import json
import random
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.support import own_pods
from tests.e2e.support.api import Api, eventually
from tests.e2e.support.exposure import DOCUMENT
from tests.e2e.support.flag_sets import FLAG_SET
from tests.e2e.support.installation import OPERATOR_NAMESPACE, Cluster
from tests.e2e.support.port_forward import PortForward, port_forward
from tests.e2e.support.world import World

from bench.figures import Run
from bench.prometheus_poll import PrometheusPoll

METRIC = "bench_errors"
BOUND = 0.5
PATIENCE = 90.0


class Client:
    """The application: a process of its own, connected to the flag server."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.ready = asyncio.Event()
        self.on: dict[str, bool] = {}
        self.last_on: dict[str, float] = {}
        """By flag: the last evaluation that gave it on, once one gave it off."""
        self.per_second: dict[str, float] = {}
        """By flag: how often it was evaluated until then."""

    async def follow(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            told = json.loads(line)
            if "ready" in told:
                self.ready.set()
                continue
            self.on[told["flag"]] = told["on"]
            if not told["on"]:
                self.last_on[told["flag"]] = told["last"]
                self.per_second[told["flag"]] = told["per_second"]


@asynccontextmanager
async def client(forward: PortForward, selector: str, flags: list[str]) -> AsyncIterator[Client]:
    """An application that evaluates these flags from now on."""
    program = str(Path(__file__).with_name("flag_client.py"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, program, forward.host, str(forward.port), selector, *flags, stdout=asyncio.subprocess.PIPE
    )
    found = Client(process)
    following = asyncio.create_task(found.follow())
    try:
        yield found
    finally:
        process.terminate()
        await process.wait()
        following.cancel()


@dataclass
class Bench:
    """Everything that measurements at one interval share."""

    cluster: Cluster
    api: Api
    world: World
    forward: PortForward
    interval: str
    lanes: int
    zeros: dict[str, float] = field(default_factory=dict)
    """By flag: when a watch told of 0 % after more."""

    async def batch(self, confirm: int, number: int) -> list[Run]:
        """One rollback in each lane. The moments at which they turn bad are spread over an interval."""
        flags = [f"{self.world.namespace[-6:]}-{number}-{lane}" for lane in range(self.lanes)]
        for lane, flag in enumerate(flags):
            await self._export(lane, flag, 0.0)
        poll = PrometheusPoll(self.api, f'{METRIC}{{test="{self.world.namespace}"}}', BOUND)
        gate = {"advance": {"lt": BOUND}, "rollback": {"gt": BOUND, "confirm": confirm}, "name": "errors"}
        for flag in flags:
            query = f'{METRIC}{{test="{self.world.namespace}",flag="{flag}"}}'
            await self.world.rollout(flag, canary={"percents": [100], "dwell": "1h"}, gates=[gate | {"query": query}])
        for flag in flags:
            await self.world.until(flag, PATIENCE, percent=100)
            await self.world.gate_until("errors", flag, PATIENCE, verdict="ADVANCE")
        async with client(self.forward, f"{self.world.namespace}/{FLAG_SET}", flags) as application:
            await asyncio.wait_for(application.ready.wait(), PATIENCE)
            await eventually("the application sees every feature on", lambda: all(application.on.get(flag) for flag in flags), PATIENCE)
            polling = asyncio.create_task(poll.run())
            try:
                await asyncio.gather(*(self._turn_bad(lane, flag) for lane, flag in enumerate(flags)))
                seen: tuple[dict[str, float], ...] = (poll.sampled, self.zeros, application.last_on)
                await eventually("every rollout fell", lambda: all(flag in times for times in seen for flag in flags), PATIENCE)
            finally:
                polling.cancel()
                await asyncio.gather(polling, return_exceptions=True)
        for flag in flags:
            await self.api.delete("featurerollouts", self.world.namespace, flag)
        columns = (poll.sampled, poll.queryable, self.zeros, application.last_on, application.per_second)
        return [Run(flag, *(column[flag] for column in columns)) for flag in flags]

    async def leader(self) -> str:
        """Who leads: a takeover takes seconds, and is another measurement."""
        lease = await self.api.get("leases", OPERATOR_NAMESPACE, "tidegate")
        return str(lease["spec"]["holderIdentity"])

    async def _turn_bad(self, lane: int, flag: str) -> None:
        await asyncio.sleep(random.uniform(0, int(self.interval[:-1])))  # noqa: S311 - no secret
        await self._export(lane, flag, 1.0)

    async def _export(self, lane: int, flag: str, value: float) -> None:
        series = f'{METRIC}{{test="{self.world.namespace}",flag="{flag}"}} {value}'
        await self.api.proxy("PUT", self.world.namespace, f"exporter-{lane}:9000", "set/bench", series)

    async def watch_flags(self) -> None:
        """Notes when each flag is at 0 % after it was above. Runs until cancelled."""
        exposed: set[str] = set()
        async for at, config_map in self.api.watch("configmaps", self.world.namespace, FLAG_SET):
            for flag, definition in json.loads(config_map["data"][DOCUMENT])["flags"].items():
                percent = definition["metadata"]["percent"]
                if percent:
                    exposed.add(flag)
                elif flag in exposed:
                    self.zeros.setdefault(flag, at)


@asynccontextmanager
async def bench(cluster: Cluster, interval: str, lanes: int) -> AsyncIterator[Bench]:
    """A namespace with one exporter per lane, since Prometheus scrapes each target at a moment of its own; removed afterwards."""
    async with Api.connect(cluster.kubeconfig) as api, port_forward(cluster, OPERATOR_NAMESPACE, "tidegate-flags", 8015) as forward:
        world = World(api, f"e2e-bench-{secrets.token_hex(3)}")
        await world.begin()
        try:
            await own_pods.exporters(world, cluster, *(f"exporter-{lane}" for lane in range(lanes)))
            await world.policy(interval=interval, staleness=f"{int(interval[:-1]) + 10}s")
            found = Bench(cluster, api, world, forward, interval, lanes)
            watching = asyncio.create_task(found.watch_flags())
            try:
                yield found
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
        finally:
            await world.end()
