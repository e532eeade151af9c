"""Breadth-first search over all places that a scope can reach."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import zip_longest
from time import process_time

from search.canonical import Canon, Key
from search.claims import DECISION_CLAIMS, STORE_CLAIMS, WRITE_CLAIMS
from search.flags import Flags, Hand
from search.memory import standing
from search.people import EVENTS, HANDS
from search.place import FIRST, Life, Place
from search.reconciling import Operator, Reconcile
from search.scopes import BAD, GOOD, PACE, PATIENCE, Said, Scope
from search.spec import Choice, Library
from tidegate.api.rollout_status import FeatureRolloutStatus, Phase, State
from tidegate.decide.rollout import draft, missing
from tidegate.domain import pace, recording
from tidegate.domain.exposure import Reading

UNKNOWN = -1
"""Where the search did not get to."""
LIFE = 60
"""Reconciles of the undisturbed life that the search sets out from, so that a small budget reaches all of it."""
WOKEN = ("decided", "read")
EACH = 5
"""Of so many places one is compared with another that counts as the same."""
LEADS = ("good", "bad", "tick", "policy", "appends")
"""What the claims about ends follow: undisturbed reconciles with good and bad readings, time, and the mending of what is broken."""
Code = tuple[str, str, int]
"""A transition, to be made again: ("reconcile", its readings, number of its end), ("event", name, number) or ("wake", "", number)."""
Progress = Callable[["Graph"], None]


@dataclass(frozen=True, slots=True)
class Happening:
    """One transition: what happens, in words, where it leads, and the reconcile that it is, if it is one."""

    code: Code
    text: str
    after: Place
    reconcile: Reconcile | None = None

    @property
    def is_undisturbed(self) -> bool:
        return self.code[0] != "wake" and (self.reconcile is None or self.reconcile.is_done)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the claims about ends ask of a place. `held`: a person has to do something before it goes on. `wrote`: whether the undisturbed
    reconcile at it wrote, with good readings and with bad ones (there the flag alone: how long a breach lasts goes on being written)."""

    life: Life
    state: State
    phase: Phase
    shown: int
    enabled: bool
    held: bool
    is_foreign: bool
    is_broken: bool
    wrote: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Violation:
    """A claim that does not hold, and the shortest way there that the search knows."""

    claim: str
    sentence: str
    start: int
    codes: tuple[Code, ...]


@dataclass(slots=True)
class Found:
    """A place that was found, from where and how. `leads`: to the numbers of others; `facts` are known once it was left by every way."""

    parent: int
    code: Code | None
    depth: int
    leads: dict[str, int] = field(default_factory=dict)
    facts: Facts | None = None


@dataclass
class Graph:
    """What was found."""

    scope: Scope
    starts: list[int] = field(default_factory=list)
    places: list[Found] = field(default_factory=list)
    transitions: int = 0
    expanded: int = 0
    seconds: float = 0.0
    violations: list[Violation] = field(default_factory=list)

    @property
    def is_exhausted(self) -> bool:
        """Whether every place that was found was also left by every way."""
        return self.expanded == len(self.places)

    @property
    def depth(self) -> int:
        """All ways of so many transitions off the undisturbed life were gone."""
        return min((one.depth for one in self.places if one.facts is None), default=max(one.depth for one in self.places))

    def way_to(self, number: int) -> tuple[int, tuple[Code, ...]]:
        """Which start (a place in `starts`), and what has to happen from there."""
        codes: list[Code] = []
        while (code := self.places[number].code) is not None:
            codes.append(code)
            number = self.places[number].parent
        return self.starts.index(number), tuple(reversed(codes))


def starts(scope: Scope) -> list[Place]:
    """Where a scope begins: the object has just been created, the flag is there or not."""
    status = FeatureRolloutStatus()
    flags = [None if percent is None else Flags(hand=Hand("replaced", percent)) for percent in scope.starts]
    return [Place(FIRST, Choice(), status, flags=one) for one in flags]


def happenings(operator: Operator, place: Place) -> Iterator[Happening]:
    """Everything that may happen next."""
    scope = operator.library.scope
    for name in scope.events:
        if name in HANDS and place.hands >= scope.hands:
            continue
        for number, (text, after) in enumerate(EVENTS[name](operator, place)):
            yield Happening(("event", name, number), text, after)
    if place.sleeper is not None:
        for number, late in enumerate(operator.late_reconciles(place)):
            text = f"the stopped leader wakes and acts on what it had {WOKEN[number]}"
            yield Happening(("wake", "", number), text, late.after, late)
    if place.life is not Life.GONE:
        yield from _reconciles(operator, place)


def _reconciles(operator: Operator, place: Place) -> Iterator[Happening]:
    """Reconciles with every kind of reading; those that only differ in gates that are not asked are one."""
    asked = [name for _, name in operator.snapshot(place, GOOD).answers]
    known: set[tuple[str, ...]] = set()
    for which, said in enumerate(operator.library.scope.readings):
        heard = tuple(said.get(name, "good") for name in asked)
        if heard in known:
            continue
        known.add(heard)
        readings = "good" if said is GOOD else "bad" if said is BAD else str(which)
        for number, one in enumerate(operator.reconciles(place, said)):
            yield Happening(("reconcile", readings, number), f"a reconcile, {in_words(said)}, {one.end}", one.after, one)


