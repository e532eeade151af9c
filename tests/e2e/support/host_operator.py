"""Operators that run as processes of the test's own, each behind a fault proxy, under the installed operator's account.

They look after one namespace `crash-…` that the installed operator leaves alone, and elect their leader by a Lease in it.
"""

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import yaml
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.e2e.support.api import Api, Json, eventually
from tests.e2e.support.faults import FaultProxy
from tests.e2e.support.installation import OPERATOR_NAMESPACE, ROOT
from tests.e2e.support.world import PROMETHEUS, World

LEASE = "tidegate"


class HostOperator:
    """One `tidegate operator` process; may be started again after its end, under the same name and behind the same proxy."""

    def __init__(self, candidate: str, namespace: str, proxy: FaultProxy, kubeconfig: Path, options: tuple[str, ...]) -> None:
        self.candidate = candidate
        self.proxy = proxy
        self.log = kubeconfig.with_suffix(".log")
        self.port = free_port()
        self._command = [sys.executable, "-m", "tidegate", "operator", f"--kubeconfig={kubeconfig}", f"--candidate={candidate}"]
        self._command += [f"--namespace={namespace}", f"--own-namespace={namespace}", f"--lease-name={LEASE}"]
        self._command += ["--host=127.0.0.1", f"--port={self.port}", "--log-format=text", *options]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": str(ROOT / "operator")},
                start_new_session=True,
            )

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        assert self._process.poll() is None, f"{self.candidate} has ended already: {self.said()}"
        self._process.send_signal(number)

    def kill(self) -> float:
        """SIGKILL; returns when there is no such process any more, with the time."""
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()
        return time.time()

    async def ended(self, seconds: float) -> int:
        """The exit code, once the process has ended by itself."""
        process = self._process
        assert process is not None
        await eventually(f"{self.candidate} ends", lambda: process.poll() is not None, seconds, every=0.02)
        return int(process.returncode)

    async def cleared_away(self) -> None:
        """Ends the process, whatever it is doing."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
        if self._process is not None:
            print(f"{self.candidate} said: {self.said()}")  # shown where the test fails

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text()[-3000:]

    def lines(self) -> list[Json]:
        """Its log, where it was started with --log-format=json. Raises ValueError for a line that is none of JSON's objects."""
        return [dict(json.loads(line)) for line in self.log.read_text().splitlines()]

    async def probe(self, path: str) -> tuple[int, str]:
        """What /healthz, /readyz or /metrics answers: status and text."""
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{self.port}/{path}") as response:
            return response.status, await response.text()

    async def samples(self, **labels: str) -> list[Sample]:
        """All of /metrics that carries these labels."""
        status, text = await self.probe("metrics")
        assert status == 200, text
        found = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        return [sample for sample in found if labels.items() <= sample.labels.items()]


class Host:
    """A namespace and the operators that look after it."""

    def __init__(self, world: World, kubeconfig: Path, token: str, folder: Path, stack: AsyncExitStack) -> None:
        self.world = world
        self.api = world.api
        self.kubeconfig = kubeconfig
        self.token = token
        self._folder = folder
        self._stack = stack

    async def operator(self, candidate: str = "a", *options: str) -> HostOperator:
        """A new operator with a proxy of its own; not started yet."""
        proxy = await self._stack.enter_async_context(FaultProxy.running(self.kubeconfig))
        config = with_token(self.kubeconfig, self.token, self._folder / f"{self.world.namespace}-{candidate}.yaml", proxy.url)
        operator = HostOperator(candidate, self.world.namespace, proxy, config, options)
        self._stack.push_async_callback(operator.cleared_away)
        if self.world.prometheus == PROMETHEUS:
            self.world.prometheus = f"{proxy.url}/prometheus"  # the first one's proxy is the way to Prometheus
        return operator

    async def leading(self, candidate: str = "a", *options: str) -> HostOperator:
        """A new operator that holds the Lease."""
        operator = await self.operator(candidate, *options)
        operator.start()
        await self.led_by(operator)
        return operator

    async def led_again(self, operator: HostOperator) -> None:
        """It was killed, starts anew, and needn't wait for its own Lease to run out: for tests in which that proves nothing."""
        await self.api.patch("leases", self.world.namespace, LEASE, {"spec": {"holderIdentity": ""}})
        operator.start()
        await self.led_by(operator)

    async def led_by(self, operator: HostOperator, seconds: float = 40.0, *, other_than: str = "") -> None:
        """Waits until it holds the Lease; `other_than` is the identity of its own former process."""

        async def check() -> bool:
            holder = await self.holder()
            return holder != other_than and holder.startswith(f"{operator.candidate}_")

        try:
            await eventually(f"{operator.candidate} leads", check, seconds, every=0.05)
        except AssertionError as error:
            raise AssertionError(f"{error}; it said: {operator.said()}") from None

    async def holder(self) -> str:
        """Who holds the Lease; "" for nobody."""
        lease = await self.api.find("leases", self.world.namespace, LEASE)
        return "" if lease is None else lease["spec"].get("holderIdentity") or ""


@asynccontextmanager
async def host(api: Api, kubeconfig: Path, folder: Path, name: str) -> AsyncIterator[Host]:
    """A namespace for operators of the test's own, with what their account needs in it. Ends with all that was begun in it."""
    world = World.of(api, "crash", name)
    await world.begin()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(world.end)
        namespace, account = await account_of(api, "operator")
        await grant(api, world.namespace, namespace, account, _ELECTION)
        yield Host(world, kubeconfig, await token_of(api, namespace, account), folder, stack)


async def account_of(api: Api, component: str) -> tuple[str, str]:
    """Namespace and name of an installed component's service account. Admission policies let only the operator's write status and flags."""
    installed = await api.list("deployments", OPERATOR_NAMESPACE, f"app.kubernetes.io/component={component}")
    return OPERATOR_NAMESPACE, installed[0]["spec"]["template"]["spec"]["serviceAccountName"]


async def token_of(api: Api, namespace: str, account: str) -> str:
    """A token of a service account, good for as long as a test takes."""
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    answer = await api.request("POST", f"api/v1/namespaces/{namespace}/serviceaccounts/{account}/token", request)
    return str(answer["status"]["token"])


def with_token(kubeconfig: Path, token: str, path: Path, server: str = "") -> Path:
    """The same way to the API server, or one by `server`, for another account; written to `path`."""
    config = yaml.safe_load(kubeconfig.read_text())
    config["users"] = [{"name": config["users"][0]["name"], "user": {"token": token}}]
    if server:
        config["clusters"] = [{"name": config["clusters"][0]["name"], "cluster": {"server": server}}]
    path.write_text(yaml.safe_dump(config))
    return path


_ELECTION: list[Json] = [
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]},
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
]


async def grant(api: Api, namespace: str, of: str, account: str, rules: list[Json]) -> None:
    """Rights inside one namespace for a service account of another (`of`), beside those that the chart gives it."""
    metadata: Json = {"name": "host-operator", "namespace": namespace}
    await api.create("roles", {"metadata": metadata, "rules": rules})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "host-operator"}
    subjects = [{"kind": "ServiceAccount", "name": account, "namespace": of}]
    await api.create("rolebindings", {"metadata": metadata, "roleRef": role, "subjects": subjects})


def free_port() -> int:
    """Below the ports that connections get from the kernel, so that none of them can take it before the operator does."""
    while True:
        port = random.randrange(20000, 32000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
