"""A query's size, told from its text before anything walks it; and what the parser gets to see of it."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import promql_parser as promql
import pytest

from tests.promql.cases import QUERIES
from tests.promql.generator import Generator
from tidegate.domain.outline import Limits, outline
from tidegate.domain.problems import QueryProblem
from tidegate.domain.promql import parsed

SMALL = Limits(length=60, parts=10, matchers=3, depth=2)
LARGE = Limits(length=10_000, parts=10_000, matchers=10_000, depth=10_000)


@pytest.mark.parametrize(
    ("query", "parts"),
    [
        ("x", 1),
        ("x{}", 1),
        ('{a="b", c="d"}', 1),
        ("x + 1", 3),
        ("-x", 2),
        ("(x)", 2),
        ("rate(x[5m])", 3),
        ("rate (x {} [5m])", 3),
        ("max_over_time(x[1h:1m])", 3),
        ("sum by (a, b, c) (x)", 2),
        ("sum(x) by (a, b, c)", 2),
        ("x offset 5m", 2),
        ("x == bool on (a, b) group_left (c) y", 3),
        ("x == on (a) group_left y", 3),
        ('label_replace(x, "a", "b", "c", "d")', 6),
        ("x and (y)", 4),
        ("x and {a='b'}", 3),
        ("x # + y + z", 1),
        ("x{a='+ y + z'}", 1),
        ("1e-5 + 5m", 3),
    ],
)
def test_a_part_is_a_node_of_the_tree(query: str, parts: int) -> None:
    outline(query, Limits(1000, parts, 10, 10))
    with pytest.raises(
        QueryProblem, match=rf"has more than {parts - 1} parts \(names, numbers, operators, brackets\): use a recording rule"
    ):
        outline(query, Limits(1000, parts - 1, 10, 10))


@pytest.mark.parametrize(
    ("fits", "too_large", "message"),
    [
        ("x" * 60, "x" * 61, "more than 60 characters with its placeholders filled in: use a recording rule"),
        ("f(1,1,1,1,1,1,1,1,x)", "f(1,1,1,1,1,1,1,1,1,x)", "more than 10 parts"),
        ("x{a='',b=''}+y{c=''}", "x{a='',b=''}+y{c='',d=''}", "more than 3 matchers in its braces: use a recording rule"),
        ("x{a='' or b='' or c=''}", "x{a='' or b='' or c='' or d=''}", "more than 3 matchers"),
        ("((x{}))", "(((x)))", "more than 2 brackets and operators within each other: use a recording rule"),
        ("abs(abs(x))", "abs(abs(abs(x)))", "more than 2 brackets and operators"),
        ("x{a='((+-('}+(x)", "x+((x))", "more than 2 brackets and operators"),
        ("x+x+x", "x+x+x+x", "more than 2 brackets and operators"),
        ("--x", "---x", "more than 2 brackets and operators"),
        ("(x[5m:])", "(x[5m:])[5m:]", "more than 2 brackets and operators"),
        ("(x+x)", "(x+x)+(x)", "more than 2 brackets and operators"),
    ],
)
def test_each_bound_lets_through_what_reaches_it_and_no_more(fits: str, too_large: str, message: str) -> None:
    outline(fits, SMALL)
    with pytest.raises(QueryProblem, match=message):
        outline(too_large, SMALL)


@pytest.mark.parametrize("generator", [None, Generator(3)], ids=["cases", "at random"])
def test_a_tree_is_no_larger_and_no_deeper_than_was_told_from_its_text(generator: Generator | None) -> None:
    found = [one for query in (QUERIES if generator is None else [generator.query() for _ in range(300)]) for one in tree_of(query)]
    assert len(found) > 150
    for query, tree in found:
        outline(query, LARGE)
        with pytest.raises(QueryProblem, match="parts"):
            outline(query, replace(LARGE, parts=count(tree) - 1))
        if depth(tree) > 1:
            with pytest.raises(QueryProblem, match="within each other"):
                outline(query, replace(LARGE, depth=depth(tree) - 2))


def tree_of(query: str) -> Iterator[tuple[str, Any]]:
    """It and its tree, if it is a query."""
    with contextlib.suppress(QueryProblem):
        yield query, parsed(query).tree


def count(tree: Any) -> int:
    """The nodes of a tree."""
    found: list[Any] = []
    promql.walk(tree, pre_visit=found.append)
    return len(found)


def depth(tree: Any) -> int:
    """The nodes from the root to the deepest leaf."""
    open_nodes, deepest = 0, 0

    def enter(_: Any) -> None:
        nonlocal open_nodes, deepest
        open_nodes += 1
        deepest = max(deepest, open_nodes)

    def leave(_: Any) -> None:
        nonlocal open_nodes
        open_nodes -= 1

    promql.walk(tree, pre_visit=enter, post_visit=leave)
    return deepest


def test_the_parser_sees_no_regular_expression_and_no_string(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would compile the first: a minute's work fits in a query."""
    seen: list[str] = []

    def parse(text: str) -> Any:
        seen.append(text)
        return promql.Expr.parse(text)

    monkeypatch.setattr(promql, "parse", parse)
    parsed(r"""sum by ("secret") (x{a=~`secret{100}`, "secret"!~'secret'}) + count_values("secret", {"secret"} # secret
    )""")
    (text,) = seen
    assert "secret" not in text
    assert promql.parse(text)


def test_any_text_is_read_or_refused_with_a_reason() -> None:
    """Also where promql_parser itself would end the process: it recurses once for each operator."""
    generator = Generator(5)
    texts: Sequence[str] = [*QUERIES, "1+" * 3000 + "x", "(" * 6000, "-" * 6000, "{" * 6000, '"' * 6001, "[" * 6000, "x{a='" * 1000]
    texts = [*texts, *(generator.query() for _ in range(300))]
    found = [said_of(text[: len(text) - cut]) for text in texts for cut in range(0, len(text), 1 + len(text) // 7)]
    assert len(found) > 1000
    assert all(found)


def said_of(text: str) -> str:
    """Its outline, or what is wrong with it."""
    try:
        return parsed(text).outline.text
    except QueryProblem as problem:
        return str(problem)
