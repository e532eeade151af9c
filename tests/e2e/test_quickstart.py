"""The quickstart as its reader types it: each command of its page, in order, on the real cluster, and what the page says that it prints.

Only what a reader replaces is replaced: the image, the Prometheus, and its job. And the release is a second one beside that of the other
tests: in a namespace of its own, without the definitions, for the quickstart's namespace alone.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.e2e.support.installation import OPERATOR_NAMESPACE, ROOT, Cluster, until
from tests.e2e.support.world import PROMETHEUS
from tests.pages import Command, commands, missing

NAMESPACE, SYSTEM = "tidegate-quickstart", "tidegate-quickstart-system"
SECOND = f"helm install --set crds.enabled=false --set 'watch.namespaces={{{NAMESPACE}*}}'"
IN_NAMESPACE = ("-n", NAMESPACE)
PATIENCE_SECONDS = 180


class Reader:
    """Somebody at a terminal, in a copy of the repository."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self._folder = folder
        path = f"{cluster.kubectl.parent}:{os.environ['PATH']}"
        self._environment = {**os.environ, "PATH": path, "KUBECONFIG": str(cluster.kubeconfig)}
        self._own = {"IMAGE": cluster.image, "PROMETHEUS": PROMETHEUS, "JOB": "pods"}
        (folder / "helm").symlink_to(ROOT / "helm")
        shutil.copytree(ROOT / "examples/quickstart", folder / "examples/quickstart")
        application = folder / "examples/quickstart/application.yaml"
        application.write_text(application.read_text().replace(OPERATOR_NAMESPACE, SYSTEM))

    def types(self, command: Command) -> None:
        """AssertionError where it fails, or doesn't print what the page shows."""
        began = time.monotonic()
        if command.assigns:
            self._environment[command.assigns[0]] = self._own[command.assigns[0]]
            return
        printed = self._run(command)
        left = missing(command.shown, printed)
        assert not left, f"{command.text} did not show {left}, but\n" + "\n".join(printed)
        print(f"{time.monotonic() - began:6.1f} s  {command.text}")

    def again(self, applied: list[Command]) -> None:
        """Repeats what applied manifests: nothing of it is new."""
        for command in applied:
            printed = self._run(command)
            assert all(line.endswith((" unchanged", " configured")) for line in printed), printed

    def _run(self, command: Command) -> list[str]:
        """What it prints; one that watches is ended as soon as that is what the page shows. AssertionError where it fails, or goes on."""
        argv = ["timeout", str(PATIENCE_SECONDS), "bash", "-o", "pipefail", "-c", command.text]
        printed: list[str] = []
        out, err = subprocess.PIPE, subprocess.STDOUT
        with subprocess.Popen(argv, cwd=self._folder, env=self._environment, stdout=out, stderr=err, text=True) as running:
            assert running.stdout is not None
            for line in running.stdout:
                printed.append(line.rstrip())
                if command.watches and not missing(command.shown, printed):
                    running.terminate()
        assert running.returncode == 0 or command.watches, f"{command.text}: {printed}"
        return printed


@pytest.fixture
def reader(cluster: Cluster, tmp_path: Path) -> Iterator[Reader]:
    _clean(cluster)  # after a run that was killed
    yield Reader(cluster, tmp_path)
    _clean(cluster)


def _clean(cluster: Cluster) -> None:
    """Takes everything out; after a whole page nothing is there."""
    cluster.ask(cluster.kubectl, "delete", "featurerollouts", "--all", *IN_NAMESPACE, "--timeout=30s")
    cluster.run(cluster.helm, "uninstall", "tidegate", f"--namespace={SYSTEM}", "--ignore-not-found")
    cluster.run(cluster.kubectl, "delete", f"namespace/{NAMESPACE}", f"namespace/{SYSTEM}", "--ignore-not-found", "--timeout=120s")
    cluster.run(cluster.kubectl, "delete", "rolloutpolicy/quickstart", "--ignore-not-found")


def searches(cluster: Cluster, variant: str) -> float:
    """How many of them Prometheus saw a second, within the last few."""
    query = quote(f'sum(rate(http_requests_total{{namespace="{NAMESPACE}",variant="{variant}"}}[5s]))')
    path = f"/api/v1/namespaces/monitoring/services/prometheus:9090/proxy/api/v1/query?query={query}"
    (series,) = json.loads(cluster.run(cluster.kubectl, "get", "--raw", path))["data"]["result"]
    return float(series["value"][1])


def raised(cluster: Cluster) -> list[list[int]]:
    """The percents that each attempt raised the feature to."""
    runs = json.loads(cluster.run(cluster.kubectl, "get", "rolloutruns", *IN_NAMESPACE, "--sort-by=.spec.attempt", "-o", "json"))["items"]
    return [[one["toPercent"] for one in run["status"]["records"] if one["transition"] == "StepEffective"] for run in runs]


def test_the_page_from_installing_to_cleaning_up(reader: Reader) -> None:
    page = commands((ROOT / "docs/quickstart.md").read_text().replace(OPERATOR_NAMESPACE, SYSTEM).replace("helm install", SECOND))
    applied = [command for command in page if command.text.endswith("kubectl apply -f -")]
    cluster = reader.cluster
    assert len(applied) == 3
    began = 0.0
    for number, command in enumerate(page):
        if command.text.startswith("helm install"):
            began, first = time.monotonic(), number
        reader.types(command)
        if "ROLLING_OUT" in command.text:
            print(f"{time.monotonic() - began:6.1f} s from helm install to the first step, {number - first + 1} commands")
        if command.watches or "FAILS=0.5" in command.text:
            reader.again(applied)
        if "RolledBack" in command.text:
            until("nobody has the new search", lambda: searches(cluster, "on") == 0 < searches(cluster, "off"))
        if "ENABLED" in command.text:
            until("everybody has the new search", lambda: searches(cluster, "off") == 0 < searches(cluster, "on"))
            fallen, climbed = raised(cluster)
            assert fallen in ([10, 50], [10, 50, 100])
            assert climbed == [10, 50, 100]
    assert not cluster.run(cluster.kubectl, "get", f"namespace/{NAMESPACE}", f"namespace/{SYSTEM}", "--ignore-not-found")
