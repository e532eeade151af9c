"""Who may compute next: what takes milliseconds each would take seconds together, and nothing else would happen meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tidegate.domain.shares import Bounds, Shares, Turn

_ONE = Bounds(slots=1, share=1, lasting=1, in_all=1)


class ByTurns:
    """One turn in each round of the event loop, taken round the namespaces."""

    def __init__(self) -> None:
        self._shares = Shares[asyncio.Event](_ONE)

    @asynccontextmanager
    async def turn(self, namespace: str, *, is_urgent: bool) -> AsyncIterator[None]:
        """For what awaits nothing. Urgent turns come before others of their namespace."""
        turn = Turn(asyncio.Event())
        self._shares.wait(turn, namespace, (not is_urgent,))
        self._go_on()
        try:
            await turn.item.wait()
            yield
        finally:
            asyncio.get_running_loop().call_soon(self._ended, turn)  # after whatever else is ready

    def _ended(self, turn: Turn[asyncio.Event]) -> None:
        self._shares.ended(turn)
        self._go_on()

    def _go_on(self) -> None:
        if (turn := self._shares.take()) is not None:
            turn.item.set()
