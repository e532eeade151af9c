"""Rollouts side by side, each in a namespace of its own and with an application of its own."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import product

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

    async def make_policy(self, prometheus: str) -> None:
        """The policy of all lanes."""
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
async def lanes(scene: Scene, moments: Sequence[str], others: Sequence[str] = ()) -> AsyncIterator[list[Lane]]:
    """A lane for each moment, at its first step or above; removed afterwards. `others`: further flags of each flag set."""
    policy = f"fault-{secrets.token_hex(3)}"
    found = [_lane(scene, moment, Corner(scene.api, f"{policy}-{number}", policy)) for number, moment in enumerate(moments)]
    corners, flags = [lane.corner for lane in found], (FLAG, *others)
    scene.exporter.lanes = [lane.measured for lane in found]
    for corner in corners:
        await corner.begin()
    await corners[0].make_policy(scene.plant.prometheus)
    await eventually("Prometheus has every lane", lambda: _has_all(scene, corners), PATIENCE)
    for corner in corners:
        await corner.climb(others)
    await eventually("every lane is exposed", lambda: _are_exposed(scene, corners, flags), PATIENCE, every=0.05)
    streams = [asyncio.create_task(one.follow()) for lane in found for one in lane.pushed]
    try:
        await eventually("every flag server has pushed", lambda: all(one.versions for lane in found for one in lane.pushed), PATIENCE)
        yield found
    finally:
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)
    # Not where a trial was broken off: nobody may be there who would answer.
    await _remove(scene, corners, flags)


def _lane(scene: Scene, moment: str, corner: Corner) -> Lane:
    ports = [scene.plant.flag_servers[server][0] for server in FLAG_SERVERS]
    pushed = tuple(Pushed(port, f"{corner.namespace}/{FLAG_SET}") for port in ports)
    return Lane(moment, corner, Measured(corner.namespace), pushed)


async def _remove(scene: Scene, corners: Sequence[Corner], flags: Sequence[str]) -> None:
    """All but the namespaces, which nobody here would empty."""
    for corner, flag in product(corners, flags):
        await scene.api.delete("featurerollouts", corner.namespace, flag)
    for corner, flag in product(corners, flags):
        await corner.gone(flag)
    await scene.api.delete("rolloutpolicies", "", corners[0].policy_name)


async def _has_all(scene: Scene, corners: Sequence[Corner]) -> bool:
    return {corner.namespace for corner in corners} <= set(await scene.series(METRIC))


def _are_exposed(scene: Scene, corners: Sequence[Corner], flags: Sequence[str]) -> bool:
    versions = [(scene.stored.versions[corner.namespace, FLAG_SET], flag) for corner, flag in product(corners, flags)]
    return all(rises(exposure(*one)) for one in versions)
