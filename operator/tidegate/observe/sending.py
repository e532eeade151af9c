"""Questions on their way to a source: each waits for its turn among those of its namespace, and its time counts from when it was sent."""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from tidegate.api.conditions import Reason
from tidegate.clients.errors import SourceError, SourceRefused, SourceTimeout, SourceTooMuch, SourceUnreachable
from tidegate.clients.prometheus import Endpoint, InstantVector, RangeVector
from tidegate.domain.answers import Failure
from tidegate.domain.shares import Bounds, Shares, Turn
from tidegate.observe.silence import Silence

BOUNDS = Bounds(slots=16, share=8, lasting=12, in_all=20)
"""Of one source. Prometheus evaluates twenty queries at once: where some last, there is room beside them for the quick ones, unless more
than sixteen namespaces have any."""
LASTING_AFTER = 0.5
"""Seconds after which a question is a slow one."""
_REFUSED = (400, 422)
"""Prometheus can't evaluate the query: not its own fault. It says so in its own words; what has none comes from a proxy before it."""
_MOST_LINES = 1024
_MOST_ROLLOUTS = 20_000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asker:
    """In whose name something is asked: within the share of a namespace. `is_urgent`: the answer may roll something back. `place` is when
    the rollout was last answered: who has waited longest is asked for first, and as a whole, since half of its answers serve nobody.
    The reconcile `began` to ask then, by the loop's clock, and goes on without an answer after `patience` seconds."""

    namespace: str = ""
    rollout: str = ""
    place: float = -math.inf
    began: float = 0.0
    patience: float = math.inf
    is_urgent: bool = False

    @property
    def until(self) -> float:
        return self.began + self.patience


NOBODY = Asker()
"""Of no namespace, as a policy's own questions."""
Call = Callable[[], Awaitable[T]]


class Question(Generic[T]):
    """One question and its answer, for all who ask the same. Without anybody who still waits for it, it is given up."""

    def __init__(self, line: "Line", call: Call[T], given_up: Callable[[], None]) -> None:
        self._line = line
        self._given_up = given_up
        self._turn = Turn(asyncio.Event())
        self._waiting = 0
        self.task = asyncio.create_task(line.send(self._turn, call))

    async def answer(self, asker: Asker) -> T | Failure:
        """The answer, or why there is none until the asker goes on."""
        self._waiting += 1
        if not self.task.done():
            self._line.wait(self._turn, asker)
        try:
            async with asyncio.timeout_at(None if asker.until == math.inf else asker.until):
                answer = await asyncio.shield(self.task)
        except TimeoutError:
            answer = self._line.late(self._turn, asker)
        finally:
            self._waiting -= 1
            if not self._waiting and not self.task.done():
                self.task.cancel()
                self._given_up()
        self._line.leaves(asker, answer)
        return answer


