"""Event loops that make one turn at a time, at a time that the world sets: a process may be stopped between any two turns."""

import asyncio
import math
import selectors
from collections.abc import Callable


class _NothingComes(selectors.SelectSelector):
    """Nobody has a socket."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return []


class TurningLoop(asyncio.SelectorEventLoop):
    """`now` is its clock."""

    _ready: "list[asyncio.Handle]"
    _scheduled: "list[asyncio.TimerHandle]"

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        super().__init__(_NothingComes())
        self.set_exception_handler(lambda *_: None)

    def time(self) -> float:
        return self._now()

    def due(self) -> float:
        """When there is something to do next."""
        if self._ready:
            return self._now()
        return self._scheduled[0].when() if self._scheduled else math.inf

    def turn(self) -> None:
        """What is ready now; what that makes ready comes with the next turn."""
        self.call_soon(self.stop)
        self.run_forever()

    def end(self) -> None:
        """Whatever still waits is called off."""
        while tasks := asyncio.all_tasks(self):
            for task in tasks:
                task.cancel()
            self.turn()
        self.close()
