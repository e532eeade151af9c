"""What tests of the election share: a clock that only the test moves, and waits for what the candidates do meanwhile."""

import asyncio
from collections.abc import Callable

from tests.fakes.apiserver import ApiServer
from tidegate.loop.election import Leadership

DURATION, DEADLINE, RETRY = 3.0, 2.1, 0.02
"""In seconds. The pause between two tries is slept for real; a third of the deadline is the patience for one answer."""


Candidate = Callable[..., Leadership]
"""Makes a candidate of one election; its name may be given."""


class Clock:
    """Seconds that pass only where a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now = round(self.now + seconds, 3)


def spec(server: ApiServer) -> dict[str, object]:
    found: dict[str, object] = server.store.objects["leases", "system", "tidegate"]["spec"]
    return found


async def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def asked_again(server: ApiServer, verb: str, times: int = 1) -> None:
    """Until so many requests were begun after now and answered: the one under way now says nothing, nor does the last one begun."""
    enough = len(server.asked(verb, "leases")) + times + 1
    await until(lambda: len(server.asked(verb, "leases")) >= enough)


async def renewed(server: ApiServer) -> None:
    """Until the leader has renewed at the clock's present time: a renewal was begun after one that was stored after now."""
    for _ in range(2):
        before = spec(server)["renewTime"]
        await until(lambda: spec(server)["renewTime"] != before)  # noqa: B023 - awaited within the turn
    await asked_again(server, "update", 0)


async def looked(server: ApiServer, candidates: int = 1) -> None:
    """Until those who stand by have seen the Lease as it is now."""
    await asked_again(server, "get", 3 * candidates)


async def crash(leadership: Leadership) -> None:
    """The process is gone: no renewal, no release."""
    assert leadership._renewals is not None
    leadership._renewals.cancel()
    await asyncio.wait([leadership._renewals])
