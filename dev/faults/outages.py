"""Programs that stand still, or are dead, for a while."""

import asyncio
import time
from collections.abc import Sequence

from faults.fault import Fault
from faults.lanes import Lane
from faults.plant import OPERATORS, PROMETHEUS
from faults.scene import Scene

LEADER = "leader"
"""Whichever operator leads when the fault begins."""


class Outage(Fault):
    """Of processes, by name."""

    def __init__(self, *names: str) -> None:
        self._wanted = names
        self._names: tuple[str, ...] = names
        self.blinds = PROMETHEUS in names

    async def begin(self, scene: Scene, lanes: Sequence[Lane]) -> None:
        if LEADER in self._wanted:
            self._names = (await scene.leader(),)
        for name in self._names:
            self._hit(scene, name)

    def _hit(self, scene: Scene, name: str) -> None:
        raise NotImplementedError


class Stopped(Outage):
    """They stand still, and keep their connections. It ends when they go on."""

    def _hit(self, scene: Scene, name: str) -> None:
        scene.plant.processes.freeze(name)

    async def end(self, scene: Scene, lanes: Sequence[Lane]) -> float:
        for name in self._names:
            scene.plant.processes.thaw(name)
        return time.time()


class Killed(Outage):
    """They are dead until they are started again. It ends when they do their work; for operators, which have to be elected first, when
    their processes begin."""

    def _hit(self, scene: Scene, name: str) -> None:
        scene.plant.processes.kill(name, stays_dead=True)

    async def end(self, scene: Scene, lanes: Sequence[Lane]) -> float:
        begun = time.time()
        for name in self._names:
            scene.plant.processes.again(name)
        if set(self._names) <= set(OPERATORS):
            return begun
        return max(await asyncio.gather(*(scene.plant.ready(name) for name in self._names)))


class Restarted(Outage):
    """They are killed, and the kubelet starts them at once in their own pods. That is the fault's end, whatever happens later."""

    async def begin(self, scene: Scene, lanes: Sequence[Lane]) -> None:
        await super().begin(scene, lanes)
        self._ended = time.time()

    def _hit(self, scene: Scene, name: str) -> None:
        scene.plant.processes.kill(name, stays_dead=False)

    async def end(self, scene: Scene, lanes: Sequence[Lane]) -> float:
        return self._ended
