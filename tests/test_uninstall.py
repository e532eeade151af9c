"""After the operator is gone: which objects let go of its finalizer, and what an API server in trouble costs."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.apiserver import ApiServer, Fault
from tidegate import uninstall
from tidegate.clients.kubernetes import Kubernetes
from tidegate.domain.decision import FINALIZER

THEIRS = "example.com/theirs"


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ApiServer]:
    monkeypatch.setattr(uninstall, "_PAUSE", 0.01)
    async with ApiServer.running() as server:
        for namespace in ("shop", "pay"):
            await put(server, namespace, "climbs", FINALIZER, THEIRS)
            await put(server, namespace, "succeeded")
        yield server


@pytest.fixture
async def kubernetes(server: ApiServer, tmp_path: Path) -> AsyncIterator[Kubernetes]:
    async with Kubernetes.connect(server.kubeconfig(tmp_path), time_limit=2.0) as kubernetes:
        yield kubernetes


async def put(server: ApiServer, namespace: str, name: str, *finalizers: str) -> None:
    await server.put("featurerollouts", namespace, {"metadata": {"name": name, "finalizers": list(finalizers)}, "spec": {}})


def finalizers(server: ApiServer, namespace: str = "shop") -> list[str]:
    found: list[str] = server.store.objects["featurerollouts", namespace, "climbs"]["metadata"].get("finalizers", [])
    return found


async def test_every_object_lets_go_of_ours_and_keeps_those_of_others(server: ApiServer, kubernetes: Kubernetes) -> None:
    assert await uninstall.lift_finalizers(kubernetes, (), 5.0) == 0
    assert [finalizers(server, namespace) for namespace in ("shop", "pay")] == [[THEIRS], [THEIRS]]
    assert len(server.asked("patch")) == 2


@pytest.mark.parametrize("namespaces", [("shop",), ("sh*",)], ids=["by name", "by glob"])
async def test_only_in_the_namespaces_that_the_operator_looked_after(
    server: ApiServer, kubernetes: Kubernetes, namespaces: tuple[str, ...]
) -> None:
    assert await uninstall.lift_finalizers(kubernetes, namespaces, 5.0) == 0
    assert (finalizers(server), finalizers(server, "pay")) == ([THEIRS], [FINALIZER, THEIRS])


async def test_one_that_was_deleted_meanwhile_is_gone(server: ApiServer, kubernetes: Kubernetes) -> None:
    stored = server.store.objects["featurerollouts", "shop", "climbs"]
    stored["metadata"] |= {"deletionTimestamp": "2026-12-01T09:00:00Z", "finalizers": [FINALIZER]}
    assert await uninstall.lift_finalizers(kubernetes, ("shop",), 5.0) == 0
    assert ("featurerollouts", "shop", "climbs") not in server.store.objects


async def test_without_the_definitions_there_is_nothing_to_do(server: ApiServer, kubernetes: Kubernetes) -> None:
    server.kinds = tuple(kind for kind in server.kinds if kind.plural != "featurerollouts")
    assert await uninstall.lift_finalizers(kubernetes, (), 5.0) == 0


async def test_an_object_that_changed_is_looked_at_again(server: ApiServer, kubernetes: Kubernetes) -> None:
    server.faults.append(Fault("patch", "featurerollouts", status=409, reason="Conflict"))
    assert await uninstall.lift_finalizers(kubernetes, ("shop",), 5.0) == 0
    assert finalizers(server) == [THEIRS]


async def test_what_can_not_be_done_ends_with_an_error(server: ApiServer, kubernetes: Kubernetes, caplog: pytest.LogCaptureFixture) -> None:
    server.faults.append(Fault("patch", "featurerollouts", status=403, reason="Forbidden", times=99))
    assert await uninstall.lift_finalizers(kubernetes, (), 5.0) == 1
    assert "finalizers may be left" in caplog.text


async def test_it_ends_within_its_limit(server: ApiServer, kubernetes: Kubernetes, caplog: pytest.LogCaptureFixture) -> None:
    server.faults.append(Fault("patch", "featurerollouts", status=409, reason="Conflict", times=10_000))
    assert await uninstall.lift_finalizers(kubernetes, (), 0.2) == 1
    assert "not done within 0.2 s" in caplog.text
