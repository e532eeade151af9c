"""What a conftest imports where parts are tested against the API server for faults."""

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
    async with Kubernetes.connect(server.kubeconfig(tmp_path), connections=4, time_limit=2.0) as client:
        yield client
