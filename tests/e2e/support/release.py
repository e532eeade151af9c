"""A second release of the chart, beside the one that all tests share: in a namespace of its own, with rights in one other namespace."""

import json
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.e2e.support.installation import ROOT, Cluster

CHART = ROOT / "helm" / "tidegate"
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
_ENFORCED_WITHIN = 60.0


@dataclass(frozen=True)
class Answer:
    """What kubectl said; `text` is standard output, and standard error after it."""

    accepted: bool
    text: str


@dataclass(frozen=True)
class Release:
    """`namespace` holds the pods, `watched` is the namespace that they look after."""

    cluster: Cluster
    namespace: str
    watched: str

    @property
    def operator(self) -> str:
        """The operator as the API server knows it."""
        return f"system:serviceaccount:{self.namespace}:tidegate-operator"

    @property
    def flags(self) -> str:
        return f"system:serviceaccount:{self.namespace}:tidegate-flags"

    def kubectl(self, *arguments: str, user: str | None = None, body: object = None) -> Answer:
        """Asks the API server, as the administrator or as `user`; `body` goes in as JSON."""
        whom = [f"--as={user}"] if user else []
        done = subprocess.run(
            [self.cluster.kubectl, f"--kubeconfig={self.cluster.kubeconfig}", *whom, *arguments],
            input=None if body is None else json.dumps(body),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Answer(done.returncode == 0, done.stdout + done.stderr)

    def get(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.cluster.run(self.cluster.kubectl, "get", *arguments, "-o", "json"))
        return found

    def patch(self, what: str, patch: object, *options: str, user: str | None = None) -> Answer:
        """A merge patch of an object in the watched namespace."""
        return self.kubectl("patch", what, "-n", self.watched, "--type=merge", f"--patch={json.dumps(patch)}", *options, user=user)

    def create(self, body: dict[str, Any], *options: str, user: str | None = None) -> Answer:
        """Creates an object in the watched namespace."""
        return self.kubectl("create", "-n", self.watched, "-f", "-", *options, user=user, body=body)


@contextmanager
def installed(cluster: Cluster) -> Iterator[Release]:
    """The release, ready and guarded; removed afterwards with all that it held."""
    name = f"chart-{secrets.token_hex(3)}"
    release = Release(cluster, name, f"{name}-watched")
    cluster.apply(_namespace(release.namespace, RESTRICTED), _namespace(release.watched, {}))
    repository, _, tag = cluster.image.rpartition(":")
    values = {
        "image": {"repository": repository, "tag": tag, "pullPolicy": "Never"},
        "crds": {"enabled": False},
        "watch": {"namespaces": [release.watched]},
    }
    try:
        arguments = ["install", "tidegate", str(CHART), f"--namespace={name}", "--wait", "--timeout=120s", "--values=-"]
        cluster.run(cluster.helm, *arguments, text=json.dumps(values))
        _wait_until_guarded(release)
        yield release
    finally:
        release.kubectl("delete", "featurerollouts", "--all", "-n", release.watched, "--timeout=30s")
        cluster.run(cluster.helm, "uninstall", "tidegate", f"--namespace={name}", "--ignore-not-found")
        release.kubectl("delete", "namespace", release.namespace, release.watched, "--wait=false")


def _namespace(name: str, labels: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _wait_until_guarded(release: Release) -> None:
    """A new policy is enforced some seconds after it was accepted."""
    run = rollout_run("probe")
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe"}}
    until("status is guarded", lambda: not release.create(run, "--dry-run=server").accepted)
    until("epochs are guarded", lambda: not release.create(config_map, "--dry-run=server", user=release.operator).accepted)


def rollout_run(name: str) -> dict[str, Any]:
    """A record as the operator would write it."""
    spec = {"rollout": "feature", "uid": "00000000-0000-0000-0000-000000000000", "attempt": 1, "part": 1, "revision": ""}
    return {"apiVersion": "tidegate.io/v1alpha1", "kind": "RolloutRun", "metadata": {"name": name}, "spec": spec}


def until(what: str, check: Callable[[], bool], seconds: float = _ENFORCED_WITHIN) -> None:
    """Returns once `check` holds; AssertionError where it does not in time."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"after {seconds:g} s: {what}"
        time.sleep(0.2)
