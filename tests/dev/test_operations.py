import sys
from pathlib import Path

import pytest

from tests.dev.support import program
from tidegate_dev import backends, operations, tools
from tidegate_dev.errors import ClusterError
from tidegate_dev.settings import Settings
from tidegate_dev.tools import Tools


def test_nothing_is_installed_where_no_cluster_can_work(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def installed(_: Settings) -> Tools:
        raise AssertionError("tools were installed first")

    monkeypatch.setattr(tools, "ensure", installed)
    monkeypatch.setattr(backends, "docker_answers", lambda: True)
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ClusterError, match="runs on linux x86_64, and this is darwin"):
        operations.up(settings, "auto", (), "1s")


def test_the_shell_gets_kubectl_and_helm_and_nothing_that_would_hide_its_own_programs(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "tools"
    for name in ("go", "envoy", "kubectl", "helm"):
        program(folder / name)
    monkeypatch.setattr(tools, "ensure", lambda _: Tools(folder))
    settings.state.mkdir(parents=True)
    settings.kubeconfig.touch()
    assert operations.environment(settings) == operations.environment(settings)
    lines = operations.environment(settings).splitlines()
    assert lines == [f"export KUBECONFIG={settings.kubeconfig}", f"export PATH={settings.state / 'bin'}:$PATH"]
    assert {path.name: path.readlink() for path in (settings.state / "bin").iterdir()} == {
        "kubectl": folder / "kubectl",
        "helm": folder / "helm",
    }
