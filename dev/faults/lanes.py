"""Rollouts side by side, each in a namespace of its own and with an application of its own."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.e2e.support.api import Api, eventually
from tests.e2e.support.flag_sets import FLAG_SET
from tests.e2e.support.world import BAND, World

from faults.exporter import METRIC, Measured
from faults.figures import exposure, rises
from faults.plant import FLAG_SERVERS
from faults.scene import PATIENCE, Scene
from faults.witness import Pushed

FLAG = "feature"
STALENESS = 10.0
DWELL = 5.0
PERCENTS = (10, 25, 50, 75, 100)


class Corner(World):
    """A lane's own namespace, under a policy that all lanes of the trial share."""

    def __init__(self, api: Api, namespace: str, policy: str) -> None:
        super().__init__(api, namespace)
        self.policy_name = policy

    async def climbs_under(self, prometheus: str) -> None:
        """Makes the policy."""
        await self.policy(self.policy_name, url=prometheus, staleness=f"{STALENESS:g}s")

    async def climb(self, others: Sequence[str]) -> None:
        """Its rollout, which begins at once, and others in the same flag set, which stay at their first step."""
        await self._climb(FLAG, self.selector(METRIC), percents=list(PERCENTS), dwell=f"{DWELL:g}s")
        for name in others:
            await self._climb(name, f"{self.selector(METRIC)} * 0", percents=[50, 100], dwell="1h")

    async def _climb(self, name: str, query: str, **canary: object) -> None:
        gates = [{"name": "errors", "query": query, **BAND}]
        await self.rollout(name, policyRef={"name": self.policy_name}, canary=canary, gates=gates, bake="1h")


@dataclass
class Lane:
    """One rollout, the application that it exposes, and what is seen of both."""

    moment: str
    corner: Corner
    measured: Measured
    pushed: tuple[Pushed, ...]
    bad: float | None = None


@asynccontextmanager
async def lanes(found: Scene, moments: Sequence[str], others: Sequence[str] = ()) -> AsyncIterator[list[Lane]]:
    """A lane for each moment, at its first step or above; removed afterwards. `others`: further flags of each flag set."""
    name = f"fault-{secrets.token_hex(3)}"
    corners = [Corner(found.api, f"{name}-{number}", name) for number in range(len(moments))]
    ports = [found.plant.flag_servers[server][0] for server in FLAG_SERVERS]
    made = [
        Lane(moment, corner, Measured(corner.namespace), tuple(Pushed(port, f"{corner.namespace}/{FLAG_SET}") for port in ports))
        for moment, corner in zip(moments, corners, strict=True)
    ]
    found.exporter.lanes = [lane.measured for lane in made]
    for corner in corners:
        await corner.begin()
    await corners[0].climbs_under(found.plant.prometheus)
    namespaces = {corner.namespace for corner in corners}
    await eventually("Prometheus has every lane", lambda: _has_all(found, namespaces), PATIENCE)
    for corner in corners:
        await corner.climb(others)
    await eventually(
        "every lane is exposed",
        lambda: all(_is_exposed(found, corner, flag) for corner in corners for flag in (FLAG, *others)),
        PATIENCE,
        every=0.05,
    )
    streams = [asyncio.create_task(one.follow()) for lane in made for one in lane.pushed]
    try:
        await eventually("every flag server has pushed", lambda: all(one.versions for lane in made for one in lane.pushed), PATIENCE)
        yield made
    finally:
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)
    # Where a trial was broken off, nobody may be there who would answer this.
    for flag in (FLAG, *others):
        for corner in corners:
            await found.api.delete("featurerollouts", corner.namespace, flag)
    for flag in (FLAG, *others):
        for corner in corners:
            await corner.gone(flag)
    await found.api.delete("rolloutpolicies", "", corners[0].policy_name)


async def _has_all(found: Scene, namespaces: set[str]) -> bool:
    return namespaces <= set(await found.series(METRIC))


def _is_exposed(found: Scene, corner: Corner, flag: str) -> bool:
    return bool(rises(exposure(found.stored.versions[corner.namespace, FLAG_SET], flag)))
