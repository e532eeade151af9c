"""Puts everything into the cluster that the demo needs, and takes it out again."""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from demo import beforehand, plan
from demo.beforehand import OPERATOR_NAMESPACE, RELEASE
from demo.plan import Json, Plan
from tidegate_dev import addons, operations, tools
from tidegate_dev.helm import Helm
from tidegate_dev.kube import Kube
from tidegate_dev.progress import progress
from tidegate_dev.settings import CHECKOUT, Settings

SCRAPE_INTERVAL = "1s"
READY_SECONDS = 120
DELETE_SECONDS = 90
CHART = CHECKOUT / "helm" / "tidegate"


class Installation:
    """The demo in one cluster. Every step may be repeated; what was there before the demo stays when it goes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._before = beforehand.Beforehand(namespace=True, kinds=True)
        self._has_kinds = False
        self.begun = False
        """Whether anything of the demo may be in the cluster."""

    @property
    def kubeconfig(self) -> Path:
        return self._settings.kubeconfig

    def make(self, wanted: Plan, requests_per_second: float) -> None:
        """Cluster, operator, flag server, application and rollouts. Raises ClusterError."""
        operations.up(self._settings, "auto", tuple(addons.IMAGES), SCRAPE_INTERVAL)
        self._before = beforehand.look(self._kube)
        image = operations.load_image(self._settings, None)
        self.begun = True
        with progress.step("installing the operator and the flag server"):
            self._install_chart(image)
        self._has_kinds = True
        self._remove_objects("removing an earlier demo")
        with progress.step("starting the demo's application"):
            self._apply([plan.namespace(), *plan.application(image, requests_per_second)])
            self._kube.wait_rolled_out(plan.NAMESPACE, "trading", READY_SECONDS)
        self._apply(wanted.manifests)

    def remove(self) -> None:
        """Deletes the demo's objects and its release, with the kinds where it brought them. The cluster stays. Raises ClusterError."""
        if self._has_kinds:
            self._remove_objects("removing the demo")
        with progress.step("uninstalling the operator and the flag server"):
            self._helm.uninstall(RELEASE, OPERATOR_NAMESPACE)
            if not self._before.namespace:
                self._delete("namespace", OPERATOR_NAMESPACE)
        self.begun = False

    def how_to_remove(self) -> str:
        """Commands that do what `remove` does, and how to get a kubectl for them. They also work where the operator doesn't."""
        finalizers = """--type=merge -p '{"metadata":{"finalizers":null}}'"""
        lines = [
            f'eval "$(dev/cluster --name {self._settings.name} env)"',
            f"kubectl delete namespace {plan.NAMESPACE} --wait=false",
            f"kubectl patch featurerollout -n {plan.NAMESPACE} {plan.CLIMBS} {plan.FALLS} {finalizers}",
            f"kubectl delete rolloutpolicy {plan.POLICY}",
            f"helm uninstall {RELEASE} --namespace {OPERATOR_NAMESPACE}",
        ]
        if not self._before.namespace:
            lines.append(f"kubectl delete namespace {OPERATOR_NAMESPACE}")
        return "\n".join(f"  {line}" for line in lines)

    @cached_property
    def _programs(self) -> tools.Tools:
        """Installed on the way by `make`, which first sees whether a cluster can work here."""
        return tools.ensure(self._settings)

    @cached_property
    def _kube(self) -> Kube:
        return Kube(self._programs.kubectl, self._settings.kubeconfig)

    @cached_property
    def _helm(self) -> Helm:
        return Helm(self._programs.helm, self._settings)

    def _install_chart(self, image: str) -> None:
        repository, _, tag = image.rpartition(":")
        image_values = {"repository": repository, "tag": tag, "pullPolicy": "IfNotPresent"}
        values = {"image": image_values, "crds": {"keep": self._before.kinds}}
        self._helm.install(RELEASE, CHART, OPERATOR_NAMESPACE, values, labels=self._before.labels)
        of_release = ("-n", OPERATOR_NAMESPACE, "-l", f"app.kubernetes.io/instance={RELEASE}")
        for deployment in self._kube.json("get", "deployments", *of_release)["items"]:
            self._kube.wait_rolled_out(OPERATOR_NAMESPACE, deployment["metadata"]["name"], READY_SECONDS)

    def _apply(self, objects: Sequence[Json]) -> None:
        self._kube.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))

    def _remove_objects(self, what: str) -> None:
        """The operator takes its finalizers off the rollouts, so that it must still run."""
        with progress.step(what):
            self._delete("namespace", plan.NAMESPACE)
            self._delete("rolloutpolicy", plan.POLICY)

    def _delete(self, kind: str, name: str) -> None:
        gone = ["--ignore-not-found", "--wait=true", f"--timeout={DELETE_SECONDS}s"]
        self._kube.run("delete", kind, name, *gone, timeout=DELETE_SECONDS + 10)
