"""The demo without a cluster: a control plane without nodes, and Tidegate and its application as plain processes beside it."""

import dataclasses
import json
import shlex
import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import yaml

from demo import plan
from demo.api import Ends
from demo.beforehand import OPERATOR_NAMESPACE, RELEASE
from demo.plan import Json, Plan
from demo.stage import CHART, SCRAPE_INTERVAL, Steps
from tidegate_dev import backends, embedded, files, tools
from tidegate_dev.children import Children
from tidegate_dev.embedded import LOOPBACK, ControlPlane, answers, free_ports, plain_environment
from tidegate_dev.gobuild import Builder
from tidegate_dev.helm import Helm
from tidegate_dev.kube import Kube
from tidegate_dev.progress import progress
from tidegate_dev.settings import CHECKOUT, DEV, Settings

NEEDS_NODES = frozenset({"Deployment", "Service", "NetworkPolicy", "PodDisruptionBudget"})
"""What of the chart is about pods, of which there are none."""


class Embedded:
    """All of it lives in a temporary folder and in children of this process, and goes with it."""

    command = "make demo"
    names: tuple[str, ...] = (
        "get the programs",
        "start etcd and kube-apiserver",
        "install Tidegate's kinds, roles and admission policies",
        "start Prometheus",
        "start the operator and the flag server",
        "start the trading service and its traffic",
    )
    setup = timedelta(seconds=20)
    first_time = "5 minutes on two cores and 6 GB"
    stays = False
    begun = False

    def __init__(self, settings: Settings) -> None:
        self._cache = settings

    @property
    def about(self) -> str:
        return (
            "Tidegate's demo, for which nothing is installed and nobody has to be root: an API server (etcd, kube-apiserver), Prometheus, "
            "Tidegate and a trading service run as plain processes, on ports of 127.0.0.1 that are free."
        )

    @property
    def kubeconfig(self) -> Path:
        return self._own.kubeconfig

    def prepare(self, steps: Steps) -> None:
        steps.next()
        backends.check_platform()
        self._tools = tools.ensure(self._cache)
        builder = Builder(self._cache, self._tools)
        builder.build(embedded.PROGRAMS)
        folder = Path(tempfile.mkdtemp(prefix="tidegate-demo-"))
        self._own = dataclasses.replace(self._cache, name="demo", state=folder, runtime=folder)
        self._children = Children(self._logs)
        self.begun = True
        api, prometheus, self._operator, self._flags, self._ofrep, *self._trading = free_ports(5 + plan.REPLICAS)
        self._plane = ControlPlane(folder, self._children, builder.program, (api, prometheus))
        self._kube, self._helm = Kube(self._tools.kubectl, self.kubeconfig), Helm(self._tools.helm, self._own)

    def prometheus(self) -> str:
        return self._plane.prometheus

    def ends(self) -> Ends:
        return Ends(self.kubeconfig, self.prometheus(), tuple(f"http://{LOOPBACK}:{port}" for port in self._trading))

    def make(self, requests_per_second: float, steps: Steps) -> None:
        steps.next()
        with progress.step("starting the API server"):
            self._plane.start_api_server(self._kube, self.kubeconfig)
        steps.next()
        with progress.step("applying the chart"):
            self._apply_chart()
        steps.next()
        with progress.step("starting Prometheus"):
            targets = {(OPERATOR_NAMESPACE, "operator"): [self._operator], (plan.NAMESPACE, "trading"): self._trading}
            self._plane.start_prometheus(SCRAPE_INTERVAL, targets)
        steps.next()
        with progress.step("starting Tidegate"):
            self._start_tidegate()
        steps.next()
        with progress.step("starting the application"):
            self._start_application(requests_per_second)

    def apply(self, wanted: Plan) -> None:
        self._apply(wanted.manifests)

    def check(self) -> None:
        self._children.check()

    def keep(self) -> str:
        for program in (self._tools.kubectl, self._tools.helm):
            files.link(self._own.state / "bin" / program.name, program)
        return "\n".join(
            (
                "It goes on running. To look around, in another shell:",
                f"  export KUBECONFIG={shlex.quote(str(self.kubeconfig))}",
                f"  export PATH={shlex.quote(str(self._own.state / 'bin'))}:$PATH",
                *(f"  {line}" for line in plan.LOOK_AROUND),
                f"Prometheus answers at {self.prometheus()}; logs are in {self._logs}.",
                f"Ctrl-C ends it. Until then its kubeconfig is {self.kubeconfig}",
            )
        )

    def remove(self) -> None:
        with progress.step("stopping everything"):
            self._children.stop()
            shutil.rmtree(self._own.state)
        self.begun = False

    def how_to_remove(self) -> str:
        return f"  rm -r {shlex.quote(str(self._own.state))}"

    def evidence(self) -> str:
        return f"logs are in {self._logs}"

    def farewell(self) -> str:
        return f"Nothing of the demo runs any more, and its kubeconfig is gone; what was built stays in {self._cache.cache}."

    @property
    def _logs(self) -> Path:
        """They outlive the demo, up to the next one."""
        return self._cache.cache / "logs" / "demo"

    def _apply_chart(self) -> None:
        text = self._helm.template(RELEASE, CHART, OPERATOR_NAMESPACE, {"image": {"repository": "none"}})
        self._apply([_namespace(OPERATOR_NAMESPACE), plan.namespace(), *without_nodes(text)])
        self._kube.run("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")

    def _start_tidegate(self) -> None:
        """Each under its own service account, with the rights that the chart gives it, and no others."""
        for name, arguments in (
            ("operator", (f"--own-namespace={OPERATOR_NAMESPACE}", "--candidate=demo", f"--port={self._operator}")),
            ("flags", (f"--grpc-port={self._flags}", f"--http-port={self._ofrep}")),
        ):
            account = f"{RELEASE}-{name}"
            token = self._kube.run("create", "token", account, f"--namespace={OPERATOR_NAMESPACE}", "--duration=24h").strip()
            kubeconfig = self._own.state / f"{name}.kubeconfig"
            self._plane.write_kubeconfig(kubeconfig, account, token)
            self._python(name, "tidegate", name, f"--kubeconfig={kubeconfig}", f"--host={LOOPBACK}", "--log-format=text", *arguments)
        for name, port in (("operator", self._operator), ("flag server", self._ofrep)):
            self._wait(f"the {name} is ready", port, "readyz")

    def _start_application(self, requests_per_second: float) -> None:
        settings = {
            "FLAGS_HOST": LOOPBACK,
            "FLAGS_PORT": str(self._flags),
            "FLAGS_SELECTOR": f"{plan.NAMESPACE}/{plan.FLAG_SET}",
            "REQUESTS_PER_SECOND": f"{requests_per_second / plan.REPLICAS:g}",
        }
        for number, port in enumerate(self._trading):
            self._python(f"trading-{number}", "demo.application", **settings, HOST=LOOPBACK, PORT=str(port))
        for port in self._trading:
            self._wait("the application is ready", port, "healthz")

    def _python(self, name: str, module: str, *arguments: str, **environment: str) -> None:
        """A module of this checkout, run by this Python."""
        path = {"PYTHONPATH": f"{CHECKOUT / 'operator'}:{DEV}", "PYTHONDONTWRITEBYTECODE": "1"}
        self._children.start(name, [sys.executable, "-m", module, *arguments], {**plain_environment(), **path, **environment})

    def _wait(self, what: str, port: int, path: str) -> None:
        self._plane.wait(what, lambda: answers(f"http://{LOOPBACK}:{port}/{path}"))

    def _apply(self, objects: Sequence[Json]) -> None:
        self._kube.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))


def without_nodes(chart: str) -> list[Json]:
    """The objects of a rendered chart, but for those about pods."""
    return [one for one in yaml.safe_load_all(chart) if one and one["kind"] not in NEEDS_NODES]


def _namespace(name: str) -> Json:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
