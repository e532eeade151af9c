"""A gate's PromQL, taken apart: what it selects, what a number of it rests on, and how far it looks back."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
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
_OF_TIME = re.compile(r"\b(?:time|minute|hour|day_of_(?:month|week|year)|days_in_month|month|year)\s*\(")
_ALTERNATIVES = frozenset({"or", "unless"})
_OF_ABSENCE = frozenset({"absent", "absent_over_time"})
_ALERTS = frozenset({"ALERTS", "ALERTS_FOR_STATE"})
"""Series that Prometheus makes itself while an alert is pending or fires: none is the usual case."""
_LABEL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATORS = (
    (promql.MatchOp.Equal, "="),
    (promql.MatchOp.NotEqual, "!="),
    (promql.MatchOp.Re, "=~"),
    (promql.MatchOp.NotRe, "!~"),
)


class Need(IntEnum):
    """What a number rests on at a selector: nothing, where absence is what is asked for; life, where the selector may rightly be empty;
    samples, where without them there is no number."""

    NOTHING = 0
    LIFE = 1
    SAMPLES = 2


@dataclass(frozen=True, slots=True)
class Selector:
    """One selector of a query. `text` has no offset; `offset` is how far back it is moved, by itself and by subqueries around it."""

    text: str
    offset: timedelta
    need: Need = Need.SAMPLES


@dataclass(frozen=True, slots=True)
class Compiled:
    """`reach`: how far before the evaluation time the query looks back."""

    query: str
    selectors: tuple[Selector, ...]
    reach: timedelta


def bounded(call: Callable[_P, _T]) -> Callable[_P, _T]:
    """A walk that goes too deep, such as down a sum of a thousand terms, ends in a refusal of the query."""

    @wraps(call)
    def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return call(*args, **kwargs)
        except RecursionError:
            raise QueryProblem("is nested too deeply: use a recording rule") from None

    return guarded


@lru_cache(maxsize=8192)
@bounded
def compile_query(query: str) -> Compiled:
    """Parses a query without placeholders. QueryProblem says what is wrong, in Prometheus's terms.

    It may be about nothing but the time (UTC), such as `hour() >= 8`.
    """
    tree = parsed(query)
    if isinstance(tree, promql.MatrixSelector | promql.SubqueryExpr | promql.StringLiteral):
        raise QueryProblem("gives a range or a string: a gate needs numbers at one instant, such as rate(x[5m])")
    found = list(_selectors(tree, _NOTHING, _NOTHING, Need.SAMPLES))
    if not found and not _OF_TIME.search(query):
        raise QueryProblem("reads neither a metric nor the time: it would say the same for ever")
    selectors = _distinct(selector for selector, _ in found)
    if len(selectors) > MAX_SELECTORS:
        raise QueryProblem(f"has {len(selectors)} selectors; at most {MAX_SELECTORS}: use a recording rule")
    return Compiled(query, selectors, max((reach for _, reach in found), default=_NOTHING))


@lru_cache(maxsize=8192)
@bounded
def confined(query: str, label: str, value: str) -> str:
    """The query with `label="value"` in every selector, in each of its alternatives. QueryProblem as `compile_query`."""

    def confine(node: Any) -> Any:
        if isinstance(node, promql.Call) and node.func.name == "info" and len(node.args) < 2:
            raise QueryProblem(
                f'info() of one argument reads target_info of every {label}: name what it joins, such as info(x, {{a=~".+"}})'
            )
        if not isinstance(node, promql.VectorSelector):
            return None
        matchers = _selector_text(node, also=matcher(label, value))
        return promql.parse(matchers + (offset_text(node.offset) if node.offset else "") + (f" {node.at}" if node.at is not None else ""))

    return str(promql.transform(parsed(query), pre_visit=confine).prettify())


@lru_cache(maxsize=8192)
def bare_selector(text: str) -> dict[str, str]:
    """The equality matchers of a selector that stands alone, by label. QueryProblem where the text is anything else."""
    tree = parsed(text)
    if not isinstance(tree, promql.VectorSelector) or tree.offset or tree.at is not None or tree.name is None or tree.matchers.or_matchers:
        raise QueryProblem('must be one bare selector, such as events_total{job="engine"}')
    if any(matcher.name == "__name__" for matcher in tree.matchers.matchers):
        raise QueryProblem("names its metric twice")
    return {one.name: one.value for one in tree.matchers.matchers if one.op == promql.MatchOp.Equal}


def renamed(selector: str, ending: str, other: str) -> str | None:
    """A bare selector whose metric ends otherwise; None where it doesn't end in `ending`."""
    tree = parsed(selector)
    if tree.name is None or not tree.name.endswith(ending):
        return None
    return f"{tree.name.removesuffix(ending)}{other}{{{', '.join(_matcher_text(one) for one in tree.matchers.matchers)}}}"


def target_matchers(selector: str, labels: Collection[str]) -> dict[str, str] | None:
    """The matchers of a selector for these labels, as PromQL by label. None where the selector has alternatives."""
    tree = parsed(selector)
    if tree.matchers.or_matchers:
        return None
    out: dict[str, str] = {}
    for one in tree.matchers.matchers:
        if one.name in labels:
            out[one.name] = f"{out[one.name]}, {_matcher_text(one)}" if one.name in out else _matcher_text(one)
    return out


