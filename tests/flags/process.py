"""The whole flag server as a process of its own, as a cluster runs it."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import requests

from tests.flags.support import eventually
from tidegate.flags.flag_settings import FlagServerSettings

PROGRAM = """
import logging, sys
from tidegate.flags.server import run
from tidegate.flags.flag_settings import FlagServerSettings
logging.basicConfig(level=logging.INFO)
run(FlagServerSettings(kubeconfig=sys.argv[1], grpc_host=sys.argv[2], http_host=sys.argv[2]))
"""


def loopback_address() -> str:
    """One of this machine's own addresses, so that the default ports are always free."""
    return f"127.{random.randint(16, 250)}.{random.randint(1, 250)}.{random.randint(1, 250)}"


@asynccontextmanager
async def process(*argv: str, **options: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that is killed when the block ends, if it still runs."""
    started = await asyncio.create_subprocess_exec(*argv, **options)
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.communicate()


def flag_server(kubeconfig: str, host: str) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    """The server on an address of this machine."""
    return process(sys.executable, "-c", PROGRAM, kubeconfig, host, stderr=asyncio.subprocess.PIPE)


async def until(condition: Callable[[], object]) -> None:
    """Waits until a condition holds, looked at in a thread."""
    await asyncio.to_thread(eventually, condition, 60.0)


def is_ready(host: str) -> bool:
    """Whether a flag server serves at this address, on the default ports."""
    try:
        return requests.get(f"http://{host}:{FlagServerSettings().http_port}/readyz", timeout=5).status_code == 200
    except requests.ConnectionError:
        return False
