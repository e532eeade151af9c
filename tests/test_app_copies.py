"""The assembled operator against the fake API server: flags are copied into a FeatureFlag, and nothing waits for that."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tests.builders import KEY, raw_spec
from tests.fakes.apiserver import FEATURE_FLAGS as KIND
from tests.fakes.apiserver import ApiServer, Fault
from tidegate.app import Parts, assemble
from tidegate.clients.kubernetes import Kubernetes
from tidegate.clients.prometheus import Prometheus
from tidegate.domain.keys import Key, Kind
from tidegate.levers.flag import DOCUMENT_KEY
from tidegate.settings import OperatorSettings

ROLLOUT = Key(Kind.FEATURE_ROLLOUT, "shop", "search")


async def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    for _ in range(int(seconds / 0.005)):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come true")


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with ApiServer.running() as running:
        running.kinds += (KIND,)
        yield running


@pytest.fixture
async def parts(server: ApiServer, tmp_path: Path) -> AsyncIterator[Parts]:
    """An operator that leads, with one rollout, which nobody watches for it."""
    async with Kubernetes.connect(server.kubeconfig(tmp_path), time_limit=1.0) as kubernetes, Prometheus.connect() as prometheus:
        settings = OperatorSettings(own_namespace="tidegate-system", candidate="a")
        assembled = assemble(kubernetes, prometheus, CollectorRegistry(), lambda: True, settings)
        body = await server.put("featurerollouts", "shop", {"metadata": {"name": "search"}, "spec": raw_spec()})
        assembled.index.note(body)
        working = asyncio.create_task(assembled.queue.run())
        yield assembled
        await assembled.queue.drain(0.0)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


def stored(server: ApiServer, plural: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = server.store.objects.get((plural, "shop", name), {})
    return found


def in_flag_set(server: ApiServer) -> dict[str, Any] | None:
    found = stored(server, "configmaps", "shop-flags")
    flag: dict[str, Any] | None = json.loads(found["data"][DOCUMENT_KEY])["flags"].get(KEY) if found else None
    return flag


def in_copy(server: ApiServer) -> dict[str, Any] | None:
    found = stored(server, "featureflags", "shop-flags")
    flag: dict[str, Any] | None = found["spec"]["flagSpec"]["flags"].get(KEY) if found else None
    return flag


def mirrored(server: ApiServer) -> str | None:
    conditions = (stored(server, "featurerollouts", "search").get("status") or {}).get("conditions") or ()
    return next((one["reason"] for one in conditions if one["type"] == "Mirrored"), None)


async def allow(parts: Parts, server: ApiServer, user: str) -> None:
    """A person edits the allow list, for which the flag is written anew."""
    flag = raw_spec()["target"]["flag"] | {"allow": [user]}
    await server.put("featurerollouts", "shop", {"metadata": {"name": "search"}, "spec": {"target": {"flag": flag}}})
    parts.queue.add(ROLLOUT)
    await until(lambda: user in json.dumps(in_flag_set(server)))


async def test_what_is_written_is_copied_and_said_so(parts: Parts, server: ApiServer) -> None:
    assert await parts.mirrors.discover()
    parts.queue.add(ROLLOUT)
    await until(lambda: mirrored(server) == "Mirrored")
    assert in_copy(server) == in_flag_set(server)
    await allow(parts, server, "alice")
    await until(lambda: in_copy(server) == in_flag_set(server))


@pytest.mark.thorough
async def test_a_copy_that_can_not_be_written_delays_nothing_and_follows_when_it_can(parts: Parts, server: ApiServer) -> None:
    await parts.mirrors.discover()
    server.faults.append(Fault("patch", "featureflags", how="hang", times=1))
    server.faults.append(Fault("patch", "featureflags", status=403, reason="Forbidden", message="no", times=2))
    parts.queue.add(ROLLOUT)
    for user in ("alice", "bob", "carol"):
        await allow(parts, server, user)
    assert in_copy(server) is None
    await until(lambda: mirrored(server) == "Mirrored")
    assert in_copy(server) == in_flag_set(server)


async def test_a_key_that_somebody_else_has_is_told_on_the_rollout(parts: Parts, server: ApiServer) -> None:
    await parts.mirrors.discover()
    theirs = {"state": "ENABLED", "variants": {"a": "x"}, "defaultVariant": "a"}
    await server.put("featureflags", "shop", {"metadata": {"name": "shop-flags"}, "spec": {"flagSpec": {"flags": {KEY: theirs}}}})
    parts.queue.add(ROLLOUT)
    await until(lambda: mirrored(server) == "FeatureFlagTaken")
    assert in_copy(server) == theirs


async def test_without_the_kind_there_is_no_word_of_it(parts: Parts, server: ApiServer) -> None:
    server.kinds = server.kinds[:-1]
    assert not await parts.mirrors.discover()
    parts.queue.add(ROLLOUT)
    await until(lambda: in_flag_set(server) is not None)
    await allow(parts, server, "alice")
    assert mirrored(server) is None
    assert server.asked("get", "featureflags") == []
