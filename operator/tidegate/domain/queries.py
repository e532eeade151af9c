"""A gate's PromQL, taken apart: what it selects, how far it looks back, and how to ask for the age of what it reads."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

import promql_parser as promql

from tidegate.domain.problems import QueryProblem

MAX_SELECTORS = 16
MAX_DEPTH = 50
"""Of brackets within brackets. A query may come from anybody, and no parser survives every depth."""
MAX_OPERATORS = 100
"""Each is one more level of the tree, and what the parser does with a tree grows with the cube of its depth."""
_NOTHING = timedelta(0)
_P = ParamSpec("_P")
_T = TypeVar("_T")
_BRACKETS = re.compile(r"""[()\[\]{}]|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`""", re.DOTALL)
_TOKENS = re.compile(rf"{_BRACKETS.pattern}|[-+*/%^<>]|[=!]=|\b(?:and|or|unless|atan2)\b", re.DOTALL | re.IGNORECASE)
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
    """`reach`: how far before the evaluation time the query looks back. `freshness`: the query that gives the newest sample of each
    selector, as series labelled selector="0", "1", …; "" where nothing is selected. `metrics`: what each selector says of its metric's
    name, as a selector of its own."""

    query: str
    selectors: tuple[Selector, ...]
    reach: timedelta
    freshness: str
    metrics: tuple[str, ...] = ()


def _bounded(call: Callable[_P, _T]) -> Callable[_P, _T]:
    """A walk that goes too deep, such as down a sum of a thousand terms, ends in a refusal of the query."""

    @wraps(call)
    def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return call(*args, **kwargs)
        except RecursionError:
            raise QueryProblem("is nested too deeply: use a recording rule") from None

    return guarded


@lru_cache(maxsize=8192)
@_bounded
def compile_query(query: str, *, reads_metrics: bool = True) -> Compiled:
    """Parses a query without placeholders. QueryProblem says what is wrong, in Prometheus's terms.

    Without `reads_metrics` a query may also be about nothing but the time, such as `hour() >= 8`.
    """
    tree = _parsed(query)
    if isinstance(tree, promql.MatrixSelector | promql.SubqueryExpr | promql.StringLiteral):
        raise QueryProblem("gives a range or a string: a gate needs numbers at one instant, such as rate(x[5m])")
    found = list(_selectors(tree, _NOTHING, _NOTHING))
    if not found and reads_metrics:
        raise QueryProblem("reads no metric, so nothing can tell whether it is fresh")
    selectors = tuple(dict.fromkeys(selector for selector, _, _ in found))
    if len(selectors) > MAX_SELECTORS:
        raise QueryProblem(f"has {len(selectors)} selectors; at most {MAX_SELECTORS}: use a recording rule")
    metrics = tuple(dict.fromkeys(metric for _, _, metric in found))
    return Compiled(query, selectors, max((reach for _, reach, _ in found), default=_NOTHING), _freshness(selectors), metrics)


@lru_cache(maxsize=8192)
@_bounded
def confined(query: str, label: str, value: str) -> str:
    """The query with `label="value"` in every selector, in each of its alternatives. QueryProblem as `compile_query`."""

    def confine(node: Any) -> Any:
        if not isinstance(node, promql.VectorSelector):
            return None
        matchers = _selector_text(node, also=f"{label}={_quoted(value)}")
        return promql.parse(matchers + (_offset(node.offset) if node.offset else "") + (f" {node.at}" if node.at is not None else ""))

    return str(promql.transform(_parsed(query), pre_visit=confine).prettify())


@lru_cache(maxsize=8192)
def bare_selector(text: str) -> dict[str, str]:
    """The equality matchers of a selector that stands alone, by label. QueryProblem where the text is anything else."""
    tree = _parsed(text)
    if not isinstance(tree, promql.VectorSelector) or tree.offset or tree.at is not None or tree.name is None or tree.matchers.or_matchers:
        raise QueryProblem('must be one bare selector, such as events_total{job="engine"}')
    if any(matcher.name == "__name__" for matcher in tree.matchers.matchers):
        raise QueryProblem("names its metric twice")
    return {one.name: one.value for one in tree.matchers.matchers if one.op == promql.MatchOp.Equal}


def with_matcher(selector: str, metric: str, labels: Iterable[str]) -> str:
    """Another metric under those matchers of a bare selector whose label is in `labels`."""
    tree, wanted = _parsed(selector), set(labels)
    return f"{metric}{{{', '.join(_matcher_text(one) for one in tree.matchers.matchers if one.name in wanted)}}}"


def matched_labels(selector: str) -> frozenset[str]:
    """The labels that a bare selector has matchers for."""
    return frozenset(one.name for one in _parsed(selector).matchers.matchers)


def asks_for(selector: str, label: str) -> bool:
    """Whether a selector wants series that have a label, in any of its alternatives."""
    matchers = _parsed(selector).matchers
    wanted = [one for alternative in (matchers.matchers, *matchers.or_matchers) for one in alternative if one.name == label]
    return any(one.op in (promql.MatchOp.Equal, promql.MatchOp.Re) for one in wanted)


def _parsed(query: str) -> Any:
    if _depth(query) > MAX_DEPTH:
        raise QueryProblem(f"has more than {MAX_DEPTH} brackets within each other: use a recording rule")
    if sum(token[0] not in "\"'`()[]{}" for token in _TOKENS.findall(query)) > MAX_OPERATORS:
        raise QueryProblem(f"has more than {MAX_OPERATORS} operators: use a recording rule")
    try:
        return promql.parse(query)
    except ValueError as error:
        raise QueryProblem(f"not valid PromQL: {error}") from None


def _depth(query: str) -> int:
    """How many brackets stand within each other, strings aside."""
    depth = deepest = 0
    for sign in _BRACKETS.findall(query):
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(sign, 0)
        deepest = max(deepest, depth)
    return deepest


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


def _selectors(node: Any, offset: timedelta, reach: timedelta) -> Iterator[tuple[Selector, timedelta, str]]:
    """Every selector below `node`, with how far back it reads, and what it says of its metric's name."""
    children: tuple[Any, ...] = ()
    match node:
        case promql.VectorSelector():
            moved = offset + _moved_back(node)
            yield Selector(_selector_text(node), moved), reach + _moved_back(node), _metric(node)
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


def _selector_text(selector: Any, also: str = "") -> str:
    """The selector as PromQL, without offset; `also` is a further matcher for each of its alternatives."""
    alternatives = [matchers for matchers in (selector.matchers.matchers, *selector.matchers.or_matchers) if matchers] or [[]]
    further = [also] if also else []
    inside = " or ".join(", ".join([*(_matcher_text(one) for one in matchers), *further]) for matchers in alternatives)
    return f"{selector.name or ''}{{{inside}}}"


def _metric(selector: Any) -> str:
    if selector.name is not None:
        return f"{selector.name}{{}}"
    alternatives = (selector.matchers.matchers, *selector.matchers.or_matchers)
    named = [[_matcher_text(one) for one in matchers if one.name == "__name__"] for matchers in alternatives if matchers]
    if not named or not all(named):
        return _selector_text(selector)  # finds its series by other labels: they are all that can be searched for
    return f"{{{' or '.join(', '.join(matchers) for matchers in named)}}}"


def _matcher_text(matcher: Any) -> str:
    name = matcher.name if _LABEL_NAME.fullmatch(matcher.name) else _quoted(matcher.name)
    operator = next(sign for op, sign in _OPERATORS if op == matcher.op)
    return f"{name}{operator}{_quoted(matcher.value)}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
