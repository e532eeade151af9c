"""The tree of a query, and its way back to text.

Whoever writes a tree writes what has been understood of a query and nothing else: the text has the same words as the query, in the same
order, and all that Prometheus could read otherwise, as strings and comments, has been read and is written anew.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import promql_parser as promql

from tidegate.domain.outline import MADE, Limits, Outline, outline
from tidegate.domain.problems import QueryProblem
from tidegate.domain.selectors import Series, quoted

NOTHING = timedelta(0)
_MILLISECOND = timedelta(milliseconds=1)
_UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms"))


@dataclass(frozen=True, slots=True)
class Query:
    """A query that has been parsed. The nodes of the tree have the outline's numbers for strings and selectors."""

    tree: Any
    outline: Outline


def parsed(query: str, limits: Limits = MADE) -> Query:
    """The tree of a query. QueryProblem where it is none, or larger than the limits."""
    found = outline(query, limits)
    try:
        return Query(promql.parse(found.text), found)
    except ValueError as error:
        raise QueryProblem(f"not valid PromQL: {error}") from None


def lone_selector(text: str) -> Series | None:
    """What a selector that stands alone selects; None where the text is anything else. QueryProblem where it is no query."""
    query = parsed(text)
    if not isinstance(query.tree, promql.VectorSelector) or query.tree.offset:
        return None
    return query.outline.series(str(query.tree.name))


def moved_back(node: Any) -> timedelta:
    """How far a selector or a subquery is moved back. QueryProblem where it reads the future."""
    offset: timedelta = node.offset or NOTHING
    if offset < NOTHING:
        raise QueryProblem("a negative offset reads the future")
    return offset


def range_of(node: Any) -> timedelta:
    """How long the range of a selector or a subquery is. QueryProblem for none."""
    span: timedelta | None = node.range
    if not span:
        raise QueryProblem("not valid PromQL: a range must be longer than 0s")
    return span


def duration(span: timedelta) -> str:
    """A span of time as PromQL."""
    whole = span // _MILLISECOND
    out = ""
    for size, unit in _UNITS:
        count, whole = divmod(whole, size)
        out += f"{count}{unit}" if count else ""
    return out or "0s"


class Writer:
    """Writes a tree. Who wants something else of it overrides `selector`, or `text` for whole nodes."""

    def __init__(self, query: Query) -> None:
        self._query = query

    def whole(self) -> str:
        """The query."""
        return self.text(self._query.tree)

    def text(self, node: Any) -> str:
        """A node, with all that is below it."""
        match node:
            case promql.SubqueryExpr():
                step = duration(node.step) if node.step else ""
                return f"{self.text(node.expr)}[{duration(range_of(node))}:{step}]{_offset(node)}"
            case promql.BinaryExpr():
                return f"{self.text(node.lhs)} {node.op}{self._modifier(node.modifier)} {self.text(node.rhs)}"
            case promql.AggregateExpr():
                inside = [self.text(one) for one in (node.param, node.expr) if one is not None]
                return f"{node.op}{self._grouping(node.modifier)}({', '.join(inside)})"
            case promql.Call():
                return f"{node.func.name}({', '.join(map(self.text, node.args))})"
            case promql.ParenExpr():
                return f"({self.text(node.expr)})"
            case promql.UnaryExpr():
                return f"-{self.text(node.expr)}"
        return self._leaf(node)

    def selector(self, series: Series) -> str:
        """A selector, without offset."""
        return series.text() if series.alternatives != ((),) else series.name

    def _leaf(self, node: Any) -> str:
        match node:
            case promql.VectorSelector():
                return f"{self.selector(self._query.outline.series(str(node.name)))}{_offset(node)}"
            case promql.MatrixSelector():
                inner = node.vector_selector
                return f"{self.selector(self._query.outline.series(str(inner.name)))}[{duration(range_of(node))}]{_offset(inner)}"
            case promql.NumberLiteral():
                return _number(node.val)
            case promql.StringLiteral():
                return quoted(self._query.outline.string(node.val))
        raise QueryProblem(f"{type(node).__name__} is not supported")

    def _grouping(self, modifier: Any) -> str:
        if modifier is None:
            return ""
        return f" {'by' if modifier.type == promql.AggModifierType.By else 'without'} ({self._labels(modifier.labels)}) "

    def _modifier(self, modifier: Any) -> str:
        if modifier is None:
            return ""
        out = " bool" if modifier.return_bool else ""
        if modifier.matching is not None:
            kind = "on" if modifier.matching.type == promql.LabelModifierType.Include else "ignoring"
            out += f" {kind} ({self._labels(modifier.matching.labels)})"
        if modifier.group_labels is not None:
            many = "group_left" if modifier.card == promql.VectorMatchCardinality.ManyToOne else "group_right"
            out += f" {many} ({self._labels(modifier.group_labels)})"
        fill = modifier.fill_values
        for side, value in (("fill_left", fill.lhs), ("fill_right", fill.rhs)):
            out += f" {side} ({_number(value)})" if value is not None else ""
        return out

    def _labels(self, labels: list[str]) -> str:
        return ", ".join(quoted(self._query.outline.string(one)) if one.isdecimal() else one for one in labels)


def _offset(node: Any) -> str:
    offset = moved_back(node)
    return f" offset {duration(offset)}" if offset else ""


def _number(value: float) -> str:
    return repr(value).removesuffix(".0")
