"""What of Tidegate is in the cluster before the demo begins, and whose it is: the demo takes away what it brought, and nothing else."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from tidegate_dev.errors import ClusterError
from tidegate_dev.kube import Kube

RELEASE = "tidegate"
OPERATOR_NAMESPACE = "tidegate-system"
INSTALLER = "installed-by"
"""The label of a Helm release that says which of the project's own tools installed it."""

_KIND = "featurerollouts.tidegate.io"


@dataclass(frozen=True, slots=True)
class Beforehand:
    """Whether the operator's namespace and Tidegate's kinds were there before the first demo on this cluster."""

    namespace: bool
    kinds: bool

    @property
    def labels(self) -> dict[str, str]:
        """For the demo's own release, so that a demo after one that was killed or kept still knows."""
        return {INSTALLER: "demo", "found-namespace": str(self.namespace).lower(), "found-kinds": str(self.kinds).lower()}

    @classmethod
    def from_labels(cls, labels: Mapping[str, str]) -> Self:
        return cls(namespace=labels.get("found-namespace") != "false", kinds=labels.get("found-kinds") != "false")


def look(kube: Kube) -> Beforehand:
    """Raises ClusterError where somebody else's Tidegate is there: the demo would change its settings, and end it."""
    namespace = bool(kube.run("get", "namespace", OPERATOR_NAMESPACE, "--ignore-not-found"))
    kinds = _kinds(kube)
    release = _release(kube)
    if release is None:
        _check_owner(kinds)
        return Beforehand(namespace, kinds is not None)
    match release.get(INSTALLER):
        case "demo":
            return Beforehand.from_labels(release)
        case "tests":
            return Beforehand(namespace=True, kinds=True)
    raise _refused(f"release {RELEASE} in namespace {OPERATOR_NAMESPACE}")


def _release(kube: Kube) -> dict[str, str] | None:
    """The labels of the newest record that Helm has of the release, also of one that is pending or failed."""
    found = kube.json("get", "secrets", "-n", OPERATOR_NAMESPACE, "-l", f"owner=helm,name={RELEASE}")["items"]
    records: list[dict[str, str]] = [each["metadata"]["labels"] for each in found]
    return max(records, key=lambda labels: int(labels["version"]), default=None)


def _kinds(kube: Kube) -> dict[str, Any] | None:
    text = kube.run("get", "customresourcedefinition", _KIND, "--ignore-not-found", "-o", "json")
    return json.loads(text) if text.strip() else None


def _check_owner(kinds: dict[str, Any] | None) -> None:
    """Kinds that an uninstalled release of the demo's name left are taken over by Helm; others it would refuse to touch."""
    if kinds is None:
        return
    annotations = kinds["metadata"].get("annotations", {})
    name, namespace = (annotations.get(f"meta.helm.sh/release-{part}") for part in ("name", "namespace"))
    if name is None:
        raise _refused(f"the definition {_KIND}, which belongs to no Helm release")
    if (name, namespace) != (RELEASE, OPERATOR_NAMESPACE):
        raise _refused(f"release {name} in namespace {namespace}")


def _refused(what: str) -> ClusterError:
    return ClusterError(
        f"Tidegate is in this cluster already ({what}), and the demo would change it: remove it first, "
        "or run the demo on a cluster of its own: uv run python dev/demo/run.py --name demo"
    )
