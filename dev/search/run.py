"""Searches every place that a rollout can reach in the small worlds of search/scopes.py, and checks every claim at every transition."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

_ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_ROOT / "dev"), str(_ROOT / "operator"), str(_ROOT)]

from search.ends import bad_end, good_end  # noqa: E402 - the checkout is no package: its folders have to be named first
from search.explore import Graph, Search, Violation  # noqa: E402
from search.scopes import SCOPES, Scope  # noqa: E402
from search.words import told  # noqa: E402

PROGRESS_EVERY = 2.0
APP = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


class _Lines:
    """A line of progress every two seconds."""

    def __init__(self, name: str) -> None:
        self._name, self._last = name, time.monotonic()

    def __call__(self, graph: Graph) -> None:
        if time.monotonic() - self._last >= PROGRESS_EVERY:
            self._last = time.monotonic()
            waiting = len(graph.places) - graph.expanded
            print(f"{line(self._name, graph)}, {waiting} places wait", flush=True)


def line(name: str, graph: Graph) -> str:
    """What was found so far."""
    return f"{name}: {len(graph.places)} places, {graph.transitions} transitions, {graph.seconds:.0f} s"


def searched(scope: Scope, limit: int | None) -> Graph:
    """One scope, told of line by line; with the claims about ends."""
    search = Search(scope)
    graph = search.run(limit or scope.most, _Lines(scope.name))
    ends = (good_end(graph), bad_end(graph))
    graph.violations += [violation for end in ends for violation in end.violations]
    end = f"{ends[0].judged} of them come to an end, within {ends[0].longest} reconciles"
    print(f"{line(scope.name, graph)}; {_how_far(graph)}; {end}", flush=True)
    for violation in _first_of_each(graph):
        print(told(search, violation), flush=True)
    return graph


def _how_far(graph: Graph) -> str:
    if graph.is_exhausted:
        return "exhausted"
    waiting = len(graph.places) - graph.expanded
    return f"every way of up to {graph.depth} transitions off the undisturbed life, {waiting} places wait"


def _first_of_each(graph: Graph) -> list[Violation]:
    found: dict[str, Violation] = {}
    for violation in graph.violations:
        known = found.get(violation.claim)
        if known is None or len(violation.codes) < len(known.codes):
            found[violation.claim] = violation
    return list(found.values())


@APP.command()
def main(
    scope: Annotated[
        list[str] | None, typer.Option(help=f"Which to search: {', '.join(SCOPES)}. May be given again; all unless given.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="End each scope after so many transitions, and not after its own number.")
    ] = None,
) -> None:
    """Exit status 1 where a claim does not hold."""
    wanted = scope or list(SCOPES)
    for name in wanted:
        if name not in SCOPES:
            raise typer.BadParameter(f"no scope is called {name!r}", param_hint="--scope")
    found = [searched(SCOPES[name], limit) for name in wanted]
    places, transitions = sum(len(graph.places) for graph in found), sum(graph.transitions for graph in found)
    broken = sum(len(graph.violations) for graph in found)
    exhausted = sum(graph.is_exhausted for graph in found)
    print(
        f"{len(found)} scopes, {exhausted} exhausted: {places} places, {transitions} transitions, "
        f"{sum(graph.seconds for graph in found):.0f} s, {broken or 'no'} violations"
    )
    raise typer.Exit(1 if broken else 0)


if __name__ == "__main__":
    APP()
