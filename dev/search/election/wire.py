"""The Lease in an API server that knows nothing else, and the way there and back, on which anything may get lost or come late."""

import asyncio
import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tidegate.clients.errors import AlreadyExists, ApiError, Conflict, NotFound, Unavailable
from tidegate.clients.resources import JsonObject

HOP = 0.005
"""Seconds of each way."""
AWAY = "Away"
LONGEST = 5.0
"""Seconds after which nothing comes of a request any more."""
_REFUSALS: dict[str, type[ApiError]] = {"NotFound": NotFound, "AlreadyExists": AlreadyExists, "Conflict": Conflict, AWAY: Unavailable}
At = Callable[[float, Callable[[], None]], None]


class Fate(StrEnum):
    """What becomes of a request."""

    FINE = "is answered"
    LOST = "is lost on its way"
    UNANSWERED = "is carried out, and its answer is lost"
    SLOW = "is carried out after 2 s, and answered"
    LATE = "is carried out after 4 s"
    BEHIND = "is carried out right after the next read"
    REFUSED = "is refused at once"


_AFTER = {Fate.FINE: HOP, Fate.UNANSWERED: HOP, Fate.SLOW: 2.0, Fate.LATE: 4.0}


@dataclass
class Request:
    """One, on its way. `arrived` is called in the sender's world with what was answered."""

    sender: str
    verb: str
    body: JsonObject | None
    arrived: Callable[[str, JsonObject | None], None]
    fate: Fate = Fate.FINE


@dataclass
class Server:
    """One Lease, replaced by version. `stored` is told of each write; `at` calls something at a time."""

    now: Callable[[], float]
    at: At
    stored: Callable[[Request], None]
    lease: JsonObject | None = None
    version: int = 1
    away: Callable[[Request], Fate] = lambda _: Fate.FINE
    back: list[Request] = field(default_factory=list)
    """What waits for the end of an outage."""
    behind: list[Request] = field(default_factory=list)

    def send(self, request: Request) -> None:
        """Puts a request on its way."""
        if request.fate is Fate.BEHIND:
            self.behind.append(request)
        elif request.fate is Fate.REFUSED:
            self._answer(request, AWAY, None)
        elif request.fate is not Fate.LOST:
            self.at(self.now() + _AFTER[request.fate], lambda: self.arrive(request))

    def arrive(self, request: Request) -> None:
        """Carries it out, unless nobody is there."""
        meanwhile = self.away(request)
        if meanwhile is Fate.LATE:
            self.back.append(request)
        elif meanwhile is Fate.REFUSED:
            self._answer(request, AWAY, None)
        elif meanwhile is not Fate.LOST:
            self._carry_out(request)

    def return_(self) -> None:
        """An outage ends: what waited is carried out in its order."""
        waiting, self.back = self.back, []
        for request in waiting:
            self.arrive(request)

    def _carry_out(self, request: Request) -> None:
        said, found = self._answer_to(request)
        if request.fate is not Fate.UNANSWERED:
            self._answer(request, said, found)
        if request.verb == "get":
            behind, self.behind = self.behind, []
            for other in behind:
                self._answer_to(other)

    def _answer_to(self, request: Request) -> tuple[str, JsonObject | None]:
        if request.verb == "create" and self.lease is not None:
            return "AlreadyExists", None
        if request.verb != "create" and self.lease is None:
            return "NotFound", None
        if request.body is not None:
            named = (request.body.get("metadata") or {}).get("resourceVersion")
            if request.verb == "replace" and named not in (None, str(self.version)):
                return "Conflict", None
            self.write(request.body)
            self.stored(request)
        return "", copy.deepcopy(self.lease)

    def write(self, body: JsonObject) -> None:
        """Stores it as the next version."""
        self.version += 1
        self.lease = copy.deepcopy(body) | {"metadata": {"name": "tidegate", "resourceVersion": str(self.version)}}

    def _answer(self, request: Request, said: str, found: JsonObject | None) -> None:
        self.at(self.now() + HOP, lambda: request.arrived(said, found))


class Wire:
    """What `Leadership` takes for the API server's client. `send` gets each request of this process."""

    def __init__(self, send: Callable[[str, JsonObject | None, "asyncio.Future[Any]"], None]) -> None:
        self._send = send

    async def get(self, _resource: object, _namespace: str, _name: str, *, time_limit: float) -> JsonObject:
        return await self._ask("get", None, time_limit)

    async def create(self, _resource: object, body: JsonObject, *, time_limit: float) -> JsonObject:
        return await self._ask("create", body, time_limit)

    async def replace(self, _resource: object, body: JsonObject, *, time_limit: float) -> JsonObject:
        return await self._ask("replace", body, time_limit)

    async def _ask(self, verb: str, body: JsonObject | None, seconds: float) -> JsonObject:
        answer: asyncio.Future[tuple[str, JsonObject]] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await asyncio.sleep(0)  # a connection has to be found
                self._send(verb, body, answer)
                said, found = await answer
        except TimeoutError as error:
            raise Unavailable(f"{verb} lease", "no answer in time") from error
        if said:
            raise _REFUSALS[said](f"{verb} lease", said)
        return found
