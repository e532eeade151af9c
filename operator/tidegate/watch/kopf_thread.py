"""kopf in an event loop and a thread of its own.

kopf takes the event loop that it runs in for its own: it installs handlers for SIGINT and SIGTERM, and when it ends, for
whatever reason, it cancels every task that is younger than itself. In a loop of its own it has no signals to take and no
task of ours to cancel, and a burst of events to parse doesn't delay the renewal of the Lease.
"""

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import kopf

# Private, but the only way to learn whether kopf found the kinds that it should watch. Where it didn't, it just watches nothing.
from kopf._cogs.structs.references import Insights

from tidegate.watch.kopf_settings import WatchSettings, kopf_settings
from tidegate.watch.watched import WATCHED, Answered, Body, Login, Watched

Deliver = Callable[[Watched, str | None, Body], None]

_LOGIN_PAUSE = 1.0
_EXIT_PATIENCE = 5.0
_CHATTER = {
    "kopf.objects": logging.WARNING,  # one line per event
    "kopf._core.reactor.running": logging.ERROR,  # that signals are not handled outside the main thread
}


class WatchEndedError(Exception):
    """kopf has stopped watching without being asked to."""


class _Refusals(logging.Filter):
    """Drops refusals: kopf logs them at each try, and `Coverage` logs them once."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "RefusedWatchError" not in record.getMessage()


_REFUSALS = _Refusals()


async def run_kopf(settings: WatchSettings, login: Login, deliver: Deliver, answered: Answered) -> None:
    """Deliver events, in the calling event loop, until cancelled. `answered` gets the outcome of each list and watch. Raises
    WatchEndedError when kopf ends by itself."""
    loop = asyncio.get_running_loop()
    broken: asyncio.Future[BaseException] = loop.create_future()
    finished = asyncio.Event()
    operation = _Operation(settings, login, _Mailbox(loop, deliver).post, lambda *said: _call_in(loop, answered, *said))

    def broke(problem: BaseException) -> None:
        if not broken.done():
            broken.set_result(problem)

    def work() -> None:
        # What breaks is reported before kopf's other tasks have ended: one that hangs must not hide it.
        try:
            asyncio.run(operation.run(lambda problem: _call_in(loop, broke, problem)))
        except BaseException as error:  # noqa: BLE001 - carried over to the thread that waits for it
            _call_in(loop, broke, error)
        finally:
            _call_in(loop, finished.set)

    for name, level in _CHATTER.items():
        logging.getLogger(name).setLevel(level)
    logging.getLogger("kopf._cogs.clients.watching").addFilter(_REFUSALS)
    # A daemon, so that a kopf that hangs can't keep the process from its end.
    threading.Thread(target=work, name="kopf", daemon=True).start()
    try:
        problem = await asyncio.shield(broken)
    except asyncio.CancelledError:
        operation.stop()
        raise
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(finished.wait(), _EXIT_PATIENCE)
    raise WatchEndedError(f"the watch ended: {problem}") from problem


def _call_in(loop: asyncio.AbstractEventLoop, call: Callable[..., object], *arguments: Any) -> None:
    try:
        loop.call_soon_threadsafe(call, *arguments)
    except RuntimeError:
        # The program's loop is closed: nothing is left to report to.
        if not loop.is_closed():
            raise


# By default kopf names itself after the user who runs it, and in a container that uid has no name. Only peering would use it.
_IDENTITY: Any = "tidegate"


class _Mailbox:
    """Events on their way from kopf's thread to the program's: one wake-up for all that have piled up."""

    def __init__(self, loop: asyncio.AbstractEventLoop, deliver: Deliver) -> None:
        self._loop = loop
        self._deliver = deliver
        self._events = deque[tuple[Watched, str | None, Body]]()
        self._opening = False

    def post(self, watched: Watched, event_type: str | None, body: Body) -> None:
        """To be called in kopf's thread."""
        self._events.append((watched, event_type, body))
        if not self._opening:
            self._opening = True
            _call_in(self._loop, self._open)

    def _open(self) -> None:
        # First `_opening`, then the events: what is posted after the last of them finds `_opening` false and wakes us again.
        self._opening = False
        while self._events:
            self._deliver(*self._events.popleft())


class _Operation:
    """What happens in kopf's own loop."""

    def __init__(self, settings: WatchSettings, login: Login, deliver: Deliver, answered: Answered) -> None:
        self._settings = settings
        self._login = login
        self._deliver = deliver
        self._answered = answered
        self._sessions: list[Any] = []
        self._started = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Ask for the end, from any thread."""
        if self._started.wait(_EXIT_PATIENCE) and self._loop is not None and self._running is not None:
            _call_in(self._loop, self._running.cancel)

    async def run(self, broke: Callable[[BaseException], None]) -> None:
        """Until cancelled, or until kopf breaks: `broke` gets the reason at once. None of kopf's tasks ends while all is well."""
        self._loop, self._running = asyncio.get_running_loop(), asyncio.current_task()
        self._started.set()
        insights, ours = Insights(), asyncio.all_tasks()
        namespaces = self._settings.exact_namespaces
        tasks = await kopf.spawn_tasks(
            registry=self._registry(),
            settings=kopf_settings(),
            insights=insights,
            identity=_IDENTITY,
            clusterwide=not namespaces,
            namespaces=namespaces,
        )
        operation, verifying = asyncio.create_task(kopf.run_tasks(tasks, ignored=ours)), asyncio.create_task(_verify(insights))
        try:
            done, _ = await asyncio.wait([*tasks, verifying], return_when=asyncio.FIRST_COMPLETED)
            if done == {verifying} and verifying.exception() is None:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            broke(next((error for task in done if (error := task.exception())), WatchEndedError("no reason was given")))
            if verifying in done:
                operation.cancel()  # as far as kopf knows, all is well
            await asyncio.wait([operation], timeout=_EXIT_PATIENCE)
        finally:
            operation.cancel()
            verifying.cancel()
            await asyncio.wait([operation, verifying], timeout=_EXIT_PATIENCE)
            for found in self._sessions:  # kopf closes them where it ends in order
                await found.close()

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry, id="login", backoff=_LOGIN_PAUSE)(self._log_in)
        for watched in WATCHED:
            kopf.on.event(watched.group, watched.version, watched.plural, registry=registry, id=watched.plural)(self._handler(watched))
        return registry

    def _handler(self, watched: Watched) -> Callable[..., Any]:
        async def handle(event: kopf.RawEvent, **_: Any) -> None:
            self._deliver(watched, event["type"], event["object"])

        return handle

    async def _log_in(self, **_: Any) -> kopf.AiohttpSession:
        # kopf refuses credentials for ever that were refused once. An API server that is just starting answers 401 to good
        # tokens, so each login must be new: a session is.
        if self._sessions:
            await asyncio.sleep(_LOGIN_PAUSE)
        found = await self._login(self._answered)
        self._sessions = [one for one in self._sessions if not one.closed] + [found.session]
        return kopf.AiohttpSession(server=found.server, aiohttp_session=found.session)


async def _verify(insights: Insights) -> None:
    await insights.ready_resources.wait()
    served = {(resource.group, resource.plural) for resource in insights.watched_resources}
    missing = sorted(watched.plural for watched in WATCHED if (watched.group, watched.plural) not in served)
    if missing:
        raise WatchEndedError(f"the API server's discovery doesn't show {', '.join(missing)}")
