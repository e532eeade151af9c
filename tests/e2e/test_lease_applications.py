"""The dead-man lease as applications see it: operator and flag server are killed, or both are replaced as by an upgrade."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from openfeature.client import OpenFeatureClient

from tests.e2e.support.api import eventually
from tests.e2e.support.application import connected, share
from tests.e2e.support.audit import audited
from tests.e2e.support.host_operator import Host, account_of, free_port, token_of, with_token
from tests.e2e.support.installation import ROOT
from tests.e2e.support.leases import CLIMB, LEASE, held_at_half

APPLICATIONS = 3


class FlagServer:
    """A `tidegate flags` process of the test's own, under the installed one's account."""

    def __init__(self, namespace: str, kubeconfig: Path) -> None:
        self.port = free_port()
        self._kubeconfig = kubeconfig
        self._command = [sys.executable, "-m", "tidegate", "flags", f"--namespace={namespace}", f"--grpc-port={self.port}"]
        self._command += [f"--http-port={free_port()}", "--log-format=text"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "operator"), "KUBECONFIG": str(self._kubeconfig)}
        with self._kubeconfig.with_suffix(".log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)

    def end(self, number: signal.Signals) -> None:
        """Sends the signal; returns when there is no such process any more."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(30)


@pytest.fixture
async def flag_server(host: Host, tmp_path: Path) -> AsyncIterator[FlagServer]:
    token = await token_of(host.api, *await account_of(host.api, "flags"))
    kubeconfig = with_token(host.kubeconfig, token, tmp_path / "flags.yaml")
    server = FlagServer(host.world.namespace, kubeconfig)
    try:
        yield server
    finally:
        server.end(signal.SIGKILL)
        print(f"the flag server said: {kubeconfig.with_suffix('.log').read_text()[-3000:]}")  # shown where the test fails


@asynccontextmanager
async def applications(host: Host, server: FlagServer) -> AsyncIterator[list[OpenFeatureClient]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(connected("127.0.0.1", server.port, host.world)) for _ in range(APPLICATIONS)]


async def lease_end(host: Host) -> int:
    end = await host.world.lease()
    assert end is not None
    return end


async def turned_off(client: OpenFeatureClient) -> float:
    """When nobody has the feature any more in this application."""

    async def check() -> bool:
        return await share(client) == 0

    await eventually("the feature is off", check, LEASE + 15, every=0.1)
    return time.time()


async def test_with_operator_and_flag_server_killed_it_is_off_everywhere_when_the_lease_ends(host: Host, flag_server: FlagServer) -> None:
    operator = await held_at_half(host)
    flag_server.start()
    async with applications(host, flag_server) as clients:
        assert [await share(client) for client in clients] == [50] * APPLICATIONS
        killed = operator.kill()
        flag_server.end(signal.SIGKILL)
        end = await lease_end(host)
        assert [await share(client) for client in clients] == [50] * APPLICATIONS, "until then it stays on"
        off = await asyncio.gather(*(turned_off(client) for client in clients))
    print(f"killed {end - killed:.1f} s before the lease ended; off {min(off) - end:+.2f} to {max(off) - end:+.2f} s from its end")
    assert await lease_end(host) == end
    assert end <= min(off) <= max(off) < end + 3


async def test_an_upgrade_of_both_lets_nothing_flicker(host: Host, flag_server: FlagServer) -> None:
    """Each is asked to stop, and followed by a new process; all the while, for longer than a lease, applications show the same."""
    operator = await held_at_half(host)
    successor = await host.operator("b")
    flag_server.start()
    async with applications(host, flag_server) as clients:
        shown = set[int | None]()
        rounds = 0

        async def watched(until: float) -> None:
            nonlocal rounds
            while time.time() < until:
                shown.update([await share(client) for client in clients])
                rounds += 1
                await asyncio.sleep(0.05)

        before = await lease_end(host)
        watching = asyncio.create_task(watched(before + 5))
        operator.signal(signal.SIGTERM)
        successor.start()
        await asyncio.to_thread(flag_server.end, signal.SIGTERM)
        flag_server.start()
        await host.led_by(successor)
        assert await operator.ended(15) == 0
        await watching
    print(f"each of {APPLICATIONS} applications was looked at {rounds} times while operator and flag server were replaced: {shown} %")
    assert shown == {50}
    assert await lease_end(host) > before
    assert "LeaseExpired" not in await host.world.transitions()
    assert await audited(host.world, "feature") == CLIMB
