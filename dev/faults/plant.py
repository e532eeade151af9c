"""What a fault may hit, as processes of the caller on loopback: a control plane without nodes, two operators, two flag servers."""

import asyncio
import contextlib
import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp

from demo.beforehand import OPERATOR_NAMESPACE, RELEASE
from demo.embedded import without_nodes
from faults.processes import Processes
from tidegate_dev import backends, embedded, tools
from tidegate_dev.embedded import LOOPBACK, ControlPlane, answers, free_ports, plain_environment
from tidegate_dev.errors import ClusterError
from tidegate_dev.gobuild import Builder
from tidegate_dev.helm import Helm
from tidegate_dev.kube import Kube
from tidegate_dev.settings import DEV, Settings

ETCD, API_SERVER, PROMETHEUS = embedded.PROGRAMS
OPERATORS = ("operator-a", "operator-b")
FLAG_SERVERS = ("flags-a", "flags-b")
LEASE = "tidegate"
SCRAPE_INTERVAL = "1s"
LANES = 8
"""How many applications Prometheus knows."""
_ASKED_FOR, _ASKED_EVERY = 0.5, 0.02


class PlaneOfJson(ControlPlane):
    """Its API server stores what is built in as JSON, so that whoever reads etcd can read it."""

    def _api_server_flags(self) -> dict[str, object]:
        return super()._api_server_flags() | {"storage-media-type": "application/json"}


class Plant:
    """`folder` is its own. `product`: the checkout whose chart and code are put to the test. Raises ClusterError where it can't be here."""

    def __init__(self, cache: Settings, folder: Path, product: Path) -> None:
        backends.check_platform()
        self._tools = tools.ensure(cache)
        builder = Builder(cache, self._tools)
        if missing := builder.missing(embedded.PROGRAMS):
            raise ClusterError(f"not built yet: {', '.join(missing)}; `make demo` builds them, once and in minutes")
        self._own = dataclasses.replace(cache, name="faults", state=folder, runtime=folder)
        self._folder, self._product = folder, product
        self.processes = Processes(cache.cache / "logs" / "faults")
        api, prometheus, *ports = free_ports(2 + len(OPERATORS) + 2 * len(FLAG_SERVERS) + LANES)
        self._plane = PlaneOfJson(folder, self.processes, builder.program, (api, prometheus))
        self._kube, self._helm = Kube(self._tools.kubectl, self.kubeconfig), Helm(self._tools.helm, self._own)
        self.exporters, ports = tuple(ports[:LANES]), ports[LANES:]
        self.operators = dict(zip(OPERATORS, ports, strict=False))
        self.flag_servers = dict(zip(FLAG_SERVERS, zip(ports[2::2], ports[3::2], strict=True), strict=True))
        """(port of gRPC, port of HTTP)."""

    @property
    def kubeconfig(self) -> Path:
        return self._own.kubeconfig

    @property
    def prometheus(self) -> str:
        return self._plane.prometheus

    @property
    def etcd(self) -> Path:
        """The socket on which etcd answers."""
        return self._folder / "etcd.sock"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Starts everything; it ends with the block."""
        try:
            self._plane.start_api_server(self._kube, self.kubeconfig)
            self._apply_chart()
            self._plane.start_prometheus(SCRAPE_INTERVAL, {("faults", "application"): self.exporters})
            self._start_tidegate()
            yield
        finally:
            self.processes.stop()

    async def kept_alive(self) -> None:
        """The kubelet's part, at once. Runs until cancelled."""
        self.processes.keep((*OPERATORS, *FLAG_SERVERS))
        while True:
            self.processes.revive()
            await asyncio.sleep(_ASKED_EVERY)

    async def ready(self, name: str, seconds: float = 60.0) -> float:
        """When the process, started or thawed, answers again as one that does its work. Raises ClusterError."""
        deadline = time.monotonic() + seconds
        timeout = aiohttp.ClientTimeout(total=_ASKED_FOR)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(force_close=True)) as session:
            while time.monotonic() < deadline:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                    async with session.get(self._health(name)) as answer:
                        if answer.status == 200:
                            return time.time()
                await asyncio.sleep(_ASKED_EVERY)
        raise ClusterError(f"{name} is not ready after {seconds:.0f} s")

    def _health(self, name: str) -> str:
        if name == PROMETHEUS:
            return f"{self.prometheus}/-/ready"
        port = self.operators[name] if name in self.operators else self.flag_servers[name][1]
        return f"http://{LOOPBACK}:{port}/{'healthz' if name in self.operators else 'readyz'}"

    def _apply_chart(self) -> None:
        chart = self._product / "helm" / "tidegate"
        text = self._helm.template(RELEASE, chart, OPERATOR_NAMESPACE, {"image": {"repository": "none"}})
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OPERATOR_NAMESPACE}}
        items = [namespace, *without_nodes(text)]
        self._kube.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        self._kube.run("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")

    def _start_tidegate(self) -> None:
        """Each under the service account that the chart gives it, as pods whose containers may be restarted."""
        for name, port in self.operators.items():
            where = (f"--own-namespace={OPERATOR_NAMESPACE}", f"--candidate={name}", f"--port={port}", f"--lease-name={LEASE}")
            self._start(name, "operator", *where)
        for name, (grpc, http) in self.flag_servers.items():
            self._start(name, "flags", f"--grpc-port={grpc}", f"--http-port={http}")
        for name in (*OPERATORS, *FLAG_SERVERS):
            self._plane.wait(f"{name} is ready", lambda name=name: answers(self._health(name)))  # type: ignore[misc]

    def _start(self, name: str, component: str, *arguments: str) -> None:
        account, kubeconfig = f"{RELEASE}-{component}", self._folder / f"{name}.kubeconfig"
        token = self._kube.run("create", "token", account, f"--namespace={OPERATOR_NAMESPACE}", "--duration=24h").strip()
        self._plane.write_kubeconfig(kubeconfig, account, token)
        path = {"PYTHONPATH": f"{self._product / 'operator'}:{DEV}", "PYTHONDONTWRITEBYTECODE": "1", "POD_UID": f"uid-of-{name}"}
        command = [sys.executable, "-m", "tidegate", component, f"--kubeconfig={kubeconfig}", f"--host={LOOPBACK}", "--log-format=text"]
        self.processes.start(name, [*command, *arguments], plain_environment() | path)