def in_words(said: Said) -> str:
    """The readings of a reconcile."""
    return ", ".join(f"{name} {kind}" for name, kind in said.items()) or "all readings good"


class Search:
    """The search of one scope."""

    def __init__(self, scope: Scope) -> None:
        draft.BACKLOG, missing.PATIENCE, recording.PATIENCE = scope.backlog, timedelta(seconds=PATIENCE), timedelta(seconds=PATIENCE)
        pace.AT_ONCE, pace.EVERY = scope.at_once, timedelta(seconds=PACE)
        self.operator = Operator(Library(scope))
        self.graph = Graph(scope)
        self._canon = Canon(self.operator.library, self.operator.noting.written)
        self._numbers: dict[Key, int] = {}
        self._waiting: deque[tuple[int, Place]] = deque()
        self._twins: dict[int, Place] = {}

    def run(self, most: int | None = None, progress: Progress | None = None) -> Graph:
        """Until everything was seen, a claim does not hold, or so many transitions were made."""
        began, graph = process_time(), self.graph
        for place in starts(graph.scope):
            self._live(place)
        while self._waiting and not graph.violations and (most is None or graph.transitions < most):
            self._expand(*self._waiting.popleft())
            graph.seconds = process_time() - began
            if progress is not None:
                progress(graph)
        return graph

    def _live(self, place: Place) -> None:
        """The places of an undisturbed life, as the first ones to search from."""
        number = self._number(place, UNKNOWN, None, 0)
        self.graph.starts.append(number)
        for _ in range(LIFE):
            key, ways = self._canon.key(place), {one.code[:2]: one for one in happenings(self.operator, place) if one.is_undisturbed}
            happening = ways["reconcile", "good"]
            if self._canon.key(happening.after) == key:
                happening = ways["event", "tick"]
            place = happening.after
            number = self._number(place, number, happening.code, 0)

    def _number(self, place: Place, parent: int, code: Code | None, depth: int) -> int:
        place = self._canon.plain(place)
        key = self._canon.key(place)
        if key not in self._numbers:
            number = self._numbers[key] = len(self._numbers)
            self._waiting.append((number, place))
            self.graph.places.append(Found(parent, code, depth))
        elif self._numbers[key] % EACH == 0 and self.graph.places[self._numbers[key]].facts is None:
            self._twins[self._numbers[key]] = place
        return self._numbers[key]

    def _expand(self, number: int, place: Place) -> None:
        graph, found = self.graph, self.graph.places[number]
        graph.expanded += 1
        wrote = {"good": False, "bad": False}
        leads = list[int]()
        for happening in happenings(self.operator, place):
            graph.transitions += 1
            done, name = happening.reconcile, happening.code[1]
            to = number if happening.after is place else self._number(happening.after, number, happening.code, found.depth + 1)
            leads.append(to)
            if done is not None:
                self._check(number, happening, done, to)
            if happening.is_undisturbed and name in LEADS:
                found.leads[name] = to
                if done is not None:
                    wrote[name] = done.wrote if name == "good" else done.wrote_flag
        if "bad" not in found.leads:
            found.leads["bad"], wrote["bad"] = found.leads.get("good", UNKNOWN), wrote["good"]
        found.facts = self._facts(place, wrote)
        if number in self._twins:
            self._compare(number, leads, self._twins.pop(number))

    def _compare(self, number: int, leads: list[int], twin: Place) -> None:
        """What counts as one place goes on as one: nothing asks for what a key leaves out."""
        for to, happening in zip_longest(leads, happenings(self.operator, twin)):
            if happening is not None and happening.code[1] == "back":
                continue  # what was old is young again, and told apart
            if happening is None or self._numbers.get(self._canon.key(self._canon.plain(happening.after))) != to:
                sentence = "two places have the same key, and don't lead to the same places"
                self._note("a_key_tells_all_that_matters", sentence, number, happening)
                return

    def _check(self, number: int, happening: Happening, done: Reconcile, to: int) -> None:
        claims = (WRITE_CLAIMS if done.writes else ()) + STORE_CLAIMS + (DECISION_CLAIMS if done.is_done else ())
        sentences = {claim.__name__: claim(self.operator, done) for claim in claims}
        if done.is_done and to == number and done.wrote:
            sentences["a_converged_reconcile_writes_nothing"] = "the reconcile writes, and nothing is different afterwards"
        for claim, sentence in sentences.items():
            if sentence is not None:
                self._note(claim, sentence, number, happening)

    def _note(self, claim: str, sentence: str, number: int, happening: Happening | None) -> None:
        start, codes = self.graph.way_to(number)
        self.graph.violations.append(Violation(claim, sentence, start, codes if happening is None else (*codes, happening.code)))

    def _facts(self, place: Place, wrote: Mapping[str, bool]) -> Facts:
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
            wrote=wrote,
        )
