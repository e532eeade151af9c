"""The measurement of what queries cost: its queries are the largest that are let through."""

import pytest

from bench.query_cost import LARGEST, ask, ask_whether, check, forget, rows
from tidegate.domain.outline import WRITTEN, Limits, outline
from tidegate.domain.problems import QueryProblem
from tidegate.domain.queries import compile_query

LIMITS = (WRITTEN.parts, WRITTEN.matchers, WRITTEN.depth)
LONGEST = 4096
"""Characters of a query in a spec."""


@pytest.mark.parametrize("query", LARGEST.values(), ids=LARGEST.keys())
def test_the_largest_queries_are_let_through_and_nearly_at_a_bound(query: str) -> None:
    for call in (check, ask, ask_whether):
        call(query)
    assert len(query) <= LONGEST
    assert len(query) > 0.9 * LONGEST or any(refuses(query, limits) for limits in nearly())


def nearly() -> list[Limits]:
    """The limits with one of them a twentieth lower each."""
    parts, matchers, depth = (int(0.95 * one) for one in LIMITS)
    return [
        Limits(WRITTEN.length, parts, WRITTEN.matchers, WRITTEN.depth),
        Limits(WRITTEN.length, WRITTEN.parts, matchers, WRITTEN.depth),
        Limits(WRITTEN.length, WRITTEN.parts, WRITTEN.matchers, depth),
    ]


def refuses(query: str, limits: Limits) -> bool:
    try:
        outline(query, limits)
    except QueryProblem:
        return True
    return False


def test_what_was_remembered_is_forgotten_and_each_query_has_its_row() -> None:
    compile_query("x")
    forget()
    assert compile_query.cache_info().currsize == 0
    assert {name for name, spent in rows(1) if len(spent) == 3 and min(spent) > 0} >= LARGEST.keys()
