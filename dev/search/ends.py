"""Where everything ends: from each place, if nothing goes wrong any more, with good readings and with bad ones.

All of it stands in the graph: nothing is reconciled again. A place from which the way leads out of what was searched is counted, and says
nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

from search.explore import UNKNOWN, Facts, Graph, Violation
from search.place import Life
from tidegate.api.rollout_status import Phase, State

MOST_LOOKS = 60
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
    return _ends(graph, "everything_comes_to_an_end", graph.after_good, lambda facts: facts.wrote_good, _is_good_end)


def bad_end(graph: Graph) -> Ends:
    """With everything in breach nobody stays exposed, but by a rollout that has ended before."""
    return _ends(graph, "a_breach_ends_all_exposure", graph.after_bad, lambda facts: facts.wrote_bad, _is_bad_end)


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


def _ends(graph: Graph, claim: str, after: list[int], wrote: Callable[[Facts], bool], is_end: Callable[[Facts], bool]) -> Ends:
    looks: dict[int, int | None] = {}
    """How many reconciles it takes from a place; None where the way leads out."""
    violations: list[Violation] = []
    for number in range(len(graph.parents)):
        way: list[int] = []
        at = number
        places = {}
        while at != UNKNOWN and at not in looks and at not in places:
            places[at] = len(way)
            way.append(at)
            at = _next(graph, after, at)
        if at in places:
            circle = [graph.facts[one] for one in way[places[at] :]]
            sentence = _judge([facts for facts in circle if facts is not None], wrote, is_end)
            if sentence is not None:
                start, codes = graph.way_to(number)
                violations.append(Violation(claim, sentence, start, codes))
            looks[at] = 0
            for one in way[places[at] :]:
                looks[one] = 0
            way = way[: places[at]]
        known = None if at == UNKNOWN else looks[at]
        for one in reversed(way):
            known = None if known is None else known + 1
            looks[one] = known
    longest = max((count for count in looks.values() if count is not None), default=0)
    if longest > MOST_LOOKS:
        number = next(one for one, count in looks.items() if count == longest)
        start, codes = graph.way_to(number)
        violations.append(Violation(claim, f"it takes {longest} reconciles until all is at an end", start, codes))
    opened = sum(count is None for count in looks.values())
    return Ends(len(looks) - opened, opened, longest, tuple(violations))


def _next(graph: Graph, after: list[int], at: int) -> int:
    """A reconcile, as long as it changes anything; then time passes. What is broken around it is mended first."""
    facts = graph.facts[at]
    if facts is None:
        return UNKNOWN
    if facts.is_broken and graph.after_mended[at] != UNKNOWN:
        return graph.after_mended[at]
    if facts.life is Life.GONE:
        return at
    return graph.after_tick[at] if after[at] == at else after[at]


def _judge(circle: list[Facts], wrote: Callable[[Facts], bool], is_end: Callable[[Facts], bool]) -> str | None:
    if any(wrote(facts) for facts in circle):
        return "it never comes to rest: its reconciles go on writing"
    wrong = next((facts for facts in circle if not is_end(facts)), None)
    return None if wrong is None else f"it stays {wrong.phase} ({wrong.state}) at {wrong.shown} % for ever"
