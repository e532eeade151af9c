"""Speaks to the cluster with kubectl, which works alike on both kinds of cluster."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tidegate_dev import commands
from tidegate_dev.errors import ClusterError

POLL_SECONDS = 0.25


class Kube:
    """kubectl with the cluster's administrator kubeconfig."""

    def __init__(self, kubectl: Path, kubeconfig: Path) -> None:
        self._argv: list[str | Path] = [kubectl, f"--kubeconfig={kubeconfig}", f"--cache-dir={kubeconfig.parent / 'kubectl-cache'}"]

    def run(self, *arguments: str, text: str | None = None, timeout: float = 60) -> str:
        return commands.output([*self._argv, *arguments], text=text, timeout=timeout)

    def json(self, *arguments: str, timeout: float = 30) -> dict[str, Any]:
        """The object or list that `kubectl … -o json` prints."""
        found: dict[str, Any] = json.loads(self.run(*arguments, "-o", "json", timeout=timeout))
        return found

    def apply(self, manifest: str) -> None:
        """Server-side apply, so that nothing depends on what an earlier version of the manifest held."""
        self.run("apply", "--server-side", "--force-conflicts", "--field-manager=tidegate-dev", "-f", "-", text=manifest)

    def answers(self) -> bool:
        """Whether the API server is ready."""
        return commands.succeeds([*self._argv, "get", "--raw=/readyz", "--request-timeout=2s"], timeout=5)

    def node_ready(self) -> bool:
        """Whether there is a node and every one is ready."""
        try:
            nodes = self.json("get", "nodes", "--request-timeout=3s")["items"]
        except ClusterError:
            return False
        return bool(nodes) and all(_ready(node) for node in nodes)

    def deployments(self) -> dict[str, bool]:
        """Every Deployment as namespace/name → whether its newest template is rolled out completely."""
        return {
            f"{item['metadata']['namespace']}/{item['metadata']['name']}": _rolled_out(item)
            for item in self.json("get", "deployments", "-A")["items"]
        }

    def wait_rolled_out(self, namespace: str, deployment: str, seconds: float) -> None:
        """Raises ClusterError with what its pods say when the Deployment is not complete in time."""
        try:
            wait = ["rollout", "status", f"deployment/{deployment}", "-n", namespace, f"--timeout={seconds:.0f}s"]
            self.run(*wait, timeout=seconds + 10)
        except ClusterError as problem:
            pods = self.run("get", "pods", "-n", namespace, "-o", "wide")
            events = self.run(
                "get", "events", "-n", namespace, "--sort-by=.lastTimestamp", "-o", "custom-columns=:.reason,:.message", "--no-headers"
            )
            last = "\n".join(events.splitlines()[-6:])
            raise ClusterError(f"deployment {namespace}/{deployment} is not ready after {seconds:.0f} s\n{pods}{last}") from problem


def _ready(node: dict[str, Any]) -> bool:
    return any(found["type"] == "Ready" and found["status"] == "True" for found in node["status"].get("conditions", []))


def _rolled_out(item: dict[str, Any]) -> bool:
    wanted, status = item["spec"].get("replicas", 1), item["status"]
    current = status.get("observedGeneration", 0) >= item["metadata"]["generation"]
    return bool(current and wanted == status.get("updatedReplicas", 0) == status.get("availableReplicas", 0) == status.get("replicas", 0))


def wait_until(what: str, condition: Callable[[], bool], seconds: float) -> None:
    """Returns as soon as the condition holds; raises ClusterError that names it otherwise."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ClusterError(f"{what}: not so after {seconds:.0f} s")
        time.sleep(POLL_SECONDS)