class Line:
    """The questions to one source. A source that answers nothing is silent for who asks; a question that fails while others are answered is
    slow."""

    def __init__(self, endpoint: Endpoint, silence: Silence, turns: "Turns") -> None:
        self._endpoint = endpoint
        self._silence = silence
        self._turns = turns
        self._shares = Shares[asyncio.Event](BOUNDS)
        self._sent: dict[Turn[asyncio.Event], float] = {}

    def wait(self, turn: Turn[asyncio.Event], asker: Asker) -> None:
        """A question waits in the line of whoever asks it, too."""
        if turn.party is None:
            self._shares.wait(turn, asker.namespace, (not asker.is_urgent, asker.place))
            self._go_on()

    def leaves(self, asker: Asker, answer: object) -> None:
        """Who asked goes on, with an answer or without."""
        if asker.patience < math.inf:
            self._turns.note(asker, answer.reason if isinstance(answer, Failure) else None)

    async def send(self, turn: Turn[asyncio.Event], call: Call[T]) -> T | Failure:
        """What is answered, once the question's turn has come."""
        loop = asyncio.get_running_loop()
        try:
            await turn.item.wait()
            self._sent[turn] = loop.time()
            lasting = loop.call_later(LASTING_AFTER, self._lasts, turn)
            try:
                return await self._answer_of(turn, call)
            finally:
                lasting.cancel()
        finally:
            self._sent.pop(turn, None)
            self._shares.ended(turn)
            self._go_on()

    def late(self, turn: Turn[asyncio.Event], asker: Asker) -> Failure:
        """Why a question has no answer when its asker goes on. One that was sent shortly before has waited too long, and not its answer."""
        waited, sent_at = f"within {asker.patience:g} s", self._sent.get(turn)
        if sent_at is not None and asker.until - sent_at >= asker.patience / 2:
            return self._unanswered(sent_at, f"no complete answer {waited}, when the other gates were judged")
        if self._silence.answers_since(self._endpoint, min(self._sent.values(), default=asker.began)):
            share = f"namespace {asker.namespace} asks more than {BOUNDS.share} queries at once, or slow ones"
            return Failure(Reason.SOURCE_BUSY, f"its turn did not come {waited}: {share}")
        return Failure(Reason.PROMETHEUS_TIMEOUT, f"no query was answered {waited}")

    async def _answer_of(self, turn: Turn[asyncio.Event], call: Call[T]) -> T | Failure:
        party, sent_at = turn.party or "", self._sent[turn]
        clock = asyncio.get_running_loop().time
        try:
            value = await call()
        except asyncio.CancelledError:
            if clock() - sent_at >= LASTING_AFTER:  # nobody waits for it any longer: it failed, if it had the time to be answered
                self._note(party, self._unanswered(sent_at, f"no complete answer within {clock() - sent_at:.3g} s"))
            raise
        except SourceTimeout as error:
            return self._note(party, self._unanswered(sent_at, str(error)))
        except SourceUnreachable as error:
            return self._note(party, Failure(Reason.PROMETHEUS_UNREACHABLE, str(error)))
        except SourceError as error:
            self._silence.answered(self._endpoint, party, clock())
            return Failure(Reason.QUERY_REFUSED if _is_of_the_query(error) else Reason.PROMETHEUS_ERROR, str(error))
        self._silence.answered(self._endpoint, party, clock())
        if isinstance(value, InstantVector | RangeVector) and value.warnings:
            return Failure(Reason.PROMETHEUS_WARNING, value.warnings[0])
        return value

    def _unanswered(self, sent_at: float, message: str) -> Failure:
        if self._silence.answers_since(self._endpoint, sent_at):
            return Failure(Reason.QUERY_SLOW, f"{message}, while other queries are answered")
        return Failure(Reason.PROMETHEUS_TIMEOUT, message)

    def _note(self, party: str, failure: Failure) -> Failure:
        if failure.reason is not Reason.QUERY_SLOW:
            self._silence.failed(self._endpoint, party, failure, asyncio.get_running_loop().time())
        return failure

    def _lasts(self, turn: Turn[asyncio.Event]) -> None:
        self._shares.lasts(turn)
        self._go_on()

    def _go_on(self) -> None:
        while (turn := self._shares.take()) is not None:
            turn.item.set()


class Turns:
    """When each rollout, by uid, had last been answered as a whole; also where it has itself to blame that it was not."""

    def __init__(self) -> None:
        self._last: OrderedDict[str, _Last] = OrderedDict()

    def note(self, asker: Asker, failure: Reason | None) -> None:
        """One of its questions was answered, or was not. Without all of its answers its place stays, so that it is next."""
        began, last = asker.began, self._last.get(asker.rollout)
        is_slow = failure is Reason.QUERY_SLOW or (last is not None and last.is_slow and last.began == began)
        lacks = failure is Reason.SOURCE_BUSY or (last is not None and last.began == began and last.lacks)
        self._last[asker.rollout] = _Last(began, asker.place if lacks and not is_slow else began, is_slow, lacks)
        self._last.move_to_end(asker.rollout)
        if len(self._last) > _MOST_ROLLOUTS:
            self._last.popitem(last=False)

    def place(self, rollout: str) -> float:
        last = self._last.get(rollout)
        return -math.inf if last is None else last.place


class _Last(NamedTuple):
    """Of the reconcile that `began` then: whether a query was slow, and whether the turn of one did not come."""

    began: float
    place: float
    is_slow: bool
    lacks: bool


class Lines:
    """The line of each source, and which are silent for whom."""

    def __init__(self) -> None:
        self._silence = Silence()
        self._turns = Turns()
        self._lines: dict[Endpoint, Line] = {}

    async def silent(self, endpoint: Endpoint, asker: Asker) -> Failure | None:
        """The failure to answer with, where the source is known to be silent."""
        return await self._silence.known(endpoint, asker.namespace, asyncio.get_running_loop().time())

    def went_on(self, endpoint: Endpoint, asker: Asker) -> None:
        """Who asked has an answer, or goes on without. It may have been the one to find out whether the source is still silent."""
        self._silence.probed(endpoint, asker.namespace)

    def to(self, endpoint: Endpoint) -> Line:
        """The line of a source. Credentials change: lines that are no longer used end with their last question."""
        if endpoint not in self._lines:
            if len(self._lines) >= _MOST_LINES:
                self._lines.pop(next(iter(self._lines)))
            self._lines[endpoint] = Line(endpoint, self._silence, self._turns)
        return self._lines[endpoint]

    def asker(self, namespace: str, rollout: str) -> Asker:
        """In whose name one reconcile of a rollout asks."""
        return Asker(namespace, rollout, self._turns.place(rollout), asyncio.get_running_loop().time())


def _is_of_the_query(error: SourceError) -> bool:
    """Whether the query is at fault, and not the source."""
    if isinstance(error, SourceRefused):
        return error.status in _REFUSED and error.error_type != ""
    return isinstance(error, SourceTooMuch)
