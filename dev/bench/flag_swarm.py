"""The clients of the flag server's measurement, and the flag set that is written under them."""

import asyncio
import json
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.builders import CONFIG_MAP, after, mark
from tests.fakes.apiserver import ApiServer

from tidegate.api.targets import FlagTarget
from tidegate.domain.exposure import Mode, Reading, Wish
from tidegate.levers.flag.flag_set import WriteFlag, parse_flag_set, read_flag, to_config_map
from tidegate.levers.flag.lever import FlagLever
from tidegate.levers.flag.merging import merged

NAMESPACE = "shop"
SELECTOR = f"{NAMESPACE}/{CONFIG_MAP}"
PROCESSES = 2
PATIENCE = 120.0
PERCENTS = (5, 25, 50, 100, 0)
LONGEST_LINE = 16 * 1024 * 1024

Client = tuple[int, int]


class Swarm:
    """Many bare clients, in a few processes."""

    def __init__(self, clients: int) -> None:
        self.clients = clients
        self.seen: defaultdict[str, dict[Client, float]] = defaultdict(dict)
        """By revision: when each client had it, in Unix seconds."""
        self.connected: dict[Client, float] = {}
        """When each client got the first document of its newest stream."""
        self._heard = asyncio.Event()

    @asynccontextmanager
    async def running(self, address: str) -> AsyncIterator[None]:
        """Connects them; they are ended with the block."""
        program = str(Path(__file__).with_name("flag_streams.py"))
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            following = []
            for number in range(PROCESSES):
                count = self.clients // PROCESSES + (number < self.clients % PROCESSES)
                process = await stack.enter_async_context(running(program, address, SELECTOR, str(count)))
                following.append(tasks.create_task(self._follow(number, process)))
            try:
                yield
            finally:
                for task in following:
                    task.cancel()

    async def _follow(self, number: int, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            for client, revision, at, first in json.loads(line)["received"]:
                self.seen[revision].setdefault((number, client), at)
                if first:
                    self.connected[number, client] = at
            self._heard.set()
        raise RuntimeError("a process of clients ended")

    async def all_have(self, revision: str) -> list[float]:
        """Waits until every client has this revision: when each of them had it."""
        await self._until(lambda: len(self.seen[revision]) == self.clients)
        return list(self.seen[revision].values())

    async def all_connected_since(self, moment: float) -> list[float]:
        """Waits until every client has a stream that is younger than this: when each of them got its first document."""
        await self._until(lambda: sum(at > moment for at in self.connected.values()) == self.clients)
        return list(self.connected.values())

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._heard.clear()
                await self._heard.wait()


class Application:
    """One real application: OpenFeature's SDK and flagd's provider, evaluating without pause. Follows one flag."""

    def __init__(self) -> None:
        self.changes: list[tuple[bool, float]] = []
        """Each change of the flag: what it became, and the last evaluation that still gave the old value."""
        self.ready = asyncio.Event()
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def running(self, host: str, port: int, flag: str) -> AsyncIterator[None]:
        """Connects it; it is ended with the block."""
        program = str(Path(__file__).with_name("flag_client.py"))
        async with running(program, host, str(port), SELECTOR, flag) as process, asyncio.TaskGroup() as tasks:
            following = tasks.create_task(self._follow(process))
            try:
                async with asyncio.timeout(PATIENCE):
                    await self.ready.wait()
                yield
            finally:
                following.cancel()

    async def _follow(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            told = json.loads(line)
            if "ready" in told:
                self.ready.set()
                continue
            self.changes.append((told["on"], told["last"]))
            self._changed.set()
        raise RuntimeError("the application ended")

    async def turns(self, on: bool) -> float:
        """Waits until the flag is like this: the last evaluation that gave it otherwise."""
        async with asyncio.timeout(PATIENCE):
            while not self.changes or self.changes[-1][0] is not on:
                self._changed.clear()
                await self._changed.wait()
        return self.changes[-1][1]


class FlagDocument:
    """A flag set as the operator writes it. The first flag is the one that moves."""

    def __init__(self, api: ApiServer, flags: int) -> None:
        self._api = api
        self._keys = [f"feature-{number}" for number in range(flags)]
        self._flag_set = parse_flag_set(None)
        self.bytes = 0

    @property
    def moving(self) -> str:
        return self._keys[0]

    async def create(self) -> None:
        """Writes every flag: percentages of all kinds, a few users on each list."""
        writes = [self._write(key, 0 if key == self.moving else PERCENTS[number % 5], None) for number, key in enumerate(self._keys)]
        await self._put(writes)

    async def move(self, revision: str, percent: int) -> float:
        """Writes the moving flag: when the write began."""
        began = time.time()
        await self._put([self._write(self.moving, percent, revision)])
        return began

    def _write(self, key: str, percent: int, revision: str | None) -> WriteFlag:
        lists = {} if key == self.moving else {"allow": [f"{key}-tester-{number}" for number in range(3)], "deny": [f"{key}-partner"]}
        lever = FlagLever(FlagTarget.model_validate({"key": key, "configMap": CONFIG_MAP, **lists}))
        seen = read_flag(self._flag_set, key)
        assert isinstance(seen, Reading)
        said = mark(rollout=f"{NAMESPACE}/{key}", uid=key, revision=revision, percent=percent)
        (write,) = lever.writes(Wish(percent, Mode.SHOWN, said), seen)
        return write

    async def _put(self, writes: list[WriteFlag]) -> None:
        self._flag_set, refused = merged(self._flag_set, writes, after(self._flag_set.epoch))
        assert refused == (), refused
        config_map = to_config_map(self._flag_set, NAMESPACE, CONFIG_MAP)
        self.bytes = len(next(iter(config_map["data"].values())))
        await self._api.put("configmaps", NAMESPACE, config_map)


@asynccontextmanager
async def running(program: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process of this Python; ended with the block."""
    process = await asyncio.create_subprocess_exec(sys.executable, program, *arguments, stdout=asyncio.subprocess.PIPE, limit=LONGEST_LINE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
