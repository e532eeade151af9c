"""The cluster and what is installed on it, once for all test processes: `dev/cluster up`, the image, the chart, the tools' pods."""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from demo.beforehand import INSTALLER
from tests.e2e.support.world import PROMETHEUS, TOOLS
from tidegate_dev import files, launch

ROOT = Path(__file__).resolve().parents[3]
PODS = Path(__file__).resolve().parent / "pods"
OPERATOR_NAMESPACE = "tidegate-system"
WATCHED = "e2e-*"
"""The installed operator looks after these namespaces only, so that tests can run operators of their own in others."""


@dataclass(frozen=True)
class Cluster:
    """Where the cluster is, and the programs that fit it."""

    kubeconfig: Path
    kubectl: Path
    helm: Path
    image: str

    def ask(self, program: Path, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """What kubectl or helm says."""
        command = [str(program), *arguments, "--kubeconfig", str(self.kubeconfig)]
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=180, check=False)

    def run(self, program: Path, *arguments: str, text: str | None = None) -> str:
        """Output of kubectl or helm; AssertionError with all that it said where it fails."""
        done = self.ask(program, *arguments, text=text)
        assert done.returncode == 0, f"{program.name} {' '.join(arguments)}: {done.stderr or done.stdout}"
        return done.stdout

    def apply(self, *objects: dict[str, Any]) -> None:
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.run(self.kubectl, "apply", "--server-side", "--force-conflicts", "-f", "-", text=json.dumps(items))

    def values(self, watched: str) -> dict[str, Any]:
        """Of the chart, for this image and the namespaces that it looks after."""
        repository, _, tag = self.image.rpartition(":")
        return {"image": {"repository": repository, "tag": tag, "pullPolicy": "Never"}, "watch": {"namespaces": [watched]}}


@contextmanager
def once(name: str, folder: Path) -> Iterator[None]:
    """One test process at a time."""
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def until(what: str, condition: Callable[[], bool], seconds: float = 60) -> None:
    """Returns once it holds; AssertionError where it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.02)


def bring_up(folder: Path) -> Cluster:
    """A whole cluster with the current image installed. The first process of a test run makes it so, the others find it."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    with once("tidegate-e2e", folder):
        if run is None:
            return _made()
        known = folder / f"tidegate-e2e-{run}.json"
        if not known.exists():
            _forget_ended_runs(folder)
            # Test processes are children of the one that the run was begun with.
            notes = {"cluster": asdict(_made()), "run": [os.getppid(), launch.start_time(os.getppid())]}
            files.write(known, json.dumps(notes, default=str))
        found = json.loads(known.read_text())["cluster"]
    return Cluster(Path(found["kubeconfig"]), Path(found["kubectl"]), Path(found["helm"]), found["image"])


def _forget_ended_runs(folder: Path) -> None:
    """Deletes their notes; at its end no process of a run knows that it is the last one."""
    for notes in folder.glob("tidegate-e2e-*.json"):
        pid, began = json.loads(notes.read_text()).get("run", (0, 0))
        if launch.start_time(pid) != began:
            notes.unlink()


def _made() -> Cluster:
    cluster = _prepared()
    _install(cluster)
    return cluster


def _prepared() -> Cluster:
    dev = str(ROOT / "dev/cluster")
    subprocess.run([sys.executable, dev, "up"], check=True, stdout=sys.stderr)
    image = _said(dev, "load-image").splitlines()[-1]
    environment = dict(line.removeprefix("export ").split("=", 1) for line in _said(dev, "env").splitlines() if "=" in line)
    programs = Path(environment["PATH"].strip("\"'").split(":")[0])
    return Cluster(Path(_said(dev, "kubeconfig").strip()), programs / "kubectl", programs / "helm", image)


def _said(*command: str) -> str:
    """Standard output; what is told on the way goes to the reader."""
    return subprocess.run([sys.executable, *command], check=True, stdout=subprocess.PIPE, text=True).stdout


def _install(cluster: Cluster) -> None:
    arguments = ["upgrade", "--install", "tidegate", str(ROOT / "helm/tidegate"), "--namespace", OPERATOR_NAMESPACE]
    arguments += [f"--labels={INSTALLER}=tests", "--create-namespace"]
    cluster.run(cluster.helm, *arguments, "--wait", "--timeout", "120s", "--values", "-", text=json.dumps(cluster.values(WATCHED)))
    scripts = {path.name: path.read_text() for path in PODS.glob("*.py")}
    cluster.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TOOLS}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "scripts", "namespace": TOOLS}, "data": scripts},
        *tool_pod(_tool_image(cluster, "exporter"), "exporter", 9000, scraped=True),
        *tool_pod(_tool_image(cluster, "fake-prometheus"), "fake-prometheus", 9090, scraped=False),
    )
    for name in ("exporter", "fake-prometheus"):
        cluster.run(cluster.kubectl, "-n", TOOLS, "rollout", "status", f"deployment/{name}", "--timeout=90s")


def _tool_image(cluster: Cluster, name: str) -> str:
    """The image that the tool runs on already, so that an edit of the operator doesn't empty its memory under a running test."""
    arguments = ("-n", TOOLS, "get", f"deployment/{name}", "--ignore-not-found", "-o", "jsonpath={.spec.template.spec.containers[0].image}")
    return cluster.run(cluster.kubectl, *arguments) or cluster.image


def tool_pod(image: str, tool: str, port: int, *, scraped: bool, namespace: str = TOOLS, name: str = "") -> list[dict[str, Any]]:
    """A Deployment that runs one of the scripts in support/pods on the project's own image, and its Service; both are named as it is, or
    `name`."""
    name = name or tool
    labels = {"app": name}
    script = PODS / f"{tool.replace('-', '_')}.py"
    annotations = {"tests/script": hashlib.sha256(script.read_bytes()).hexdigest()}  # a pod doesn't notice a new script by itself
    if scraped:
        annotations |= {"prometheus.io/scrape": "true", "prometheus.io/port": str(port)}
    container = {
        "name": name,
        "image": image,
        "imagePullPolicy": "Never",
        "command": ["python3", f"/scripts/{script.name}"],
        "env": [{"name": "PROMETHEUS", "value": PROMETHEUS}],
        "ports": [{"containerPort": port}],
        "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
        "volumeMounts": [{"name": "scripts", "mountPath": "/scripts"}],
    }
    pod = {
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
        "volumes": [{"name": "scripts", "configMap": {"name": "scripts"}}],
    }
    template = {"metadata": {"labels": labels, "annotations": annotations}, "spec": pod}
    spec = {"selector": {"matchLabels": labels}, "strategy": {"type": "Recreate"}, "template": template}
    ports = [{"port": port, "targetPort": port}]
    metadata = {"name": name, "namespace": namespace}
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"selector": labels, "ports": ports}},
    ]
