"""What the demo puts into the cluster, made from the manifests beside this file."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from string import Template
from typing import Any

import yaml

from demo.beforehand import OPERATOR_NAMESPACE, RELEASE
from demo.scaling import Clock
from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.gates import Gate, Guard
from tidegate.api.rollout_policy import RolloutPolicySpec
from tidegate.api.strategies import Step
from tidegate.api.types import format_duration
from tidegate_dev import files

NAMESPACE = "tidegate-demo"
POLICY = "tidegate-demo"
FLAG_SET = "trading-flags"
CLIMBS, FALLS = "confidence-calibration", "drawdown-kelly"
BAD_AT_STEP = 2
REPLICAS = 2
PROMETHEUS = "http://prometheus.monitoring:9090"
"""Where a local cluster has it."""
DAYS = 3
"""How long the longest climb takes on the plan's clock."""
FLAGS_HOST, FLAGS_PORT = f"{RELEASE}-flags.{OPERATOR_NAMESPACE}", 8015
"""The Service of the flag server, as the chart names it for the demo's release."""

LOOK_AROUND = (
    f"kubectl get featurerollouts -n {NAMESPACE}",
    f"kubectl describe featurerollout {FALLS} -n {NAMESPACE}",
    f"kubectl get rolloutruns -n {NAMESPACE}",
)
"""What to look at, once KUBECONFIG and PATH are set."""

_HERE = Path(__file__).resolve().parent
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """The rollouts and their policy on the demo's clock: as manifests, and the specs parsed, by rollout."""

    clock: Clock
    manifests: tuple[Json, ...]
    specs: Mapping[str, FeatureRolloutSpec]
    guards: tuple[Guard, ...]

    @property
    def faulty_gate(self) -> Gate:
        """The gate whose reading the fault drives above its rollback bound."""
        return next(gate for gate in self.gates(FALLS) if gate.name == "max-drawdown")

    def gates(self, rollout: str) -> tuple[Gate, ...]:
        """The rollout's own gates; the plan uses no templates."""
        return tuple(gate.written_out for gate in self.specs[rollout].gates)

    def steps(self, rollout: str) -> tuple[Step, ...]:
        return self.specs[rollout].strategy.ladder()

    def dwell(self, rollout: str, percent: int) -> timedelta:
        """How long a step lasts at least."""
        return next((step.dwell for step in self.steps(rollout) if step.percent == percent), timedelta(0))

    def length(self, rollout: str) -> timedelta:
        """The sum of a rollout's dwells: the soonest that it can be ENABLED."""
        return sum((step.dwell for step in self.steps(rollout)), timedelta(0))


def load(clock: Clock, prometheus: str = PROMETHEUS) -> Plan:
    """The policy and the two rollouts, from their manifests. `prometheus`: its URL."""
    policy = clock.scaled_object(_manifest("policy"))
    policy["spec"]["prometheus"] |= {"url": prometheus, "interval": format_duration(clock.interval)}
    rollouts = tuple(clock.scaled_object(_manifest(name)) for name in (CLIMBS, FALLS))
    specs = {one["metadata"]["name"]: FeatureRolloutSpec.model_validate(one["spec"]) for one in rollouts}
    return Plan(clock, (policy, *rollouts), specs, RolloutPolicySpec.model_validate(policy["spec"]).guards)


def namespace() -> Json:
    """The demo's namespace; the pods in it must be as locked down as the API server can ask."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}


def application(image: str, requests_per_second: float) -> tuple[Json, Json]:
    """The application's code as a ConfigMap, and its Deployment. `requests_per_second` are shared among the replicas."""
    code = {path.name: path.read_text() for path in sorted((_HERE / "application").glob("*.py"))}
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "trading-code", "namespace": NAMESPACE}, "data": code}
    deployment = _manifest(
        "application",
        image=image,
        replicas=str(REPLICAS),
        flags_host=FLAGS_HOST,
        flags_port=str(FLAGS_PORT),
        code=files.digest(*(part for item in code.items() for part in item)),
        requests_per_second=f"{requests_per_second / REPLICAS:g}",
    )
    return config_map, deployment


def _manifest(name: str, **values: str) -> Json:
    """A manifest with its ${placeholders} filled; one without values is taken as it is, since `$namespace` belongs to a gate's query."""
    text = (_HERE / "manifests" / f"{name}.yaml").read_text()
    found: Json = yaml.safe_load(Template(text).substitute(values) if values else text)
    return found
