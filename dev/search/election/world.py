"""Processes that are elected, the API server between them, and the time that passes for all alike, also for those that are stopped."""

import asyncio
import heapq
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

from search.election.loops import TurningLoop
from search.election.scenes import Cut, Scene, What
from search.election.wire import AWAY, HOP, LONGEST, Fate, Request, Server, Wire
from tidegate.clients.resources import JsonObject
from tidegate.loop.election import Leadership
from tidegate.loop.leading import elected, lead
from tidegate.loop.lease import LeaseSettings

GRACE = 1.0
WORKS_EVERY, WRITES_FOR = 0.7, 0.3
"""A leader's work: a write now and then, which takes its time."""
COUNTED_FROM = 3
"""Writes of the first leader, the last of which is answered: from there on its turns and requests are counted."""


class Process:
    """One operator, by its name. `is_first`: of its candidate; the others are successors and twins."""

    def __init__(self, world: "World", candidate: str, place: str, number: int) -> None:
        self.name, self.candidate, self.place = f"{candidate}{number}", candidate, place
        self.is_first = all(other.candidate != candidate for other in world.processes)
        self.asked_to_stop_at = math.inf
        self.alive, self.stopped, self.writing = True, False, False
        """`writing`: a write of its own is under way."""
        self.turns: int | None = None
        """Since what the scene counts them from."""
        self.requests = self.writes = self.answers = 0
        self.first_counted = self.last_bad = 0
        self.good_since = self.heard_since = world.now
        """Since when the API server has answered all that it asked; and since when it heard that in time. Infinite while it is stopped, or
        has no answer."""
        self.read_at = self.wrote_at = -math.inf
        """When it last got an answer to a read, as of when that was served, and when it last sent a write."""
        self.saw: tuple[JsonObject, float] | None = None
        """What it read last, and since when it has been that."""
        self._draining = False
        self._inbox: list[Callable[[], None]] = []
        self._world = world
        self.loop = TurningLoop(lambda: world.now)
        settings = LeaseSettings.lasting(world.scene.duration, "system", candidate, place=place)
        wire: Any = Wire(lambda *request: world.sent(self, *request))
        self.stop = asyncio.Event()
        self.leadership = Leadership(wire, settings, clock=lambda: world.now, jitter=lambda: world.scene.jitter)
        self.life = self.loop.create_task(self._live())

    @property
    def runs(self) -> bool:
        return self.alive and not self.stopped

    def halt(self) -> None:
        self.stopped = True
        self.trouble()

    def wake(self) -> None:
        """What arrived meanwhile is read first, then the clocks that have rung."""
        self.stopped = False
        for one in self._inbox:
            self.loop.call_soon(one)
        self._inbox.clear()

    def arrive(self, what: Callable[[], None]) -> None:
        """Something comes in."""
        if self.stopped:
            self._inbox.append(what)
        elif self.alive:
            self.loop.call_soon(what)

    def trouble(self) -> None:
        """Nothing is good before something is answered that it asks after now."""
        self.good_since = self.heard_since = math.inf
        self.last_bad = self.requests

    def heard(self, number: int, verb: str, said: str, found: JsonObject | None, *, in_time: bool) -> None:
        """An answer is read. `in_time`: by whoever asked, and not after the time for it was over, as after a stop."""
        self.answers += 1
        if said == AWAY:
            return
        if verb == "get":
            self.read_at = self._world.now - HOP
        if number > self.last_bad:
            self.good_since = min(self.good_since, self._world.now)
            self.heard_since = min(self.heard_since, self._world.now if in_time else math.inf)
        spec = (found or {}).get("spec")
        if verb == "get" and spec is not None and (self.saw is None or self.saw[0] != spec):
            self.saw = (spec, self._world.now)

    async def _live(self) -> None:
        if await elected(self.leadership, self.stop, lambda: None):
            working = asyncio.create_task(self._work())
            await lead(self.leadership, self.stop, {working: "the work ended"}, lambda grace: self._drain(working, grace), GRACE)

    async def _work(self) -> None:
        while not self._draining:
            await asyncio.sleep(WORKS_EVERY)
            if self.leadership.held():
                self.writing = True
                try:
                    await asyncio.sleep(WRITES_FOR)
                finally:
                    self.writing = False

    async def _drain(self, working: "asyncio.Task[None]", grace: float) -> None:
        """As the queue does it: what is under way gets its time."""
        self._draining = True
        await asyncio.wait([working], timeout=grace)
        working.cancel()
        await asyncio.wait([working])