def expected(selector: Selector, is_new: Callable[[str, str], bool]) -> str | None:
    """What of a selector should have had series before, as a selector: its metric, and where without samples there is no number all of its
    matchers but those, by label and value, that are about what is to come. None for alerts, which may never have fired."""
    tree = parsed(selector.text)
    if _metric(tree) in _ALERTS:
        return None

    def stays(one: Any) -> bool:
        return one.name == "__name__" or (selector.need is Need.SAMPLES and not is_new(one.name, one.value))

    alternatives = [matchers for matchers in (tree.matchers.matchers, *tree.matchers.or_matchers) if matchers]
    kept = [[one for one in matchers if stays(one)] for matchers in alternatives]
    if not all(kept):  # any series of its metric will do; without a name its labels are all that can be searched for
        return selector.text if tree.name is None else f"{tree.name}{{}}"
    return f"{tree.name or ''}{{{' or '.join(', '.join(map(_matcher_text, matchers)) for matchers in kept)}}}"


def metric_of(selector: str) -> str | None:
    """The metric that a selector is about; None where it names none, or several."""
    return _metric(parsed(selector))


def matcher(label: str, value: str) -> str:
    """A matcher for a label's value, as PromQL."""
    return f"{label}={_quoted(value)}"


def matched_labels(selector: str) -> frozenset[str]:
    """The labels that a bare selector has matchers for."""
    return frozenset(one.name for one in parsed(selector).matchers.matchers)


def asks_for(selector: str, label: str) -> bool:
    """Whether a selector wants series that have a label, in any of its alternatives."""
    matchers = parsed(selector).matchers
    wanted = [one for alternative in (matchers.matchers, *matchers.or_matchers) for one in alternative if one.name == label]
    return any(one.op in (promql.MatchOp.Equal, promql.MatchOp.Re) for one in wanted)


def parsed(query: str) -> Any:
    """The tree of a query. QueryProblem where it is none, or larger than what may be walked."""
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


def _distinct(found: Iterable[Selector]) -> tuple[Selector, ...]:
    """Each selector once, with the most that a number rests on at any of its places."""
    needs: dict[tuple[str, timedelta], Need] = {}
    for one in found:
        needs[one.text, one.offset] = max(one.need, needs.get((one.text, one.offset), Need.NOTHING))
    return tuple(Selector(text, offset, need) for (text, offset), need in needs.items())


def offset_text(offset: timedelta) -> str:
    """`offset 5000ms` with a space before it; "" for none."""
    return f" offset {int(offset / timedelta(milliseconds=1))}ms" if offset else ""


def _selectors(node: Any, offset: timedelta, reach: timedelta, need: Need) -> Iterator[tuple[Selector, timedelta]]:
    """Every selector below `node`, with how far back it reads."""
    children: tuple[tuple[Any, Need], ...] = ()
    match node:
        case promql.VectorSelector():
            moved = offset + _moved_back(node)
            rests_on = Need.NOTHING if _metric(node) in _ALERTS else need
            yield Selector(_selector_text(node), moved, rests_on), reach + _moved_back(node)
        case promql.MatrixSelector():
            yield from _selectors(node.vector_selector, offset, reach + (node.range or _NOTHING), need)
        case promql.SubqueryExpr():
            moved = _moved_back(node)
            yield from _selectors(node.expr, offset + moved, reach + moved + (node.range or _NOTHING), need)
        case promql.BinaryExpr():
            alternative = min(need, Need.LIFE)
            children = (
                (node.lhs, alternative if str(node.op) == "or" else need),
                (node.rhs, alternative if str(node.op) in _ALTERNATIVES else need),
            )
        case promql.Call():
            children = tuple((one, Need.NOTHING if node.func.name in _OF_ABSENCE else need) for one in node.args)
        case promql.AggregateExpr():
            children = ((node.expr, need), (node.param, need)) if node.param is not None else ((node.expr, need),)
        case promql.ParenExpr() | promql.UnaryExpr():
            children = ((node.expr, need),)
        case promql.NumberLiteral() | promql.StringLiteral():
            return
        case _:
            raise QueryProblem(f"{type(node).__name__} is not supported")
    for child, needed in children:
        yield from _selectors(child, offset, reach, needed)


def _metric(selector: Any) -> str | None:
    if selector.name is not None or selector.matchers.or_matchers:
        return None if selector.name is None else str(selector.name)
    return next((str(one.value) for one in selector.matchers.matchers if one.name == "__name__" and one.op == promql.MatchOp.Equal), None)


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
    inside = " or ".join(", ".join(dict.fromkeys([*(_matcher_text(one) for one in matchers), *further])) for matchers in alternatives)
    return f"{selector.name or ''}{{{inside}}}"


def _matcher_text(matcher: Any) -> str:
    name = matcher.name if _LABEL_NAME.fullmatch(matcher.name) else _quoted(matcher.name)
    operator = next(sign for op, sign in _OPERATORS if op == matcher.op)
    return f"{name}{operator}{_quoted(matcher.value)}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
