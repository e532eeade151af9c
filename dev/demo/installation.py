"""The demo on a whole cluster: puts everything into it that the demo needs, and takes it out again."""

import json
import shlex
from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from pathlib import Path

from demo import beforehand, plan
from demo.api import Ends
from demo.beforehand import OPERATOR_NAMESPACE, RELEASE
from demo.plan import Json, Plan
from demo.stage import CHART, SCRAPE_INTERVAL, Steps
from tidegate_dev import addons, operations, tools
from tidegate_dev.helm import Helm
from tidegate_dev.kube import Kube
from tidegate_dev.progress import progress
from tidegate_dev.settings import DEFAULT_NAME, Settings

READY_SECONDS = 120
DELETE_SECONDS = 90


class Installation:
    """The demo in one cluster. Every step may be repeated; what was there before the demo stays when it goes."""

    command = "make demo-cluster"
    names: tuple[str, ...] = (
        "make the cluster, or use the one that there is, and build Tidegate's image",
        "install the operator and the flag server",
        "start the trading service and its traffic",
    )
    setup = timedelta(seconds=40)
    first_time = "8 minutes on two cores and 10 GB, less with Docker"
    stays = True
    begun = False

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._before = beforehand.Beforehand(namespace=True, kinds=True)
        self._has_kinds = False
        self._image = ""

    @property
    def about(self) -> str:
        return (
            f"Tidegate's demo on a whole Kubernetes cluster on this machine, {self._settings.name!r}, with Prometheus, Tidegate and a "
            "trading service in pods. What the demo brings into the cluster goes at the end; the cluster stays."
        )

    @property
    def kubeconfig(self) -> Path:
        return self._settings.kubeconfig

    def prepare(self, steps: Steps) -> None:
        """Raises ClusterError also where somebody else's Tidegate is in the cluster."""
        steps.next()
        self._image = operations.up(self._settings, "auto", addons.DEFAULT, SCRAPE_INTERVAL, image=True).image or ""
        self._before = beforehand.look(self._kube)

    def prometheus(self) -> str:
        return plan.PROMETHEUS

    def ends(self) -> Ends:
        return Ends(self.kubeconfig)

    def make(self, requests_per_second: float, steps: Steps) -> None:
        self.begun = True
        steps.next()
        with progress.step("installing the operator and the flag server"):
            self._install_chart(self._image)
        self._has_kinds = True
        self._remove_objects("removing an earlier demo")
        steps.next()
        with progress.step("starting the demo's application"):
            self._apply([plan.namespace(), *plan.application(self._image, requests_per_second)])
            self._kube.wait_rolled_out(plan.NAMESPACE, "trading", READY_SECONDS)

    def apply(self, wanted: Plan) -> None:
        self._apply(wanted.manifests)

    def check(self) -> None:
        """Whatever fails in the cluster shows in what the demo looks at."""

    def keep(self) -> str:
        return "\n".join(
            (
                "It goes on running. To look around:",
                f"  {self._environment}",
                *(f"  {line}" for line in plan.LOOK_AROUND),
                "To remove it:",
                self.how_to_remove(),
                f"Until then the kubeconfig of cluster {self._settings.name!r} is {self.kubeconfig}",
            )
        )

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
            self._environment,
            f"kubectl delete namespace {plan.NAMESPACE} --wait=false",
            f"kubectl patch featurerollout -n {plan.NAMESPACE} {plan.CLIMBS} {plan.FALLS} {finalizers}",
            f"kubectl delete rolloutpolicy {plan.POLICY}",
            f"helm uninstall {RELEASE} --namespace {OPERATOR_NAMESPACE}",
        ]
        if not self._before.namespace:
            lines.append(f"kubectl delete namespace {OPERATOR_NAMESPACE}")
        return "\n".join(f"  {line}" for line in lines)

    def evidence(self) -> str:
        return f"run it with KEEP=1: kubectl describe featurerollouts -n {plan.NAMESPACE}, and the operator's logs"

    def farewell(self) -> str:
        return (
            f"The demo is removed. Cluster {self._settings.name!r} still runs ({self._command('down')} removes it); "
            f"its kubeconfig: {self.kubeconfig}"
        )

    @property
    def _environment(self) -> str:
        return f'eval "$({self._command("env")})"'

    def _command(self, command: str) -> str:
        """Such as `dev/cluster --name second down`."""
        name = "" if self._settings.name == DEFAULT_NAME else f"--name {shlex.quote(self._settings.name)} "
        return f"dev/cluster {name}{command}"

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
