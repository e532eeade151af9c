"""Programs that stand still, or are dead, for a while."""

import asyncio
import time
from collections.abc import Sequence

from faults.fault import Fault
from faults.figures import Span
from faults.lanes import Lane
from faults.plant import API_SERVER, ETCD, FLAG_SERVERS, OPERATORS, PROMETHEUS
from faults.scene import Scene

LEADER = "leader"
"""Whichever operator leads when the fault begins."""


class Outage(Fault):
    """Of processes, by name. It ends when they do their work again."""

    def __init__(self, *names: str) -> None:
        self._wanted = names
        self._names: tuple[str, ...] = names
        self.blinds = PROMETHEUS in names
        self.mutes = names == FLAG_SERVERS
        self._answers = self._up_in = 0.0

    async def begin(self, scene: Scene, lanes: Sequence[Lane]) -> None:
        if LEADER in self._wanted:
            self._names = (await scene.leader(),)
        for name in self._names:
            self._hit(scene, name)

    def blind(self, began: float, ended: float) -> tuple[Span, ...]:
        """A source that answers again has samples of before, which are fresh for as long as the policy says."""
        return ((began, self._answers),) if self.blinds else ()

    def _hit(self, scene: Scene, name: str) -> None:
        raise NotImplementedError

    async def _up(self, scene: Scene) -> float:
        """When all of them, just started, do their work. Of operators one is enough, and it has yet to be elected."""
        begun = time.time()
        if {API_SERVER, ETCD} & set(self._names):
            ended = await scene.reached()
        else:
            ups = await asyncio.gather(*(scene.plant.ready(name) for name in self._names))
            self._answers = ended = min(ups) if set(self._names) <= set(OPERATORS) else max(ups)
        if PROMETHEUS in self._names:
            ended = await scene.scraped_since(begun)
        self._up_in = ended - begun
        return ended


class Stopped(Outage):
    """They stand still, and keep their connections."""

    def _hit(self, scene: Scene, name: str) -> None:
        scene.plant.processes.freeze(name)

    async def end(self, scene: Scene, lanes: Sequence[Lane]) -> float:
        for name in self._names:
            scene.plant.processes.thaw(name)
        self._answers = time.time()
        return self._answers


class Killed(Outage):
    """They are dead until they are started again."""

    def _hit(self, scene: Scene, name: str) -> None:
        scene.plant.processes.kill(name, stays_dead=True)

    async def end(self, scene: Scene, lanes: Sequence[Lane]) -> float:
        for name in self._names:
            scene.plant.processes.again(name)
        return await self._up(scene)

    async def told(self, scene: Scene, lanes: Sequence[Lane], began: float) -> str:
        return f"to start took {self._up_in:.1f} s"


class Restarted(Killed):
    """They are killed, and the kubelet starts them at once in their own pods."""

    async def begin(self, scene: Scene, lanes: Sequence[Lane]) -> None:
        await super().begin(scene, lanes)
        self._starting = asyncio.create_task(self._up(scene))

    def _hit(self, scene: Scene, name: str) -> None:
        scene.plant.processes.kill(name, stays_dead=False)

    async def end(self, scene: Scene, lanes: Sequence[Lane]) -> float:
        return await self._starting
