"""The API server that is reported to, and a client of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.apiserver import ApiServer
from tidegate.clients.kubernetes import Kubernetes


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with ApiServer.running() as running:
        yield running


@pytest.fixture
async def kubernetes(server: ApiServer, tmp_path: Path) -> AsyncIterator[Kubernetes]:
    async with Kubernetes.connect(server.kubeconfig(tmp_path), time_limit=2.0) as client:
        yield client
