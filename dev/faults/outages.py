"""Programs that stand still, or are dead, for a while."""

import asyncio
import time
from typing import Protocol

from faults.plant import OPERATORS, PROMETHEUS
from faults.scene import Scene

LEADER = "leader"
"""Whichever operator leads when the fault begins."""


class Fault(Protocol):
    """What goes wrong."""

    @property
    def blinds(self) -> bool:
        """Whether nothing may rise for as long as it lasts."""

    async def begin(self, scene: Scene) -> None:
        """Returns when it is there."""

    async def end(self, scene: Scene) -> float:
        """Ends it, and returns when that was."""


class Outage:
    """Of processes, by name."""

    def __init__(self, *names: str) -> None:
        self._wanted = names
        self._names: tuple[str, ...] = names
        self.blinds = PROMETHEUS in names

    async def begin(self, scene: Scene) -> None:
        if LEADER in self._wanted:
            self._names = (await scene.leader(),)
        await self.hit(scene)

    async def hit(self, scene: Scene) -> None:
        raise NotImplementedError


class Stopped(Outage):
    """They stand still, and keep their connections. It ends when they go on."""

    async def hit(self, scene: Scene) -> None:
        for name in self._names:
            scene.plant.processes.freeze(name)

    async def end(self, scene: Scene) -> float:
        for name in self._names:
            scene.plant.processes.thaw(name)
        return time.time()


class Killed(Outage):
    """They are dead until they are started again. It ends when they do their work; for operators, which have to be elected first, when
    their processes have begun."""

    async def hit(self, scene: Scene) -> None:
        for name in self._names:
            scene.plant.processes.kill(name, stays_dead=True)

    async def end(self, scene: Scene) -> float:
        for name in self._names:
            scene.plant.processes.again(name)
        begun = time.time()
        if set(self._names) <= set(OPERATORS):
            return begun
        return max(await asyncio.gather(*(scene.plant.ready(name) for name in self._names)))
