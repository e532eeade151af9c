"""A Prometheus of one policy's own: the real one behind it, but for the answers that a test wants, and a log of what was asked."""

import json
from dataclasses import dataclass

from tests.e2e.support.api import Api, eventually
from tests.e2e.support.world import TOOLS

_SERVICE = "fake-prometheus:9090"


@dataclass(frozen=True)
class Asked:
    """One question: PromQL, the evaluation time (Unix seconds), and the headers Authorization, X-Scope-OrgID and X-Team ("" for none)."""

    query: str
    time: float
    authorization: str
    tenant: str
    team: str


@dataclass(frozen=True)
class FakePrometheus:
    """`name` keeps its questions and its mode apart from those of other tests."""

    api: Api
    name: str

    @property
    def url(self) -> str:
        """For a RolloutPolicy."""
        return f"http://fake-prometheus.{TOOLS}:9090/{self.name}"

    async def answer(self, mode: str) -> None:
        """From now on: `pass` for the real answers, or one of the modes of pods/fake_prometheus.py."""
        await self.api.proxy("PUT", TOOLS, _SERVICE, f"mode/{self.name}", mode)

    async def asked(self, containing: str = "") -> list[Asked]:
        """Every question so far whose PromQL contains a text, in order."""
        log = json.loads(await self.api.proxy("GET", TOOLS, _SERVICE, f"log/{self.name}"))
        return [Asked(**one) for one in log if containing in one["query"]]

    async def evaluations(self, query: str = "") -> int:
        """How many evaluations were asked for so far: of exactly this PromQL, or of any."""
        return sum(query in ("", one.query) for one in await self.asked())

    async def evaluated(self, query: str, more: int) -> None:
        """Waits until this PromQL was asked `more` times again: so often had a rollout the opportunity to move."""
        before = await self.evaluations(query)

        async def check() -> bool:
            return await self.evaluations(query) >= before + more

        await eventually(f"{query or 'anything'} is asked {more} times more", check)

    async def tried(self, more: int) -> None:
        """Waits until `more` questions of any kind came: a source that is taken for dead is asked one by turns."""
        await self.evaluated("", more)
