"""Applies the manifests in dev/manifests, once per content."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

from tidegate_dev import files
from tidegate_dev.kube import Kube
from tidegate_dev.progress import progress
from tidegate_dev.settings import DEV, Settings

READY_SECONDS = 120


def render(name: str, values: Mapping[str, str]) -> str:
    """The manifest with its ${placeholders} filled; raises KeyError for one that has no value."""
    return Template((DEV / "manifests" / f"{name}.yaml").read_text()).substitute(values)


def ensure(kube: Kube, settings: Settings, name: str, values: Mapping[str, str], deployments: Sequence[tuple[str, str]]) -> None:
    """Applies a manifest and waits for its Deployments (namespace, name), unless the cluster has both already."""
    manifest = render(name, values)
    if not is_current(kube, settings, name, manifest, deployments):
        with progress.step(f"installing {name}"):
            kube.apply(manifest)
            for namespace, deployment in deployments:
                kube.wait_rolled_out(namespace, deployment, READY_SECONDS)
        remember(settings, name, manifest)


def is_current(kube: Kube, settings: Settings, name: str, content: str, deployments: Sequence[tuple[str, str]]) -> bool:
    """Whether this very content was applied and its Deployments still stand."""
    applied = _applied(settings, name)
    if not applied.exists() or applied.read_text() != files.digest(content):
        return False
    found = kube.deployments()
    return all(found.get(f"{namespace}/{deployment}") for namespace, deployment in deployments)


def remember(settings: Settings, name: str, content: str) -> None:
    files.write(_applied(settings, name), files.digest(content))


def _applied(settings: Settings, name: str) -> Path:
    return settings.state / "applied" / name
