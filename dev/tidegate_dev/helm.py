"""Installs charts, also over what a killed helm left behind."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from tidegate_dev import commands
from tidegate_dev.settings import Settings

SECONDS = 180


class Helm:
    """helm with the cluster's administrator kubeconfig, its caches inside the cluster's folder."""

    def __init__(self, helm: Path, settings: Settings) -> None:
        self._argv: list[str | Path] = [helm, f"--kubeconfig={settings.kubeconfig}"]
        folders = {f"HELM_{kind}_HOME": str(settings.state / "helm" / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        self._environment = {**os.environ, **folders}

    def install(
        self, release: str, chart: Path, namespace: str, values: Mapping[str, object], labels: Mapping[str, str] | None = None
    ) -> None:
        """Installs or upgrades; waits for the chart's hooks, not for its workloads. `labels` go to Helm's record of the release."""
        # A helm that was killed leaves its release "pending", and every later helm refuses to touch it.
        pending = json.loads(self._run("list", "--pending", "--output=json", f"--namespace={namespace}"))
        if any(found["name"] == release for found in pending):
            self.uninstall(release, namespace)
        self._run(
            *("upgrade", "--install", release, str(chart), f"--namespace={namespace}", "--create-namespace"),
            *("--values=-", f"--timeout={SECONDS}s"),
            *(f"--labels={name}={value}" for name, value in (labels or {}).items()),
            text=json.dumps(values),
        )

    def template(self, release: str, chart: Path, namespace: str, values: Mapping[str, object]) -> str:
        """What would be installed, as YAML. Asks no cluster."""
        return self._run("template", release, str(chart), f"--namespace={namespace}", "--values=-", text=json.dumps(values))

    def uninstall(self, release: str, namespace: str) -> None:
        self._run("uninstall", release, f"--namespace={namespace}", "--ignore-not-found", "--wait", f"--timeout={SECONDS}s")

    def _run(self, *arguments: str, text: str | None = None) -> str:
        return commands.output([*self._argv, *arguments], text=text, timeout=SECONDS + 30, env=self._environment)
