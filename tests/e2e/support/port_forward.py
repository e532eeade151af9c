"""A Service's port on this machine, by kubectl port-forward: works on kind and natively. The local port stays the same for good."""

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.e2e.support.host_operator import free_port
from tests.e2e.support.installation import Cluster

_HOST = "127.0.0.1"


class PortForward:
    """One local port. kubectl forwards to one pod of the Service and ends with it; then another pod is forwarded to."""

    def __init__(self, cluster: Cluster, namespace: str, service: str, port: int) -> None:
        self._command = (
            str(cluster.kubectl),
            "port-forward",
            f"--kubeconfig={cluster.kubeconfig}",
            f"--namespace={namespace}",
            f"--address={_HOST}",
            f"service/{service}",
        )
        self._remote = port
        self.host = _HOST
        self.port = free_port()
        self.opened = asyncio.Event()
        """Set while connections are taken."""

    async def run(self) -> None:
        """Forwards until cancelled."""
        while True:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                f"{self.port}:{self._remote}",
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                await self._follow(process)
            finally:
                self.opened.clear()
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
                await process.wait()
            await asyncio.sleep(0.1)

    async def _follow(self, process: asyncio.subprocess.Process) -> None:
        """kubectl says when it listens, and when it lost its pod; by itself it would go on listening in vain."""
        assert process.stdout is not None
        async for line in process.stdout:
            text = line.decode()
            if text.startswith("Forwarding from"):
                self.opened.set()
            if re.search(r"lost connection to pod|error forwarding|unable to", text):
                return


@asynccontextmanager
async def port_forward(cluster: Cluster, namespace: str, service: str, port: int) -> AsyncIterator[PortForward]:
    """The Service's port, open when the block begins."""
    forward = PortForward(cluster, namespace, service, port)
    task = asyncio.create_task(forward.run())
    try:
        await asyncio.wait_for(forward.opened.wait(), 30)
        yield forward
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
