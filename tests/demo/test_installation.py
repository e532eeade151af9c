"""What the demo installs and removes, seen at the command lines that it runs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo import beforehand
from demo.beforehand import Beforehand
from demo.installation import Installation
from demo.stage import Steps
from tests.demo.scenes import PLAN
from tidegate_dev import commands, operations, tools
from tidegate_dev.errors import ClusterError
from tidegate_dev.settings import Settings
from tidegate_dev.tools import Tools


class Commands:
    """Stands for kubectl and helm; keeps what they were asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.values: dict[str, Any] = {}

    def output(self, argv: commands.Arguments, *, text: str | None = None, **_: object) -> str:
        words = (str(word) for word in argv[1:] if not str(word).startswith(("--kubeconfig", "--cache-dir")))
        line = " ".join([Path(argv[0]).name, *words])
        self.asked.append(line)
        if line.startswith("helm upgrade"):
            self.values = json.loads(text or "")
        if line.startswith("helm list"):
            return "[]"
        return json.dumps({"items": []})

    def removals(self) -> list[str]:
        """The command lines that take something away."""
        return [line.partition(" --")[0] for line in self.asked if " delete " in line or " uninstall " in line]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Commands:
    found = Commands()
    monkeypatch.setattr(commands, "output", found.output)
    monkeypatch.setattr(operations, "up", lambda *_, **__: operations.Up("native", "localhost/tidegate:abc"))
    monkeypatch.setattr(tools, "ensure", lambda _: Tools(tmp_path))
    return found


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(Settings("default", tmp_path / "state", tmp_path / "runtime", tmp_path / "cache"))


def made(installation: Installation) -> None:
    steps = Steps(installation.names)
    installation.prepare(steps)
    installation.make(200, steps)
    installation.apply(PLAN)


@pytest.mark.parametrize(("name", "command"), [("default", "dev/cluster down"), ("second", "dev/cluster --name second down")])
def test_the_last_line_names_this_cluster_and_its_kubeconfig(name: str, command: str, tmp_path: Path) -> None:
    installation = Installation(Settings(name, tmp_path / name, tmp_path / "runtime", tmp_path / "cache"))
    assert f"Cluster '{name}' still runs ({command} removes it)" in installation.farewell()
    assert installation.farewell().endswith(str(installation.kubeconfig))
    assert installation.keep().endswith(str(installation.kubeconfig))


OBJECTS = ["kubectl delete namespace tidegate-demo", "kubectl delete rolloutpolicy tidegate-demo"]
RELEASE = "helm uninstall tidegate"


@pytest.mark.parametrize(
    ("found", "keep", "removals"),
    [
        (Beforehand(namespace=False, kinds=False), False, [*OBJECTS, RELEASE, "kubectl delete namespace tidegate-system"]),
        (Beforehand(namespace=True, kinds=True), True, [*OBJECTS, RELEASE]),
    ],
)
def test_what_the_demo_brought_goes_with_it(
    found: Beforehand, keep: bool, removals: list[str], installation: Installation, said: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beforehand, "look", lambda _: found)
    made(installation)
    assert installation.begun
    assert said.values["image"] == {"repository": "localhost/tidegate", "tag": "abc", "pullPolicy": "IfNotPresent"}
    assert said.values["crds"] == {"keep": keep}
    upgrade = next(line for line in said.asked if line.startswith("helm upgrade"))
    assert all(f"--labels={name}={value}" in upgrade for name, value in found.labels.items())
    by_hand = installation.how_to_remove()
    assert ("kubectl delete namespace tidegate-system" in by_hand) is not found.namespace
    said.asked.clear()
    installation.remove()
    assert said.removals() == removals
    assert not installation.begun


def failing(told: str) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise ClusterError(told)

    return fail


def test_nothing_is_begun_in_a_cluster_with_somebody_else_s(
    installation: Installation, said: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beforehand, "look", failing("Tidegate is in this cluster already"))
    with pytest.raises(ClusterError, match="already"):
        made(installation)
    assert not installation.begun
    assert said.asked == []


def test_nothing_is_installed_before_the_cluster_is_there(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "up", failing("the local cluster runs on linux x86_64"))
    monkeypatch.setattr(tools, "ensure", failing("tools were installed first"))
    with pytest.raises(ClusterError, match="linux x86_64"):
        made(installation)
