from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.fakes import admission
from tests.fakes.apiserver import ApiServer
from tests.fakes.fixtures import server as server
from tests.loop.election import DEADLINE, DURATION, RETRY, Candidate, Clock
from tests.operated import Operated, operated
from tidegate.clients.kubernetes import Kubernetes
from tidegate.loop.election import Leadership
from tidegate.loop.lease import LeaseSettings


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def world(server: ApiServer, tmp_path: Path) -> AsyncIterator[Operated]:
    server.admission["configmaps"] = (admission.problem, admission.stale)
    async with operated(server, tmp_path) as world:
        yield world


@pytest.fixture
async def candidate(server: ApiServer, clock: Clock, tmp_path: Path) -> AsyncIterator[Candidate]:
    """Makes candidates of one election and stops their renewals at the end."""
    made = list[Leadership]()
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Kubernetes.connect(server.kubeconfig(tmp_path))) for _ in range(5)]

        def make(name: str = "a", place: str = "") -> Leadership:
            settings = LeaseSettings("system", name, "tidegate", duration=DURATION, renew_deadline=DEADLINE, retry=RETRY, place=place)
            made.append(Leadership(clients[len(made)], settings, clock=clock))
            return made[-1]

        yield make
        for leadership in made:
            if leadership._renewals is not None:
                leadership._renewals.cancel()
