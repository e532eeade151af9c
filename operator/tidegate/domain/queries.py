"""A gate's PromQL, taken apart: what it selects, what a number of it rests on, and how far it looks back."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from functools import lru_cache
from typing import Any

import promql_parser as promql

from tidegate.domain.outline import WRITTEN, outline
from tidegate.domain.problems import QueryProblem
from tidegate.domain.promql import NOTHING, Query, Writer, lone_selector, moved_back, parsed, range_of
from tidegate.domain.selectors import NAME, Matcher, Series, matching

MAX_SELECTORS = 16
_OF_TIME = re.compile(r"\b(?:time|minute|hour|day_of_(?:month|week|year)|days_in_month|month|year)\s*\(")
_ALTERNATIVES = frozenset({"or", "unless"})
_OF_ABSENCE = frozenset({"absent", "absent_over_time"})
_ALERTS = frozenset({"ALERTS", "ALERTS_FOR_STATE"})
"""Series that Prometheus makes itself while an alert is pending or fires: none is the usual case."""


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


@lru_cache(maxsize=8192)
def compile_query(query: str) -> Compiled:
    """Parses a query without placeholders. QueryProblem says what is wrong, in Prometheus's terms.

    It may be about nothing but the time (UTC), such as `hour() >= 8`.
    """
    found = parsed(query)
    if isinstance(found.tree, promql.MatrixSelector | promql.SubqueryExpr | promql.StringLiteral):
        raise QueryProblem("gives a range or a string: a gate needs numbers at one instant, such as rate(x[5m])")
    reading = _Reading(found)
    reading.read(found.tree, NOTHING, NOTHING, Need.SAMPLES)
    if not reading.needs and not _OF_TIME.search(found.outline.text):
        raise QueryProblem("reads neither a metric nor the time: it would say the same for ever")
    if len(reading.needs) > MAX_SELECTORS:
        raise QueryProblem(f"has {len(reading.needs)} selectors; at most {MAX_SELECTORS}: use a recording rule")
    selectors = tuple(Selector(text, offset, need) for (text, offset), need in reading.needs.items())
    return Compiled(query, selectors, reading.reach)


@lru_cache(maxsize=8192)
def check_written(query: str) -> int:
    """Checks a query as it is written, with its placeholders filled in: what is made of it may be larger. Returns its parts and matchers.
    QueryProblem as `compile_query`."""
    size = outline(query, WRITTEN).size
    compile_query(query)
    return size


@lru_cache(maxsize=8192)
def confined(query: str, label: str, value: str) -> str:
    """The query with `label="value"` in every selector, in each of its alternatives. QueryProblem as `compile_query`."""
    return _Confining(parsed(query), matching(label, "=", value)).whole()


@lru_cache(maxsize=8192)
def bare_selector(text: str) -> dict[str, str]:
    """The equality matchers of a selector that stands alone, by label. QueryProblem where the text is anything else."""
    found = lone_selector(text)
    if found is None or not found.name or len(found.alternatives) > 1:
        raise QueryProblem('must be one bare selector, such as events_total{job="engine"}')
    return {one.label: one.value for one in found.alternatives[0] if one.sign == "="}


def narrowed(selector: str, also: tuple[Matcher, ...]) -> str:
    """A selector without offset with further matchers in each of its alternatives."""
    return series_of(selector).text(also)


def renamed(selector: str, ending: str, other: str) -> str | None:
    """A bare selector whose metric ends otherwise; None where it doesn't end in `ending`."""
    found = series_of(selector)
    if not found.name.endswith(ending):
        return None
    return Series(f"{found.name.removesuffix(ending)}{other}", found.alternatives).text()


def target_matchers(selector: str, labels: Collection[str]) -> dict[str, str] | None:
    """The matchers of a selector for these labels, as PromQL by label. None where the selector has alternatives."""
    alternatives = series_of(selector).alternatives
    if len(alternatives) > 1:
        return None
    out: dict[str, str] = {}
    for one in alternatives[0]:
        if one.label in labels:
            out[one.label] = f"{out[one.label]}, {one.text}" if one.label in out else one.text
    return out


