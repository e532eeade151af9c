"""What is done with a kind cluster that is there already. A script stands for docker and kind."""

from pathlib import Path

import pytest

from tests.dev.support import program
from tidegate_dev import commands, debian, kind
from tidegate_dev.errors import ClusterError
from tidegate_dev.gobuild import Builder
from tidegate_dev.kind import KindCluster
from tidegate_dev.progress import progress
from tidegate_dev.settings import Settings
from tidegate_dev.tools import Tools

# A file `cluster` says that the cluster exists, `running` that its container runs, `late` how many questions go unanswered until the API
# server is ready. Whatever changes anything is noted in `calls`.
PROGRAM = """\
#!/bin/sh
cd {folder}
case "$(basename $0) $1 $2" in
  "kind get clusters") [ ! -e cluster ] || echo tidegate-default ;;
  "kind create cluster") echo create >> calls; [ ! -e refuses ] || exit 1; touch cluster running; mkdir -p {state}; touch {kubeconfig} ;;
  "kind delete cluster") echo delete >> calls; rm -f cluster running ;;
  "kind export kubeconfig") echo export >> calls; touch {kubeconfig} ;;
  "docker container inspect") if [ -e running ]; then echo true; else echo false; fi ;;
  kubectl*)
    [ -e running ] && [ -e {kubeconfig} ] || exit 1
    if [ -s late ]; then sed -i 1d late; exit 1; fi
    echo '{{"items": [{{"status": {{"conditions": [{{"type": "Ready", "status": "True"}}]}}}}]}}' ;;
  *) echo "not expected: $0 $@" >&2; exit 1 ;;
esac
"""


class Docker:
    """What the script keeps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __setitem__(self, name: str, text: str | None) -> None:
        path = self.folder / name
        path.unlink(missing_ok=True) if text is None else path.write_text(text)

    def calls(self) -> list[str]:
        """What was changed since the last question."""
        log = self.folder / "calls"
        text = log.read_text() if log.exists() else ""
        log.unlink(missing_ok=True)
        return text.split()


@pytest.fixture
def docker(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Docker:
    folder = tmp_path / "docker"
    text = PROGRAM.format(folder=folder, state=settings.state, kubeconfig=settings.kubeconfig)
    for name in ("docker", "kind", "kubectl"):
        program(folder / name, text)
    monkeypatch.setattr(commands, "search_path", lambda: f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(debian, "ensure", lambda *_: None)
    monkeypatch.setattr("tidegate_dev.kube.POLL_SECONDS", 0.0)
    return Docker(folder)


@pytest.fixture
def cluster(settings: Settings, docker: Docker, monkeypatch: pytest.MonkeyPatch) -> KindCluster:
    program(docker.folder / "go", "#!/bin/sh\necho go1.0\n")
    tools = Tools(docker.folder)
    monkeypatch.setattr(Builder, "program", lambda _, name: docker.folder / name)
    return KindCluster(settings, tools, Builder(settings, tools))


def test_one_that_is_on_its_way_up_is_waited_for(cluster: KindCluster, docker: Docker) -> None:
    cluster.make()
    assert docker.calls() == ["create"]
    docker["late"] = "no\n" * 5
    cluster.make()
    assert docker.calls() == [], "a whole one is left as it is"
    assert (docker.folder / "late").read_text() == ""


def test_a_lost_kubeconfig_is_written_again(cluster: KindCluster, docker: Docker, settings: Settings) -> None:
    cluster.make()
    settings.kubeconfig.unlink()
    cluster.make()
    assert docker.calls() == ["create", "export"]


@pytest.mark.parametrize(
    ("state", "text", "told"),
    [
        ("running", None, "the container tidegate-default-control-plane does not run"),
        ("late", "no\n" * 500, "the API server answers: not so"),
    ],
)
def test_a_broken_one_is_made_anew_and_that_is_said(
    state: str, text: str | None, told: str, cluster: KindCluster, docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, "START_SECONDS", 0.1)
    said: list[str] = []
    monkeypatch.setattr(progress, "say", said.append)
    cluster.make()
    docker[state] = text
    monkeypatch.setattr(cluster._kube, "node_ready", lambda: True)
    cluster.make()
    assert docker.calls() == ["create", "delete", "create"]
    assert len(said) == 1
    assert told in said[0]
    assert "deleting the kind cluster tidegate-default with all that is in it" in said[0]


def test_what_another_state_folder_made_is_neither_used_nor_deleted(cluster: KindCluster, docker: Docker, settings: Settings) -> None:
    docker["cluster"] = docker["running"] = ""
    settings.state.mkdir(parents=True)
    with pytest.raises(ClusterError, match=f"was not made from the state folder {settings.state}: set TIDEGATE_STATE"):
        cluster.make()
    cluster.remove()
    assert docker.calls() == []
    assert not settings.state.exists()


def test_what_was_made_here_is_removed(cluster: KindCluster, docker: Docker, settings: Settings) -> None:
    cluster.make()
    cluster.remove()
    assert docker.calls() == ["create", "delete"]
    assert not settings.state.exists()


def test_a_creation_that_failed_makes_nothing_one_s_own(cluster: KindCluster, docker: Docker) -> None:
    """As where somebody else made a cluster of that name at the same moment."""
    docker["refuses"] = ""
    with pytest.raises(ClusterError, match="kind create cluster failed"):
        cluster.make()
    docker["cluster"] = ""
    cluster.remove()
    assert docker.calls() == ["create"]