class World:
    """One scene, played. `look` is called after whatever happens."""

    def __init__(self, scene: Scene, look: Callable[["World"], None]) -> None:
        self.scene = scene
        self.now = 0.0
        self.processes: list[Process] = []
        self.stored: list[tuple[float, str]] = []
        """When each version was written, and whose name stands there."""
        self.sending: Request | None = None
        self.server = Server(lambda: self.now, self.at, self._stored, away=self._away)
        self.began_at = math.inf
        self.quiet_at = 0.0
        """When the last disturbance was over."""
        self._look = look
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._outage: tuple[float, float] = (math.inf, math.inf)
        self.birth("a", scene.place)
        self.at(scene.duration / 10 + scene.standby, lambda: self.birth("b", scene.place and "b"))

    def birth(self, candidate: str, place: str) -> None:
        self.processes.append(Process(self, candidate, place, len(self.processes) + 1))

    def at(self, time: float, what: Callable[[], None]) -> None:
        """Lets something happen at a time."""
        heapq.heappush(self._events, (time, next(self._numbers), what))

    def run(self, enough: Callable[["World"], bool]) -> None:
        """Until it is enough."""
        while not enough(self):
            for process in self._to_turn():
                process.loop.turn()
                self._turned(process)
                self._look(self)
                break
            else:
                self._pass_time()

    def end(self) -> None:
        """Nothing more is sent."""
        self.scene = Scene()
        for process in self.processes:
            process.loop.end()

    def sent(self, process: Process, verb: str, body: JsonObject | None, answer: "asyncio.Future[Any]") -> None:
        """A request leaves a process."""
        process.requests += 1
        number = process.requests

        def read(said: str, found: JsonObject | None) -> None:
            process.heard(number, verb, said, found, in_time=not answer.done())
            if not answer.done():
                answer.set_result((said, found))

        if verb != "get":
            process.writes, process.wrote_at = process.writes + 1, self.now
        if process.is_first and process.candidate == "b" and process.turns is None and verb != "get":
            process.turns, process.first_counted = 0, process.requests
        request = Request(process.name, verb, body, lambda *said: process.arrive(lambda: read(*said)), self._fate(process, verb))
        if request.fate is not Fate.FINE:
            process.trouble()
            if not self.scene.is_gray:
                self._disturbed(LONGEST)
        self.sending = request
        self._look(self)
        self.sending = None
        self.server.send(request)

    def _fate(self, process: Process, verb: str) -> Fate:
        if process.turns is None or process.candidate != self.scene.unlucky or not process.is_first:
            return Fate.FINE
        if self.scene.is_gray:
            return Fate.FINE if verb == "get" else self.scene.fates[0]
        number = process.requests - process.first_counted
        return self.scene.fates[number] if number < len(self.scene.fates) else Fate.FINE

    def _away(self, request: Request) -> Fate:
        begin, end = self._outage
        if not begin <= self.now < end or self.scene.outage is None:
            return Fate.FINE
        sender = next(one for one in self.processes if one.name == request.sender)
        if self.scene.outage.whom not in ("", sender.candidate):
            return Fate.FINE
        sender.trouble()
        return self.scene.outage.how

    def _stored(self, request: Request) -> None:
        spec = (request.body or {}).get("spec") or {}
        self.stored.append((self.now, str(spec.get("holderIdentity") or "")))

    def _to_turn(self) -> Iterator[Process]:
        return (one for one in self.processes if one.runs and one.loop.due() <= self.now)

    def _pass_time(self) -> None:
        upcoming = [one.loop.due() for one in self.processes if one.runs]
        if self._events:
            upcoming.append(self._events[0][0])
        self.now = max(self.now, min(upcoming))
        while self._events and self._events[0][0] <= self.now:
            heapq.heappop(self._events)[2]()
        self._look(self)

    def _turned(self, process: Process) -> None:
        if process.life.done():
            process.alive = False
            if process.asked_to_stop_at == math.inf:
                self._disturbed(self.scene.restart)
                self.at(self.now + self.scene.restart, lambda: self._reborn(process))
            return
        if process.turns is not None:
            process.turns += 1
        elif process is self.processes[0] and process.writes == COUNTED_FROM and process.answers == process.requests:
            process.turns, process.first_counted = 0, process.requests + 1
            self.began_at = self.now
            if self.scene.is_gray:
                self._disturbed(3 * LONGEST)
        if process.turns is None or not process.is_first:
            return
        for cut in self.scene.cuts:
            if cut.whom == process.candidate and cut.turn == process.turns and process.runs:
                self._cut(process, cut)
        if self.scene.outage is not None and process.candidate == "a" and process.turns == self.scene.outage.turn:
            self._outage = (self.now, self.now + self.scene.outage.seconds)
            self._disturbed(self.scene.outage.seconds)
            self.at(self._outage[1], self.server.return_)

    def _cut(self, process: Process, cut: Cut) -> None:
        if cut.what is What.STOPPED:
            process.halt()
            self.at(self.now + cut.seconds, process.wake)
            self._disturbed(cut.seconds)
        elif cut.what is What.KILLED:
            process.alive = False
            self.at(self.now + cut.seconds, lambda: self._reborn(process))
            self._disturbed(cut.seconds)
        elif cut.what is What.ASKED:
            process.asked_to_stop_at = self.now
            process.loop.call_soon(process.stop.set)
            self._disturbed(GRACE)
        elif cut.what is What.DELETED:
            self.server.lease = None
        elif cut.what is What.TWIN:
            self.birth(process.candidate, process.place)

    def _reborn(self, process: Process) -> None:
        self.birth(process.candidate, process.place if self.scene.same_pod else f"{process.place}'")

    def _disturbed(self, seconds: float) -> None:
        self.quiet_at = max(self.quiet_at, self.now + seconds)