def expected(selector: Selector, is_new: Callable[[str, str], bool]) -> str | None:
    """What of a selector should have had series before, as a selector: its metric, and where without samples there is no number all of its
    matchers but those, by label and value, that are about what is to come. None for alerts, which may never have fired."""
    series = series_of(selector.text)
    if series.metric in _ALERTS:
        return None

    def stays(one: Matcher) -> bool:
        return one.label == NAME or (selector.need is Need.SAMPLES and not is_new(one.label, one.value))

    kept = tuple(tuple(one for one in matchers if stays(one)) for matchers in series.alternatives)
    if not all(kept):  # any series of its metric will do; without a name its labels are all that can be searched for
        return f"{series.name}{{}}" if series.name else selector.text
    return Series(series.name, kept).text()


def metric_of(selector: str) -> str | None:
    """The metric that a selector is about; None where it names none, or several."""
    return series_of(selector).metric


def matcher(label: str, value: str) -> str:
    """A matcher for a label's value, as PromQL."""
    return matching(label, "=", value).text


def matched_labels(selector: str) -> frozenset[str]:
    """The labels that a bare selector has matchers for."""
    return frozenset(one.label for one in series_of(selector).alternatives[0])


def asks_for(selector: str, label: str) -> bool:
    """Whether a selector wants series that have a label, in any of its alternatives."""
    wanted = [one for alternative in series_of(selector).alternatives for one in alternative if one.label == label]
    return any(one.sign in ("=", "=~") for one in wanted)


@lru_cache(maxsize=8192)
def series_of(selector: str) -> Series:
    """What a selector without offset selects."""
    found = lone_selector(selector)
    if found is None:
        raise QueryProblem("is no selector")
    return found


def offset_text(offset: timedelta) -> str:
    """`offset 5000ms` with a space before it; "" for none."""
    return f" offset {int(offset / timedelta(milliseconds=1))}ms" if offset else ""


class _Confining(Writer):
    """Writes a query with a further matcher in each selector."""

    def __init__(self, query: Query, also: Matcher) -> None:
        super().__init__(query)
        self._also = also

    def text(self, node: Any) -> str:
        if isinstance(node, promql.Call) and node.func.name == "info" and len(node.args) < 2:
            label = self._also.label
            raise QueryProblem(
                f'info() of one argument reads target_info of every {label}: name what it joins, such as info(x, {{a=~".+"}})'
            )
        return super().text(node)

    def selector(self, series: Series) -> str:
        return series.text((self._also,))


class _Reading:
    """One way through a tree. `needs`: each selector and how far back it is moved, with the most that a number rests on at any of its
    places."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self.needs: dict[tuple[str, timedelta], Need] = {}
        self.reach = NOTHING

    def read(self, node: Any, offset: timedelta, reach: timedelta, need: Need) -> None:
        """Notes every selector below a node, with how far back it reads."""
        children: tuple[tuple[Any, Need], ...] = ()
        match node:
            case promql.VectorSelector():
                self._note(node, offset, reach, need)
            case promql.MatrixSelector():
                self._note(node.vector_selector, offset, reach + range_of(node), need)
            case promql.SubqueryExpr():
                moved = moved_back(node)
                offset, reach, children = offset + moved, reach + moved + range_of(node), ((node.expr, need),)
            case promql.BinaryExpr():
                alternative, operator = min(need, Need.LIFE), str(node.op)
                children = (
                    (node.lhs, alternative if operator == "or" else need),
                    (node.rhs, alternative if operator in _ALTERNATIVES else need),
                )
            case promql.Call():
                children = tuple((one, Need.NOTHING if node.func.name in _OF_ABSENCE else need) for one in node.args)
            case promql.AggregateExpr():
                children = ((node.expr, need), (node.param, need)) if node.param is not None else ((node.expr, need),)
            case promql.ParenExpr() | promql.UnaryExpr():
                children = ((node.expr, need),)
        for child, needed in children:
            self.read(child, offset, reach, needed)

    def _note(self, node: Any, offset: timedelta, reach: timedelta, need: Need) -> None:
        series, moved = self._query.outline.series(node.name), moved_back(node)
        key = series.text(), offset + moved
        self.needs[key] = max(Need.NOTHING if series.metric in _ALERTS else need, self.needs.get(key, Need.NOTHING))
        self.reach = max(self.reach, reach + moved)
