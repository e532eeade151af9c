"""A gate's PromQL, taken apart: what it selects, how far it looks back, and how to ask for the age of what it reads."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

import promql_parser as promql

from tidegate.domain.problems import QueryProblem

MAX_SELECTORS = 16
_NOTHING = timedelta(0)
_LABEL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATORS = (
    (promql.MatchOp.Equal, "="),
    (promql.MatchOp.NotEqual, "!="),
    (promql.MatchOp.Re, "=~"),
    (promql.MatchOp.NotRe, "!~"),
)


@dataclass(frozen=True, slots=True)
class Selector:
    """One selector of a query. `text` has no offset; `offset` is how far back it is moved, by itself and by subqueries around it."""

    text: str
    offset: timedelta


@dataclass(frozen=True, slots=True)
class Compiled:
    """`reach`: how far before the evaluation time the query looks back. `freshness`: the query that tells the newest sample of each
    selector, as series labelled selector="0", "1", …"""

    query: str
    selectors: tuple[Selector, ...]
    reach: timedelta
    freshness: str


@lru_cache(maxsize=8192)
def compile_query(query: str) -> Compiled:
    """Parses a query without placeholders. QueryProblem says what is wrong, in Prometheus's terms."""
    try:
        tree = promql.parse(query)
    except ValueError as error:
        raise QueryProblem(f"not valid PromQL: {error}") from None
    if isinstance(tree, promql.MatrixSelector | promql.SubqueryExpr | promql.StringLiteral):
        raise QueryProblem("gives a range or a string: a gate needs numbers at one instant, such as rate(x[5m])")
    found = list(_selectors(tree, _NOTHING, _NOTHING))
    if not found:
        raise QueryProblem("reads no metric, so nothing can tell whether it is fresh")
    selectors = tuple(dict.fromkeys(selector for selector, _ in found))
    if len(selectors) > MAX_SELECTORS:
        raise QueryProblem(f"has {len(selectors)} selectors; at most {MAX_SELECTORS}: use a recording rule")
    return Compiled(query, selectors, max(reach for _, reach in found), _freshness(selectors))


def _freshness(selectors: tuple[Selector, ...]) -> str:
    """An instant query stamps everything "now", and a range function keeps answering for a dead target: age has to be asked beside it."""
    return " or ".join(
        f'label_replace(max(timestamp({one.text}{_offset(one.offset)})) + {_seconds(one.offset)}, "selector", "{number}", "", "")'
        for number, one in enumerate(selectors)
    )


def _offset(offset: timedelta) -> str:
    return f" offset {int(offset / timedelta(milliseconds=1))}ms" if offset else ""


def _seconds(offset: timedelta) -> str:
    return f"{offset.total_seconds():.3f}".rstrip("0").rstrip(".")


def _selectors(node: Any, offset: timedelta, reach: timedelta) -> Iterator[tuple[Selector, timedelta]]:
    """Every selector below `node`, with how far back it reads."""
    children: tuple[Any, ...] = ()
    match node:
        case promql.VectorSelector():
            moved = offset + _moved_back(node)
            yield Selector(_selector_text(node), moved), reach + _moved_back(node)
        case promql.MatrixSelector():
            yield from _selectors(node.vector_selector, offset, reach + (node.range or _NOTHING))
        case promql.SubqueryExpr():
            moved = _moved_back(node)
            yield from _selectors(node.expr, offset + moved, reach + moved + (node.range or _NOTHING))
        case promql.BinaryExpr():
            children = (node.lhs, node.rhs)
        case promql.Call():
            children = tuple(node.args)
        case promql.AggregateExpr():
            children = (node.expr, node.param) if node.param is not None else (node.expr,)
        case promql.ParenExpr() | promql.UnaryExpr():
            children = (node.expr,)
        case promql.NumberLiteral() | promql.StringLiteral():
            return
        case _:
            raise QueryProblem(f"{type(node).__name__} is not supported")
    for child in children:
        yield from _selectors(child, offset, reach)


def _moved_back(node: Any) -> timedelta:
    if node.at is not None:
        raise QueryProblem("@ pins a reading to one moment: a gate must read the present")
    offset: timedelta = node.offset or _NOTHING
    if offset < _NOTHING:
        raise QueryProblem("a negative offset reads the future")
    return offset


def _selector_text(selector: Any) -> str:
    """The selector as PromQL; the parser's own text doesn't escape values."""
    alternatives = [selector.matchers.matchers, *selector.matchers.or_matchers]
    inside = " or ".join(", ".join(_matcher_text(one) for one in matchers) for matchers in alternatives if matchers)
    return f"{selector.name or ''}{{{inside}}}"


def _matcher_text(matcher: Any) -> str:
    name = matcher.name if _LABEL_NAME.fullmatch(matcher.name) else _quoted(matcher.name)
    operator = next(sign for op, sign in _OPERATORS if op == matcher.op)
    return f"{name}{operator}{_quoted(matcher.value)}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
