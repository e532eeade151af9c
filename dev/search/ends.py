"""Where everything ends: from each place, if nothing goes wrong any more, with good readings and with bad ones.

All of it stands in the graph: nothing is reconciled again. A place from which the way leads out of what was searched is counted, and says
nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

from search.explore import UNKNOWN, Facts, Found, Graph, Violation
from search.place import Life
from tidegate.api.rollout_status import Phase, State

MOST_RECONCILES = 60
"""Within so many reconciles everything ends."""


@dataclass(frozen=True, slots=True)
class Ends:
    """`longest`: the most reconciles that it took from anywhere. `open`: places whose way leads out of what was searched."""

    judged: int
    open: int
    longest: int
    violations: tuple[Violation, ...]


def good_end(graph: Graph) -> Ends:
    """Succeeded, rolled back, disabled or gone; or held by something that a person has to do."""
    return _ends(graph, "everything_comes_to_an_end", "good", _is_good_end)


def bad_end(graph: Graph) -> Ends:
    """With everything in breach nobody stays exposed, but by a rollout that has ended before."""
    return _ends(graph, "a_breach_ends_all_exposure", "bad", _is_bad_end)


def _is_good_end(facts: Facts) -> bool:
    if facts.life is not Life.ALIVE:
        return facts.life is Life.GONE
    if facts.is_foreign:
        return True
    if not facts.enabled:
        return facts.phase is Phase.DISABLED and facts.shown == 0
    if facts.state is State.ROLLBACK:
        return facts.phase is Phase.ROLLED_BACK and facts.shown == 0
    return (facts.phase is Phase.SUCCEEDED and facts.shown == 100) or facts.held


def _is_bad_end(facts: Facts) -> bool:
    return facts.shown == 0 or facts.phase is Phase.SUCCEEDED or facts.life is not Life.ALIVE or facts.is_foreign


def _ends(graph: Graph, claim: str, readings: str, is_end: Callable[[Facts], bool]) -> Ends:
    reconciles: dict[int, int | None] = {}
    """How many it takes from a place; None where the way leads out."""
    violations: list[Violation] = []
    for number in range(len(graph.places)):
        way: dict[int, None] = {}
        at = number
        while at != UNKNOWN and at not in reconciles and at not in way:
            way[at] = None
            at = _next(graph.places[at], readings, at)
        known = None if at == UNKNOWN else reconciles.get(at, 0)
        before = list(way)
        if at in way:
            before, circle = before[: before.index(at)], before[before.index(at) :]
            reconciles |= dict.fromkeys(circle, 0)
            sentence = _judge([facts for one in circle if (facts := graph.places[one].facts) is not None], readings, is_end)
            if sentence is not None:
                violations.append(Violation(claim, sentence, *graph.way_to(number)))
        for one in reversed(before):
            known = None if known is None else known + 1
            reconciles[one] = known
    longest = max((count for count in reconciles.values() if count is not None), default=0)
    if longest > MOST_RECONCILES:
        number = next(one for one, count in reconciles.items() if count == longest)
        violations.append(Violation(claim, f"it takes {longest} reconciles until all is at an end", *graph.way_to(number)))
    opened = sum(count is None for count in reconciles.values())
    return Ends(len(reconciles) - opened, opened, longest, tuple(violations))


def _next(found: Found, readings: str, at: int) -> int:
    """A reconcile, as long as it changes anything; then time passes. What is broken around it is mended first."""
    facts, leads = found.facts, found.leads
    if facts is None:
        return UNKNOWN
    mended = leads.get("policy", leads.get("appends"))
    if facts.is_broken and mended is not None:
        return mended
    if facts.life is Life.GONE:
        return at
    return leads["tick"] if leads[readings] == at else leads[readings]


def _judge(circle: list[Facts], readings: str, is_end: Callable[[Facts], bool]) -> str | None:
    if any(facts.wrote[readings] for facts in circle):
        return "it never comes to rest: its reconciles go on writing"
    wrong = next((facts for facts in circle if not is_end(facts)), None)
    return None if wrong is None else f"it stays {wrong.phase} ({wrong.state}) at {wrong.shown} % for ever"
