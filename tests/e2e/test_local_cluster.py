"""dev/cluster itself, on a cluster of its own beside the one that the other tests share."""

import contextlib
import dataclasses
import json
import os
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.support.installation import once, until
from tests.e2e.support.second import Second, importing, pending
from tidegate_dev import archives, settings
from tidegate_dev.helm import Helm

pytestmark = pytest.mark.proof
FOLDER = Path(tempfile.gettempdir())
ALL_ADDONS = ("--addons", "prometheus,gateway")
GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: door, namespace: monitoring}
spec: {gatewayClassName: envoy, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: door, namespace: monitoring}
spec: {parentRefs: [{name: door}], rules: [{backendRefs: [{name: prometheus, port: 9090}]}]}
"""
NEVER_READY = """
apiVersion: batch/v1
kind: Job
metadata: {name: never, annotations: {helm.sh/hook: pre-install}}
spec:
  template:
    spec: {restartPolicy: Never, containers: [{name: never, image: "localhost/test/absent:1", imagePullPolicy: Never}]}
"""


def _cpu_seconds() -> float:
    """What all ended child processes, with theirs, have used so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.fixture(scope="module")
def shared() -> Iterator[Second]:
    """One for all test processes: a machine has room for no more. Who comes after the last test of another process makes it again."""
    root = FOLDER / "tidegate-second"
    cluster = Second(dataclasses.replace(settings.load("test"), state=root / "test"))
    yield cluster
    with once("tidegate-second", FOLDER):
        cluster.run("down")
        shutil.rmtree(root)


@pytest.fixture
def second(shared: Second) -> Iterator[Second]:
    """The cluster, for one test at a time, however the tests are spread over processes."""
    with once("tidegate-second", FOLDER):
        yield shared


def test_a_second_up_changes_nothing_and_takes_no_time(second: Second) -> None:
    second.run("up", *ALL_ADDONS)
    before = second.records()
    versions = second.versions()
    assert "envoy-gateway.v1" in versions, "Helm's record is compared too"
    began = _cpu_seconds()
    second.run("up", *ALL_ADDONS)
    # Processor time, because other tests may keep the machine busy; on an idle one it is what a person waits.
    assert _cpu_seconds() - began < 3
    assert second.records() == before
    assert second.versions() == versions
    assert "is whole" in second.run("status")


def test_prometheus_finds_pods_by_their_annotation(second: Second) -> None:
    second.run("up", "--addons", "prometheus")
    pod = second.kubectl("get", "pod", "-n", "monitoring", "-o", "jsonpath={.items[0].metadata.name}")
    second.kubectl("annotate", "pod", pod, "-n", "monitoring", "--overwrite", "prometheus.io/scrape=true", "prometheus.io/port=9090")
    query = "count_over_time(up{namespace='monitoring'}[10s])"
    path = f"/api/v1/namespaces/monitoring/services/prometheus:9090/proxy/api/v1/query?query={query}"

    def scraped_every_second() -> bool:
        result = json.loads(second.kubectl("get", f"--raw={path}"))["data"]["result"]
        return any(series["metric"]["pod"] == pod and int(series["value"][1]) >= 8 for series in result)

    until("the pod is scraped once a second", scraped_every_second)


def test_the_gateway_carries_requests(second: Second) -> None:
    second.run("up", *ALL_ADDONS)
    second.kubectl("apply", "-f", "-", text=GATEWAY)
    second.kubectl("wait", "--for=condition=Programmed", "gateway/door", "-n", "monitoring", "--timeout=90s")
    labels = "gateway.envoyproxy.io/owning-gateway-name=door"
    service = second.kubectl("get", "service", "-n", "envoy-gateway-system", "-l", labels, "-o", "jsonpath={.items[0].metadata.name}")

    def answered() -> bool:
        with contextlib.suppress(AssertionError):
            return "Ready" in second.kubectl("get", f"--raw=/api/v1/namespaces/envoy-gateway-system/services/{service}:80/proxy/-/ready")
        return False

    until("Prometheus answers through Envoy", answered)


def test_a_loaded_image_runs_without_any_registry(second: Second, tmp_path: Path) -> None:
    second.run("up", "--addons", "none")
    archive, reference = tmp_path / "image.tar", "localhost/test/pause:1"
    program = next(second.settings.cache.glob("programs/*/pause"))
    archives.write(archives.Image(reference, {"pause": program}, ("/pause",)), archive)
    assert second.run("load-image", str(archive)).splitlines()[-1] == reference
    assert second.run("load-image", str(archive)).splitlines() == [reference]
    second.kubectl("run", "loaded", f"--image={reference}", "--image-pull-policy=Never")
    second.kubectl("wait", "--for=condition=Ready", "pod/loaded", "--timeout=60s")
    assert second.kubectl("logs", "loaded") == ""


