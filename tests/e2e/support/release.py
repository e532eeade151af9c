"""A second release of the chart, beside the one that all tests share: in a namespace of its own, with rights in one other namespace."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.e2e.support.api import typed
from tests.e2e.support.installation import ROOT, Cluster, until

CHART = ROOT / "helm" / "tidegate"
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}


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
        done = self.cluster.ask(self.cluster.kubectl, *whom, *arguments, text=None if body is None else json.dumps(body))
        return Answer(done.returncode == 0, done.stdout + done.stderr)

    def get(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.cluster.run(self.cluster.kubectl, "get", *arguments, "-o", "json"))
        return found

    def patch(self, what: str, patch: object, *options: str, user: str | None = None) -> Answer:
        """A merge patch of an object in the watched namespace."""
        return self.kubectl("patch", what, "-n", self.watched, "--type=merge", f"--patch={json.dumps(patch)}", *options, user=user)

    def create(self, kind: str, body: dict[str, Any], *options: str, user: str | None = None) -> Answer:
        """Creates an object in the watched namespace; `body` as for `Api.create`."""
        return self.kubectl("create", "-n", self.watched, "-f", "-", *options, user=user, body=typed(kind, body))


@contextmanager
def installed(cluster: Cluster) -> Iterator[Release]:
    """The release, ready and guarded; removed afterwards with all that it held."""
    name = f"chart-{secrets.token_hex(3)}"
    release = Release(cluster, name, f"{name}-watched")
    for namespace, labels in ((release.namespace, RESTRICTED), (release.watched, {})):
        cluster.apply(typed("namespaces", {"metadata": {"name": namespace, "labels": labels}}))
    values = cluster.values(release.watched) | {"crds": {"enabled": False}}
    try:
        arguments = ["install", "tidegate", str(CHART), f"--namespace={name}", "--wait", "--timeout=120s", "--values=-"]
        cluster.run(cluster.helm, *arguments, text=json.dumps(values))
        _wait_until_guarded(release)
        yield release
    finally:
        release.kubectl("delete", "featurerollouts", "--all", "-n", release.watched, "--timeout=30s")
        cluster.run(cluster.helm, "uninstall", "tidegate", f"--namespace={name}", "--ignore-not-found")
        release.kubectl("delete", "namespace", release.namespace, release.watched, "--wait=false")


def _wait_until_guarded(release: Release) -> None:
    """A new policy is enforced some seconds after it was accepted."""
    dry, config_map = "--dry-run=server", {"metadata": {"name": "probe"}}
    until("status is guarded", lambda: not release.create("rolloutruns", rollout_run("probe"), dry).accepted)
    until("epochs are guarded", lambda: not release.create("configmaps", config_map, dry, user=release.operator).accepted)


def rollout_run(name: str) -> dict[str, Any]:
    """A record as the operator would write it."""
    spec = {"rollout": "feature", "uid": "00000000-0000-0000-0000-000000000000", "attempt": 1, "part": 1, "revision": ""}
    return {"metadata": {"name": name}, "spec": spec}
