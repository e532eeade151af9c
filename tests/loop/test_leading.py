"""How a leader begins and ends: nobody follows it before its work has ended, and nobody waits longer than that."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.fakes.apiserver import ApiServer, Fault
from tests.loop.election import DEADLINE, Candidate, Clock, spec, until
from tidegate.loop.election import Leadership
from tidegate.loop.leading import elected, lead

GRACE = 3.0


class Work:
    """Goes on until it is told to end; `drained` is what grace it got, and `holder` who held the Lease when it ended. `meanwhile` happens
    before it has ended."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self.over = asyncio.Event()
        self.drained: list[float] = []
        self.holder = ""
        self.meanwhile: Callable[[], None] = lambda: None

    async def run(self) -> None:
        await self.over.wait()

    async def drain(self, grace: float) -> None:
        self.drained.append(grace)
        self.meanwhile()
        await asyncio.sleep(0.05)
        self.holder = str(spec(self.server)["holderIdentity"])


async def led(server: ApiServer, leadership: Leadership, end: Callable[[Work, asyncio.Event], Awaitable[None]]) -> tuple[int, Work]:
    """What became of a leader that `end` brings to its end."""
    work, stop = Work(server), asyncio.Event()
    await leadership.acquire()
    leading = asyncio.create_task(lead(leadership, stop, {asyncio.create_task(work.run()): "the work ended"}, work.drain, GRACE))
    await end(work, stop)
    return await leading, work


async def test_asked_to_stop_it_ends_its_work_and_then_gives_the_lease_up(server: ApiServer, candidate: Candidate) -> None:
    leadership = candidate()

    async def ask(_: Work, stop: asyncio.Event) -> None:
        stop.set()

    code, work = await led(server, leadership, ask)
    assert (code, work.drained, work.holder) == (0, [GRACE], leadership.identity)
    assert spec(server)["holderIdentity"] == ""
    assert not leadership.held()


async def test_so_does_one_whose_work_ends_by_itself(server: ApiServer, candidate: Candidate) -> None:
    leadership = candidate()

    async def break_off(work: Work, _: asyncio.Event) -> None:
        work.over.set()

    code, work = await led(server, leadership, break_off)
    assert (code, work.drained, work.holder) == (1, [GRACE], leadership.identity)
    assert spec(server)["holderIdentity"] == ""


async def test_one_that_was_followed_stops_at_once_and_leaves_the_lease_alone(server: ApiServer, candidate: Candidate) -> None:
    async def depose(_: Work, __: asyncio.Event) -> None:
        await server.put("leases", "system", {"metadata": {"name": "tidegate"}, "spec": {"holderIdentity": "another"}})

    code, work = await led(server, candidate(), depose)
    assert (code, work.drained) == (1, [0.0])
    assert spec(server)["holderIdentity"] == "another"


async def test_one_that_is_never_answered_stops_at_once_and_gives_the_lease_up(
    server: ApiServer, candidate: Candidate, clock: Clock
) -> None:
    async def silence(work: Work, __: asyncio.Event) -> None:
        server.faults.append(Fault("update", "leases", how="lose_reply", times=1000))
        work.meanwhile = server.faults.clear
        clock.advance(DEADLINE)

    code, work = await led(server, candidate(), silence)
    assert (code, work.drained) == (1, [0.0])
    assert spec(server)["holderIdentity"] == ""


async def test_who_is_asked_to_stop_while_standing_by_never_leads(server: ApiServer, candidate: Candidate) -> None:
    leader, standby, stop = candidate("leader"), candidate("standby"), asyncio.Event()
    await leader.acquire()
    waiting = asyncio.create_task(elected(standby, stop, lambda: None))
    await until(standby.participating)
    stop.set()
    assert not await waiting
    assert spec(server)["holderIdentity"] == leader.identity


async def test_who_is_asked_to_stop_while_it_takes_the_lease_leaves_no_name_in_it(server: ApiServer, candidate: Candidate) -> None:
    stop, silence = asyncio.Event(), Fault("get", "leases", how="hang")
    server.faults += [
        Fault("create", "leases", how="lose_reply"),
        Fault("get", "leases", status=404, reason="NotFound"),
        silence,
    ]
    waiting = asyncio.create_task(elected(candidate(), stop, lambda: None))
    await until(lambda: silence.times == 0)
    assert spec(server)["holderIdentity"] != ""
    stop.set()
    assert not await waiting
    assert spec(server)["holderIdentity"] == ""
