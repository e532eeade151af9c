"""Breadth-first search over all places that a scope can reach."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from time import process_time

from search.canonical import Canon
from search.claims import DECISION_CLAIMS, STORE_CLAIMS, WRITE_CLAIMS
from search.flags import Flags, Hand
from search.looking import Look, Operator
from search.memory import standing
from search.people import EVENTS
from search.place import FIRST, Life, Place
from search.scopes import BAD, GOOD, Said, Scope
from search.spec import Choice, Library
from search.telling import Key
from tidegate.api.rollout_status import FeatureRolloutStatus, Phase, State
from tidegate.decide.rollout import draft
from tidegate.domain.exposure import Reading

UNKNOWN = -1
"""Where the search did not get to."""
LIFE = 60
"""Reconciles of the undisturbed life that the search sets out from, so that a small budget reaches all of it."""
WOKEN = ("decided", "read")
Code = tuple[str, str, int]
"""A transition, to be made again: ("look", number of the readings, number of the end), ("event", name, number) or ("wake", "", 0)."""
Progress = Callable[["Graph"], None]


@dataclass(frozen=True, slots=True)
class Happening:
    """One transition: what happens, in words, where it leads, and the reconcile that it is, if it is one."""

    code: Code
    text: str
    after: Place
    look: Look | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What the claims about ends ask of a place. `held`: a person has to do something before it goes on. `wrote_*`: what the undisturbed
    reconcile at it wrote, with good readings and with bad ones (there the flag alone: how long a breach lasts goes on being written)."""

    life: Life
    state: State
    phase: Phase
    shown: int
    enabled: bool
    held: bool
    is_foreign: bool
    is_broken: bool
    wrote_good: bool
    wrote_bad: bool


@dataclass(frozen=True, slots=True)
class Violation:
    """A claim that does not hold, and the shortest way there that the search knows."""

    claim: str
    sentence: str
    start: int
    codes: tuple[Code, ...]


@dataclass
class Graph:
    """What was found. The lists go by the number of a place."""

    scope: Scope
    starts: list[int] = field(default_factory=list)
    parents: list[tuple[int, Code | None]] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    after_good: list[int] = field(default_factory=list)
    after_bad: list[int] = field(default_factory=list)
    after_tick: list[int] = field(default_factory=list)
    after_mended: list[int] = field(default_factory=list)
    facts: list[Facts | None] = field(default_factory=list)
    transitions: int = 0
    looks: int = 0
    expanded: int = 0
    seconds: float = 0.0
    violations: list[Violation] = field(default_factory=list)

    @property
    def is_exhausted(self) -> bool:
        """Whether every place that was found was also left by every way."""
        return self.expanded == len(self.parents)

    @property
    def depth(self) -> int:
        """All ways of so many transitions off the undisturbed life were gone."""
        return min((depth for depth, facts in zip(self.depths, self.facts, strict=True) if facts is None), default=max(self.depths))

    def way_to(self, number: int) -> tuple[int, tuple[Code, ...]]:
        """Which start (a place in `starts`), and what has to happen from there."""
        codes: list[Code] = []
        while True:
            parent, code = self.parents[number]
            if code is None:
                return self.starts.index(number), tuple(reversed(codes))
            codes.append(code)
            number = parent


def starts(scope: Scope) -> list[Place]:
    """Where a scope begins: the object has just been created, the flag is there or not."""
    status = FeatureRolloutStatus()
    flags = [None if percent is None else Flags(hand=Hand("replaced", percent)) for percent in scope.starts]
    return [Place(FIRST, Choice(), status, flags=one) for one in flags]


def happenings(operator: Operator, place: Place) -> Iterator[Happening]:
    """Everything that may happen next."""
    scope = operator.library.scope
    for name in scope.events:
        if name == "wake":
            if place.sleeper is not None:
                for number, look in enumerate(operator.late_looks(place)):
                    yield Happening(
                        ("wake", "", number), f"the stopped leader wakes and acts on what it had {WOKEN[number]}", look.after, look
                    )
            continue
        for number, (text, after) in enumerate(EVENTS[name](operator, place)):
            yield Happening(("event", name, number), text, after)
    if place.life is not Life.GONE:
        yield from _looks(operator, place)


def _looks(operator: Operator, place: Place) -> Iterator[Happening]:
    """Reconciles with every kind of reading; those that only differ in gates that are not asked are one."""
    asked = [name for _, name in operator.snapshot(place, GOOD).answers]
    known: set[tuple[str, ...]] = set()
    for which, said in enumerate(operator.library.scope.readings):
        heard = tuple(said.get(name, "good") for name in asked)
        if heard in known:
            continue
        known.add(heard)
        for number, look in enumerate(operator.looks(place, said)):
            yield Happening(("look", str(which), number), f"a reconcile, {in_words(said)}, {look.end}", look.after, look)


def in_words(said: Said) -> str:
    """The readings of a reconcile."""
    return ", ".join(f"{name} {kind}" for name, kind in said.items()) or "all readings good"


