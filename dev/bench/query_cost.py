"""What is done to a gate's PromQL on the event loop: checking, confining, compiling, and what is asked beside it. Pure CPU, no cluster."""

import gc
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

_CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_CHECKOUT / "operator")]

from tidegate.domain import liveness, queries, regexes, truth  # noqa: E402 - the checkout is no package: its folders have to be named first
from tidegate.domain.placeholders import render  # noqa: E402

_VALUES = {"namespace": "shop", "name": "search", "revision": "r1", "variant": "on"}
_MINUTE = timedelta(minutes=1)
_CONFINED = ("namespace", "shop")
_KINDS = tuple((("job", f"checkout-{number}"), ("namespace", "shop"), ("service", "checkout")) for number in range(10))
_LABELS = ",".join(f'l{number}=~"aaa.*|b"' for number in range(11))
LARGEST = {
    "2 sums of 49 selectors, 2 matchers each": "+".join(["(" + "+".join(['x{a="b",c="d"}'] * 49) + ")"] * 2),
    "92 comparisons with regular expressions": "+".join(["(" + "==".join(['x{a=~"%s"}' % ("a*b|" * 7)] * 24) + ")"] * 4),
    "25 subqueries within each other": "max_over_time(" * 25 + "x" + "[1h:1m])" * 25,
    "49 signs before a selector, 147 strings": "label_join(" + "-" * 49 + "x," + ",".join(['"a"'] * 147) + ")",
    "16 selectors that may be empty, 12 matchers each": "+".join(f'(m{one}{{job="a",{_LABELS}}} or vector(0))' for one in range(16)),
    "200 alternatives": "x{" + " or ".join(['a=~"b"'] * 200) + "}",
    "a regular expression of 4,000 characters": 'x{a=~"' + "a*" * 2000 + '"}',
    "a list of 1,000 labels": "sum by (" + ",".join(["abc"] * 1000) + ") (x)",
}
"""One query of the largest size in each way."""


def check(query: str) -> None:
    """When a spec is read."""
    queries.check_written(render(query, _VALUES, _MINUTE))


def ask(query: str) -> None:
    """When a gate is asked for the first time, with all that may be asked beside it."""
    _beside(queries.confined(render(query, _VALUES, _MINUTE), *_CONFINED))


def ask_whether(query: str) -> None:
    """The same of a gate's `when`."""
    _beside(truth.truth_of(queries.confined(render(query, _VALUES, _MINUTE), *_CONFINED)))


def _beside(query: str) -> None:
    selectors = queries.compile_query(query).selectors
    liveness.ages(selectors, _MINUTE)
    liveness.samples_of_several(selectors)
    liveness.samples_beyond(selectors, _MINUTE)
    for number, one in enumerate(selectors):
        queries.confined(queries.expected(one, lambda label, _: "variant" in label) or "x", *_CONFINED)
        if one.need is queries.Need.LIFE:
            liveness.kinds_lately(one)
            liveness.signs_of_life(selectors, number, _KINDS, _CONFINED[0])
            liveness.series_beside(one, _KINDS, _CONFINED[0], _MINUTE)


def forget() -> None:
    """Empties what is remembered of queries."""
    for module in (liveness, queries, regexes, truth):
        for thing in vars(module).values():
            getattr(thing, "cache_clear", lambda: None)()


def milliseconds(call: Callable[[str], None], query: str, calls: int) -> float:
    """The processor time of a call, nothing remembered: the median."""
    spent = []
    for _ in range(calls):
        forget()
        began = time.thread_time_ns()
        call(query)
        spent.append((time.thread_time_ns() - began) / 1e6)
    return sorted(spent)[calls // 2]


def sums(groups: int, terms: int) -> str:
    """A sum of sums."""
    return "+".join(["(" + "+".join(["x"] * terms) + ")"] * groups)


def rows(calls: int) -> Iterator[tuple[str, list[float]]]:
    """What each query costs, by name."""
    sizes = [(groups, 5) for groups in (2, 5, 9, 14, 18)] + [(8, 11), (5, 19), (3, 32), (2, 49)]
    growing = {f"{groups * (2 * terms + 1) - 1} parts, {groups + terms - 1} deep": sums(groups, terms) for groups, terms in sizes}
    for name, query in {**growing, **LARGEST}.items():
        yield name, [milliseconds(call, query, calls) for call in (check, ask, ask_whether)]


def main(calls: Annotated[int, typer.Option(min=1, help="Calls for each figure.")] = 51) -> None:
    """Prints a table in Markdown."""
    gc.collect()
    print("| milliseconds, nothing remembered | read in a spec | asked as `query` | asked as `when` |\n|---|---|---|---|")
    worst = 0.0
    for name, spent in rows(calls):
        print(f"| {name} | {' | '.join(f'{one:.2f}' for one in spent)} |")
        worst = max(worst, *spent)
    print(f"| the most | {worst:.2f} | | |")


if __name__ == "__main__":
    typer.run(main)
