"""Fixtures of the end-to-end tests. `cluster` is whole and has Tidegate installed; `world` is a test's own namespace on it."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.support.api import Api
from tests.e2e.support.fake import FakePrometheus
from tests.e2e.support.host_operator import Host
from tests.e2e.support.host_operator import host as host_in
from tests.e2e.support.installation import Cluster, bring_up
from tests.e2e.support.world import World


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """One cluster for all tests and all test processes; it stays up, so that the next run begins at once."""
    return bring_up(Path(tempfile.gettempdir()))


@pytest.fixture
async def api(cluster: Cluster) -> AsyncIterator[Api]:
    async with Api.connect(cluster.kubeconfig) as api:
        yield api


@pytest.fixture
async def world(api: Api, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """A namespace that the installed operator looks after, with nothing in it."""
    world = World.of(api, "e2e", request.node.name)
    await world.begin()
    yield world
    await world.end()


@pytest.fixture
def fake(world: World) -> FakePrometheus:
    """The source of the world's policies: the real Prometheus, until the test says otherwise."""
    fake = FakePrometheus(world.api, world.namespace)
    world.prometheus = fake.url
    return fake


@pytest.fixture
async def host(api: Api, cluster: Cluster, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Host]:
    """A namespace that only operators of the test's own look after: processes on this machine, behind fault proxies."""
    async with host_in(api, cluster.kubeconfig, tmp_path, request.node.name) as host:
        yield host