class Search:
    """The search of one scope."""

    def __init__(self, scope: Scope) -> None:
        draft.BACKLOG = scope.backlog
        self.operator = Operator(Library(scope))
        self.graph = Graph(scope)
        self._canon = Canon(self.operator.library, self.operator.prints)
        self._numbers: dict[Key, int] = {}
        self._waiting: deque[tuple[int, Key]] = deque()
        self._good, self._bad = str(scope.readings.index(GOOD)), str(scope.readings.index(BAD))

    def run(self, most: int | None = None, progress: Progress | None = None) -> Graph:
        """Until everything was seen, a claim does not hold, or so many transitions were made."""
        began, graph = process_time(), self.graph
        for place in starts(graph.scope):
            self._live(place)
        while self._waiting and not graph.violations and (most is None or graph.transitions < most):
            number, key = self._waiting.popleft()
            self._expand(number, key)
            graph.seconds = process_time() - began
            if progress is not None:
                progress(graph)
        return graph

    def _live(self, place: Place) -> None:
        """The places of an undisturbed life, as the first ones to search from."""
        number = self._number(place, UNKNOWN, None, 0)
        self.graph.starts.append(number)
        for _ in range(LIFE):
            for happening in happenings(self.operator, place):
                is_look = happening.code[:2] == ("look", self._good) and happening.look is not None and happening.look.is_done
                if is_look and self._canon.encode(happening.after) != self._canon.encode(place):
                    break
            else:
                happening = next(one for one in happenings(self.operator, place) if one.code == ("event", "tick", 0))
            place = happening.after
            number = self._number(place, number, happening.code, 0)

    def found(self) -> Iterable[Key]:
        """Every place that was found."""
        return self._numbers

    def again(self, place: Place) -> Place:
        """The place as the search goes on from it."""
        return self._canon.decode(self._canon.encode(place))

    def _number(self, place: Place, parent: int, code: Code | None, depth: int) -> int:
        key = self._canon.encode(place)
        found = self._numbers.get(key)
        if found is not None:
            return found
        graph, number = self.graph, len(self._numbers)
        self._numbers[key] = number
        self._waiting.append((number, key))
        graph.parents.append((parent, code))
        graph.depths.append(depth)
        graph.facts.append(None)
        for ways in (graph.after_good, graph.after_bad, graph.after_tick, graph.after_mended):
            ways.append(UNKNOWN)
        return number

    def _expand(self, number: int, key: Key) -> None:
        graph, place = self.graph, self._canon.decode(key)
        graph.expanded += 1
        self._canon.forget()
        if "sleep" in graph.scope.events:
            self.operator.core = (*key[:2], key[4])
        wrote = {self._good: False, self._bad: False}
        for happening in happenings(self.operator, place):
            graph.transitions += 1
            look = happening.look
            to = number if happening.after is place else self._number(happening.after, number, happening.code, graph.depths[number] + 1)
            if look is not None:
                self._check(number, happening, look, to)
            self._follow(number, happening, to)
            if look is not None and look.is_done and happening.code[1] in wrote:
                wrote[happening.code[1]] = look.wrote if happening.code[1] == self._good else look.wrote_flag
        if graph.after_bad[number] == UNKNOWN:
            graph.after_bad[number], wrote[self._bad] = graph.after_good[number], wrote[self._good]
        graph.facts[number] = self._facts(place, wrote[self._good], wrote[self._bad])

    def _follow(self, number: int, happening: Happening, to: int) -> None:
        kind, name, _ = happening.code
        graph = self.graph
        if kind == "event" and name == "tick":
            graph.after_tick[number] = to
        elif kind == "event" and name in ("policy", "appends"):
            graph.after_mended[number] = to
        elif kind == "look" and happening.look is not None and happening.look.is_done:
            if name == self._good:
                graph.after_good[number] = to
            elif name == self._bad:
                graph.after_bad[number] = to

    def _check(self, number: int, happening: Happening, look: Look, to: int) -> None:
        self.graph.looks += 1
        for claim in (*(WRITE_CLAIMS if look.writes else ()), *STORE_CLAIMS):
            self._note(number, happening, claim.__name__, claim(self.operator, look))
        if look.is_done:
            for claim in DECISION_CLAIMS:
                self._note(number, happening, claim.__name__, claim(self.operator, look))
            if to == number and look.wrote:
                sentence = "the reconcile writes, and nothing is different afterwards"
                self._note(number, happening, "a_converged_reconcile_writes_nothing", sentence)

    def _note(self, number: int, happening: Happening, claim: str, sentence: str | None) -> None:
        if sentence is None:
            return
        start, codes = self.graph.way_to(number)
        self.graph.violations.append(Violation(claim, sentence, start, (*codes, happening.code)))

    def _facts(self, place: Place, wrote_good: bool, wrote_bad: bool) -> Facts:
        status, lever = place.status, self.operator.lever
        found = lever.found(place.flags, place.status.attempt > 0)
        written = self.operator.library.written(place.choice)
        is_lowered = isinstance(found, Reading) and (found.percent or 0) < standing(status)
        is_late = any(condition.reason == "StepDeadlineExceeded" for condition in status.conditions)
        is_unclaimed = status.attempt == 0 and written.problem is not None
        is_foreign = not isinstance(found, Reading) or is_unclaimed or (status.attempt == 0 and found.unreadable is not None)
        return Facts(
            life=place.life,
            state=status.state,
            phase=status.phase,
            shown=lever.shown(place.flags, place.now),
            enabled=place.choice.enabled,
            held=place.choice.paused or written.problem is not None or is_lowered or is_late,
            is_foreign=is_foreign,
            is_broken=not (place.policy and place.appends),
            wrote_good=wrote_good,
            wrote_bad=wrote_bad,
        )
