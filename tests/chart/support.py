"""Renders the chart and finds its way in what comes out. Nothing here needs a cluster."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "tidegate"
RELEASE, NAMESPACE = "tidegate", "tidegate-system"

REPOSITORY = "registry.example.com/tidegate"
PEER = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}
PROMETHEUS = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
DIGEST = "sha256:" + "a" * 64


def _off(*names: str) -> Json:
    return {name: {"enabled": False} for name in names}


MATRIX: dict[str, Json] = {
    "defaults": {},
    "operator alone": _off("flags", "crds"),
    "bare": {
        **_off("admissionPolicies", "podDisruptionBudget", "networkPolicy"),
        "rbac": {"create": False, "aggregateRoles": False},
        "metrics": {"scrapeAnnotations": False},
    },
    "some namespaces": {"watch": {"namespaces": ["shop", "pay"]}},
    "namespaces by glob": {"watch": {"namespaces": ["team-*", "shop"]}},
    "accounts of others": {
        "operator": {"serviceAccount": {"create": False, "name": "ours"}},
        "flags": {"serviceAccount": {"create": False, "name": "theirs"}},
    },
    "image by digest": {
        "image": {"repository": "registry.internal:5000/tidegate", "digest": DIGEST},
        "imagePullSecrets": [{"name": "pull"}],
    },
    "renamed": {"fullnameOverride": "gate", "nameOverride": "tide", "commonLabels": {"team": "platform"}},
    "closed network": {
        "networkPolicy": {
            "flagsFrom": [PEER],
            "metricsFrom": [PROMETHEUS],
            "egress": {"enabled": True, "rules": [{"to": [PROMETHEUS], "ports": [{"port": 9090}]}]},
        }
    },
    "monitored": {
        "metrics": {
            "scrapeAnnotations": False,
            "serviceMonitor": {"enabled": True, "renderMode": "alwaysRender"},
            "prometheusRule": {"enabled": True, "renderMode": "alwaysRender"},
            "dashboard": {"enabled": True},
        }
    },
    "scheduling": {
        "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "podDisruptionBudget": {"maxUnavailable": "50%"},
    },
    "pods": {
        "podLabels": {"mesh": "off", "app.kubernetes.io/name": "not-ours-to-change"},
        "podAnnotations": {"prometheus.io/scrape": "false"},
        "podSecurityContext": {"runAsUser": None, "runAsGroup": None},
        "operator": {"grace": 12.5, "leaseDuration": 4.5, "replicas": 3, "logFormat": "text", "logLevel": "DEBUG", "resources": {}},
        "flags": {"grace": 0, "maxStreams": 100000, "ofrep": {"corsOrigins": ["https://shop.example"], "metadata": True}},
    },
}


class RefusedError(Exception):
    """helm's answer to values that it did not accept."""


@dataclass(frozen=True)
class Chart:
    """`home` is helm's own folder for this test run. What was rendered once is not rendered again."""

    helm: Path
    home: Path
    rendered: dict[str, "Rendered"] = field(default_factory=dict)

    def run(self, *arguments: str, values: Json | None = None) -> str:
        """Output of helm, with an image where `values` name none. Raises RefusedError with what it said where it fails."""
        values = values or {}
        values = {**values, "image": {"repository": REPOSITORY, **values.get("image", {})}}
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.home), "KUBECONFIG": str(self.home / "no-cluster")}
        command: list[str | Path] = [self.helm, *arguments, "--values=-"]
        text = json.dumps(values)
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, env=environment, check=False)
        if done.returncode:
            raise RefusedError(done.stdout + done.stderr)
        return done.stdout

    def render(self, values: Json | None = None, *options: str, release: str = RELEASE, namespace: str = NAMESPACE) -> "Rendered":
        key = json.dumps([values, options, release, namespace])
        if key not in self.rendered:
            text = self.run("template", release, str(CHART), f"--namespace={namespace}", *options, values=values)
            self.rendered[key] = Rendered([each for each in yaml.load_all(text, yaml.CSafeLoader) if each])
        return self.rendered[key]

    def notes(self, values: Json | None = None) -> str:
        arguments = ("install", RELEASE, str(CHART), f"--namespace={NAMESPACE}", "--dry-run=client")
        return self.run(*arguments, values=values).partition("NOTES:\n")[2]


@dataclass(frozen=True)
class Rendered:
    """The objects of one rendering."""

    objects: list[Json]

    def of(self, *kinds: str) -> list[Json]:
        return [each for each in self.objects if each["kind"] in kinds]

    def one(self, kind: str, name: str) -> Json:
        (found,) = (each for each in self.of(kind) if each["metadata"]["name"] == name)
        return found

    def pods(self, component: str) -> Json:
        """The pod template of one Deployment."""
        (found,) = (each for each in self.of("Deployment") if each["metadata"]["labels"]["app.kubernetes.io/component"] == component)
        template: Json = found["spec"]["template"]
        return template


Grant = tuple[str, str, str]
"""Group, resource, verb."""


def grants(role: Json) -> Iterator[Grant]:
    """What a Role or ClusterRole allows, one by one."""
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    yield group, resource, verb
