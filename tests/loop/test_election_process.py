"""A leader that is a process of its own, stopped by a signal: its clock goes on while it does not."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.fakes.apiserver import ApiServer
from tests.loop.election import DEADLINE, DURATION, Candidate, Clock, looked, until
from tidegate.loop.election import boot_clock

CHILD = """
import asyncio, sys
from tidegate.clients.kubernetes import Kubernetes
from tidegate.loop.election import Leadership
from tidegate.loop.lease import LeaseSettings

async def main():
    async with Kubernetes.connect(sys.argv[1]) as kubernetes:
        leadership = Leadership(kubernetes, LeaseSettings("system", "child", "tidegate", duration=3.0, renew_deadline=2.1, retry=0.3))
        await leadership.acquire()
        while not leadership.lost.is_set():
            print("held" if leadership.held() else "not held", flush=True)
            await asyncio.sleep(0.02)
        print("lost", flush=True)

asyncio.run(main())
"""


@pytest.mark.thorough
async def test_a_stopped_process_knows_that_it_no_longer_leads(
    server: ApiServer, candidate: Candidate, clock: Clock, tmp_path: Path
) -> None:
    command = (sys.executable, "-c", CHILD, server.kubeconfig(tmp_path))
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=os.environ | {"PYTHONPATH": "operator"})
    assert child.stdout is not None
    try:
        async with asyncio.timeout(60):
            assert await child.stdout.readline() == b"held\n"
            successor = candidate("successor")
            waiting = asyncio.create_task(successor.acquire())
            await until(successor.participating)
            child.send_signal(signal.SIGSTOP)
            stopped = boot_clock()
            await looked(server)
            clock.advance(DURATION)
            await waiting
            await until(lambda: boot_clock() > stopped + DEADLINE)
            child.send_signal(signal.SIGCONT)
            said = (await child.stdout.read()).split(b"\n")
            assert await child.wait() == 0
    finally:
        if child.returncode is None:
            child.kill()
    after_waking = said[said.index(b"not held") :] if b"not held" in said else [b"lost", b""]
    assert b"held" not in after_waking
    assert said[-2:] == [b"lost", b""]
    assert successor.held()