def test_a_release_that_a_killed_helm_left_pending_is_installed_anew(second: Second, tmp_path: Path) -> None:
    second.run("up", "--addons", "none")
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("{apiVersion: v2, name: stuck, version: 1.0.0}")
    (tmp_path / "templates/config.yaml").write_text("{apiVersion: v1, kind: ConfigMap, metadata: {name: arrived}}")
    hook = tmp_path / "templates/hook.yaml"
    hook.write_text(NEVER_READY)
    folder = next(second.settings.cache.glob("tools/*/programs"))
    stuck = subprocess.Popen([folder / "helm", "install", "stuck", tmp_path, f"--kubeconfig={second.settings.kubeconfig}"])
    until("the hook runs", lambda: "never" in second.kubectl("get", "jobs", "-o", "name"))
    stuck.kill()
    stuck.wait()
    hook.unlink()
    Helm(folder / "helm", second.settings).install("stuck", tmp_path, "default", {})
    assert "arrived" in second.kubectl("get", "configmaps", "-o", "name")
    second.kubectl("delete", "job", "never")


def test_dead_parts_are_told_and_replaced(second: Second) -> None:
    second.run("up", "--addons", "none")
    before = second.records()
    if second.native:
        for name in ("kube-apiserver", "containerd"):
            os.kill(before[name]["pid"], signal.SIGKILL)
    else:
        subprocess.run(["docker", "kill", f"{second.settings.full_name}-control-plane"], check=True, capture_output=True)
    code, text = second.call("status")
    assert code == 1
    assert "the API server does not answer" in text
    second.run("up", "--addons", "none")
    assert "is whole" in second.run("status")
    after = second.records()
    assert {name for name in before if after[name] != before[name]} == ({"kube-apiserver", "containerd"} if second.native else set())


def test_an_up_killed_anywhere_is_repaired_by_the_next(second: Second) -> None:
    second.run("up", "--addons", "none")
    native = [second.settings.state / "processes" / f"{name}.json" for name in ("kube-apiserver", "kubelet")]
    points = [second.settings.runtime / "network", *native] if second.native else [second.settings.backend]
    for point in points:
        second.run("down")
        second.killed_once(f"{point} is there", point.exists, "up", "--addons", "none")
        second.run("up", "--addons", "none")
        assert "is whole" in second.run("status"), f"killed when {point} appeared"


@pytest.mark.parametrize("point", [importing, pending])
def test_an_up_killed_among_the_addons_is_repaired_by_the_next(second: Second, point: Callable[[Second], bool]) -> None:
    second.run("up", "--addons", "none")
    second.run("down")
    assert second.killed_once(f"up gets to {point.__name__}", lambda: point(second), "up", *ALL_ADDONS, seconds=240)
    assert point is not pending or pending(second), "killed too late"
    second.run("up", *ALL_ADDONS)
    assert "is whole" in second.run("status")
    assert second.releases("deployed")
    assert not second.releases("pending-install")


def test_another_state_folder_with_a_cluster_of_that_name_is_refused(second: Second) -> None:
    second.run("up", "--addons", "none")
    before = second.records()
    with tempfile.TemporaryDirectory(prefix="tidegate-") as folder:
        other = Second(dataclasses.replace(second.settings, state=Path(folder) / second.settings.name))
        refusal = f"TIDEGATE_STATE={second.settings.state.parent}" if second.native else "was not made from the state folder"
        code, text = other.call("up", "--addons", "none")
        assert (code, refusal in text) == (1, True), text
        code, text = other.call("down")  # of kind's it takes the state folder alone
        assert (code, refusal in text) == ((1, True) if second.native else (0, False)), text
    assert "is whole" in second.run("status")
    assert second.records() == before


def test_two_at_once_make_one_cluster(second: Second) -> None:
    second.run("up", "--addons", "none")
    second.run("down")
    both = [second.begin("up", "--addons", "none") for _ in range(2)]
    texts = [running.communicate(timeout=300)[0] for running in both]
    assert [running.returncode for running in both] == [0, 0], texts
    assert "is whole" in second.run("status")


def test_down_leaves_nothing_and_ends_nobody_elses_process(second: Second) -> None:
    second.run("up", "--addons", "prometheus")
    assert second.call("status", "--leftovers")[0] == 1
    bystander = subprocess.Popen(["sleep", "600"])
    try:
        record = second.settings.state / "processes" / "etcd.json"
        if second.native:
            forged = json.loads(record.read_text()) | {"pid": bystander.pid}
            (record.parent / "recycled.json").write_text(json.dumps(forged))
        link, routes = second.network() if second.native else ("", [])
        second.run("down")
        assert second.traces() == []
        assert not link or not Path("/sys/class/net", link).exists()
        after = json.loads(subprocess.run(["ip", "-j", "-4", "route"], capture_output=True, check=True).stdout)
        assert not {route["dst"] for route in after} & set(routes)
        assert second.call("status", "--leftovers")[0] == 0
        assert bystander.poll() is None
        assert "was not there" in second.run("down")
    finally:
        bystander.kill()
        bystander.wait()


def test_a_killed_down_is_finished_by_the_next(second: Second) -> None:
    second.run("up", "--addons", "none")
    gone = second.settings.state / "processes" / "kube-scheduler.json" if second.native else second.settings.kubeconfig
    second.killed_once(f"{gone} is gone", lambda: not gone.exists(), "down")
    second.run("down")
    assert second.traces() == []
