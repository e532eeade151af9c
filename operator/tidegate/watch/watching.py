"""First a list, then kopf's watches, and a list again from time to time."""

import asyncio

from tidegate.clients.writer import Echoes
from tidegate.watch.coverage import Coverage
from tidegate.watch.hearing import Hearing, Sinks
from tidegate.watch.kopf_settings import WatchSettings
from tidegate.watch.kopf_thread import run_kopf
from tidegate.watch.listing import Listing
from tidegate.watch.watched import WATCHED, Body, Lister, Login, Part, Watched

# The event of our own write often overtakes the answer to it, and only the answer makes it known as ours.
_ECHO_DELAY = 0.03


async def watch(
    settings: WatchSettings, sinks: Sinks, echoes: Echoes, coverage: Coverage, *, login: Login, lister: Lister, stop: asyncio.Event
) -> None:
    """Turn every change into calls of `sinks` until `stop` is set. Raises WatchEndedError when the watch breaks for good.

    Each object that exists is enqueued first; an object is enqueued again for every version of it that isn't in `echoes`, when it is
    deleted, and at each resync. `coverage` gets each kind and namespace that can't be listed or watched, and why.
    """
    hearing = Hearing(settings, sinks, echoes)
    listing = Listing(settings, hearing, lister, coverage)
    loop = asyncio.get_running_loop()
    kinds = {watched.plural: watched for watched in WATCHED}

    def deliver(watched: Watched, event_type: str | None, body: Body) -> None:
        loop.call_later(_ECHO_DELAY, hearing.event, watched, event_type, body)

    def answered(plural: str, namespace: str, why: str | None) -> None:
        part = Part(kinds[plural], namespace)
        if why is None:
            coverage.covered(part)
        else:
            coverage.missing(part, why)

    async def follow() -> None:
        # kopf discovers the kinds once, when it starts
        await listing.served.wait()
        await run_kopf(settings, login, deliver, answered)

    async def work() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(listing.first(), name="first list")
            group.create_task(follow(), name="kopf")
            group.create_task(listing.again_and_again(), name="resync")

    working = asyncio.create_task(work(), name="watch")
    stopping = asyncio.create_task(stop.wait(), name="watch stop")
    try:
        await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
        if working.done() and (problem := working.exception()) is not None:
            raise root_cause(problem)
    finally:
        working.cancel()
        stopping.cancel()
        await asyncio.wait([working, stopping])


def root_cause(problem: BaseException) -> BaseException:
    """The first error inside groups of errors."""
    while isinstance(problem, BaseExceptionGroup):
        problem = problem.exceptions[0]
    return problem
