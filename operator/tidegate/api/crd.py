"""The CustomResourceDefinitions of every kind, built from the models."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from tidegate.api.base import GROUP, VERSION, Rule
from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.rollout_policy import RolloutPolicySpec, RolloutPolicyStatus
from tidegate.api.rollout_run import RolloutRunSpec, RolloutRunStatus
from tidegate.api.rollout_status import FeatureRolloutStatus
from tidegate.api.structural import structural_schema


@dataclass(frozen=True, slots=True)
class Column:
    """One column of `kubectl get`. Priority 1 shows with `-o wide`."""

    name: str
    json_path: str
    type: str = "string"
    priority: int = 0
    description: str = ""

    def to_schema(self) -> dict[str, Any]:
        out = {"name": self.name, "jsonPath": self.json_path, "type": self.type, "description": self.description}
        return {key: value for key, value in out.items() if value} | ({"priority": self.priority} if self.priority else {})


@dataclass(frozen=True, slots=True)
class KindDefinition:
    """One kind of the API group."""

    kind: str
    plural: str
    short_names: tuple[str, ...]
    namespaced: bool
    spec: type[BaseModel]
    status: type[BaseModel]
    columns: tuple[Column, ...]
    status_default: dict[str, Any]
    rules: tuple[Rule, ...] = ()
    selectable: tuple[str, ...] = ()
    """Fields that lists can be narrowed by: `kubectl get fro --field-selector status.phase=Progressing`. From Kubernetes 1.32 on."""


_AGE = Column("Age", ".metadata.creationTimestamp", "date")
_READY = Column("Ready", '.status.conditions[?(@.type=="Ready")].status')
_NEVER_OBSERVED = {"observedGeneration": -1}

KINDS: tuple[KindDefinition, ...] = (
    KindDefinition(
        kind="FeatureRollout",
        plural="featurerollouts",
        short_names=("fro",),
        namespaced=True,
        spec=FeatureRolloutSpec,
        status=FeatureRolloutStatus,
        columns=(
            Column("State", ".status.state", description="What the feature's clients see"),
            Column("Phase", ".status.phase"),
            Column("Percent", ".status.percent", "integer", description="Exposure as read back"),
            _READY,
            Column("Reason", '.status.conditions[?(@.type=="Ready")].reason', description="Why it is, or isn't, ready"),
            Column("Step", ".status.step", "integer", priority=1),
            Column("Of", ".status.steps", "integer", priority=1),
            Column("Revision", ".status.revision", priority=1),
            Column("Waiting For", ".status.waitingFor", priority=1),
            _AGE,
        ),
        status_default=_NEVER_OBSERVED,
        selectable=(".status.phase", ".status.state"),
        rules=(
            Rule(
                "size(self.metadata.name) <= 63",
                "metadata.name must have at most 63 characters: it becomes the value of a label on the rollout's records",
            ),
        ),
    ),
    KindDefinition(
        kind="RolloutPolicy",
        plural="rolloutpolicies",
        short_names=("rpol",),
        namespaced=False,
        spec=RolloutPolicySpec,
        status=RolloutPolicyStatus,
        columns=(
            Column("Prometheus", ".spec.prometheus.url"),
            Column("Interval", ".spec.prometheus.interval"),
            _READY,
            Column("Message", '.status.conditions[?(@.type=="Ready")].message', priority=1),
            _AGE,
        ),
        status_default=_NEVER_OBSERVED,
    ),
    KindDefinition(
        kind="RolloutRun",
        plural="rolloutruns",
        short_names=("rrun",),
        namespaced=True,
        spec=RolloutRunSpec,
        status=RolloutRunStatus,
        columns=(
            Column("Rollout", ".spec.rollout"),
            Column("Attempt", ".spec.attempt", "integer"),
            Column("Revision", ".spec.revision"),
            Column("Records", ".status.count", "integer"),
            Column("Rejected", ".status.rejected", "boolean"),
            _AGE,
        ),
        status_default={},
    ),
)


def custom_resource_definition(definition: KindDefinition) -> dict[str, Any]:
    """One CustomResourceDefinition, ready to be applied."""
    status = structural_schema(definition.status)
    if definition.status_default:
        # kstatus reads an object without a status as Current: until the first reconcile it must not be
        status["default"] = definition.status_default
    schema: dict[str, Any] = {
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural_schema(definition.spec),
            "status": status,
        },
    }
    if definition.rules:
        schema["x-kubernetes-validations"] = [rule.to_schema() for rule in definition.rules]
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [column.to_schema() for column in definition.columns],
    }
    if definition.selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in definition.selectable]
    names = {
        "kind": definition.kind,
        "listKind": f"{definition.kind}List",
        "plural": definition.plural,
        "singular": definition.kind.lower(),
        "shortNames": list(definition.short_names),
        "categories": ["tidegate"],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{definition.plural}.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Namespaced" if definition.namespaced else "Cluster", "names": names, "versions": [version]},
    }
