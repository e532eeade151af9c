"""Whose Tidegate is in the cluster before the demo, and what of it the demo may take away."""

import json
from pathlib import Path
from typing import Any

import pytest

from demo import beforehand
from demo.beforehand import Beforehand
from tidegate_dev.errors import ClusterError
from tidegate_dev.kube import Kube

OWN = {"meta.helm.sh/release-name": "tidegate", "meta.helm.sh/release-namespace": "tidegate-system"}


class Cluster(Kube):
    """Answers what `look` asks."""

    def __init__(self, *, namespace: bool = False, kinds: dict[str, str] | None = None, releases: tuple[dict[str, str], ...] = ()) -> None:
        super().__init__(Path("kubectl"), Path("kubeconfig"))
        self.namespace = namespace
        self.kinds = kinds
        self.releases = releases

    def run(self, *arguments: str, text: str | None = None, timeout: float = 60) -> str:
        match arguments[:2]:
            case "get", "namespace":
                return "tidegate-system Active" if self.namespace else ""
            case "get", "customresourcedefinition":
                return "" if self.kinds is None else json.dumps({"metadata": {"annotations": self.kinds}})
            case "get", "secrets":
                items: list[dict[str, Any]] = [{"metadata": {"labels": labels}} for labels in self.releases]
                return json.dumps({"items": items})
        raise AssertionError(arguments)


def release(version: int, **labels: str) -> dict[str, str]:
    return {"version": str(version), "name": "tidegate", "owner": "helm"} | {key.replace("_", "-"): value for key, value in labels.items()}


@pytest.mark.parametrize(
    ("cluster", "found"),
    [
        (Cluster(), Beforehand(namespace=False, kinds=False)),
        (Cluster(namespace=True), Beforehand(namespace=True, kinds=False)),
        (Cluster(namespace=True, kinds=OWN), Beforehand(namespace=True, kinds=True)),
        (Cluster(namespace=True, kinds=OWN, releases=(release(1, installed_by="tests"),)), Beforehand(namespace=True, kinds=True)),
    ],
    ids=["nothing", "a namespace", "kinds that an uninstalled release kept", "the release of the project's tests"],
)
def test_what_is_found_stays(cluster: Cluster, found: Beforehand) -> None:
    assert beforehand.look(cluster) == found


@pytest.mark.parametrize("first", [Beforehand(namespace=False, kinds=False), Beforehand(namespace=True, kinds=True)])
def test_what_an_earlier_demo_brought_is_known_to_be_the_demo_s(first: Beforehand) -> None:
    labels = release(2, **first.labels)
    assert beforehand.look(Cluster(namespace=True, kinds=OWN, releases=(release(1), labels))) == first


@pytest.mark.parametrize(
    ("cluster", "named"),
    [
        (Cluster(releases=(release(9, installed_by="demo"), release(10))), "release tidegate in namespace tidegate-system"),
        (Cluster(kinds={}), "the definition featurerollouts.tidegate.io, which belongs to no Helm release"),
        (Cluster(kinds=OWN | {"meta.helm.sh/release-name": "gate"}), "release gate in namespace tidegate-system"),
        (Cluster(kinds=OWN | {"meta.helm.sh/release-namespace": "ops"}), "release tidegate in namespace ops"),
    ],
    ids=["a release of the same name", "kinds applied by hand", "a release of another name", "a release elsewhere"],
)
def test_somebody_else_s_is_refused_with_the_remedy(cluster: Cluster, named: str) -> None:
    told = rf"already \({named}\), and the demo would change it: remove it first, or run the demo on a cluster of its own: .* --name demo"
    with pytest.raises(ClusterError, match=told):
        beforehand.look(cluster)
