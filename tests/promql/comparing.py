"""Tidegate's reading of a query, and what Prometheus's parser says of it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tests.promql.parser import LABEL, VALUE, PrometheusParser
from tidegate.domain.liveness import ages, kinds_lately, samples_beyond, samples_of_several, series_beside, signs_of_life
from tidegate.domain.problems import QueryProblem
from tidegate.domain.queries import Compiled, compile_query, confined
from tidegate.domain.truth import truth_of

STRICTER = (
    'unexpected identifier "or" in label matching',  # alternatives within braces are VictoriaMetrics's
    'unexpected identifier "OR" in label matching',
    "filling in missing series",
    'unknown function with name "fill',
    "unary expression only allowed on expressions of type scalar or instant vector",
    "duration out of range",
    "error parsing number",
    "expected type scalar in aggregation parameter",
    "expected type instant vector in call to function",
    "must not occur in ON and GROUP clause",
    "invalid label name for grouping",
)
"""What Prometheus refuses a query for that Tidegate lets through: it says so when it is asked, and the gate has no data."""
_KINDS = ((("job", "a"), ("namespace", "b")), (("service", "c"),))


@dataclass(frozen=True)
class Read:
    """What Tidegate makes of a query. `refused` is why it takes none, "" where it does."""

    query: str
    refused: str = ""
    confined: str | None = None
    compiled: Compiled | None = None


def read(query: str) -> Read:
    try:
        return Read(query, confined=confined(query, LABEL, VALUE), compiled=compile_query(query))
    except QueryProblem as problem:
        return Read(query, refused=str(problem))


def faults(readings: Sequence[Read], prometheus: PrometheusParser) -> Iterator[str]:
    """What Tidegate lets through and Prometheus reads otherwise, or not as confined; and what Tidegate makes of it that is not confined."""
    taken = [one for one in readings if not one.refused]
    answers = prometheus.about([(one.query, one.confined) for one in taken])
    yield from (f"{one.query!r}: {answer['fault']}" for one, answer in zip(taken, answers, strict=True) if "fault" in answer)
    both = [(one, answer) for one, answer in zip(taken, answers, strict=True) if "error" not in answer]
    yield from (
        f"{one.query!r}: {answer['error']}"
        for one, answer in zip(taken, answers, strict=True)
        if "error" in answer and not any(known in answer["error"] for known in STRICTER)
    )
    yield from _other_selectors(both, prometheus)
    yield from _open_questions([one for one, _ in both], prometheus)


def _other_selectors(both: Sequence[tuple[Read, dict[str, Any]]], prometheus: PrometheusParser) -> Iterator[str]:
    """Queries of which Tidegate finds other selectors than Prometheus, moved otherwise, or another reach."""
    texts = [(one.query, selector) for one, _ in both if one.compiled for selector in one.compiled.selectors]
    found: dict[str, set[tuple[str, int]]] = {one.query: set() for one, _ in both}
    for (query, selector), answer in zip(texts, prometheus.about([(selector.text, None) for _, selector in texts]), strict=True):
        matchers = answer["selectors"][0]["matchers"] if "selectors" in answer else answer["error"]
        found[query].add((matchers, _milliseconds(selector.offset)))
    for one, answer in both:
        theirs = {(each["matchers"], each["offset"]) for each in answer.get("selectors", [])}
        reach = _milliseconds(one.compiled.reach) if one.compiled else None
        if (found[one.query], reach) != (theirs, answer["reach"]):
            yield f"{one.query!r}: {found[one.query]} and {reach} ms, not {theirs} and {answer['reach']} ms"


def _open_questions(readings: Iterable[Read], prometheus: PrometheusParser) -> Iterator[str]:
    """What is made of confined queries, as conditions or to ask for the age of their samples, and can't be asked or isn't confined."""
    made = [(one.query, text) for one in readings if one.confined is not None for text in _made_of(one.confined)]
    for (query, text), answer in zip(made, prometheus.about([(text, text) for _, text in made]), strict=True):
        fault = answer.get("fault") or answer.get("error")
        if fault:
            yield f"{query!r} becomes {text!r}: {fault}"


def _made_of(query: str) -> Iterator[str]:
    yield truth_of(query)
    selectors = compile_query(query).selectors
    yield ages(selectors, timedelta(0)) or "vector(0)"
    yield from samples_of_several(selectors).values()
    yield from samples_beyond(selectors, timedelta(0)).values()
    for number, one in enumerate(selectors):
        yield kinds_lately(one)
        for kinds in ((), _KINDS):
            yield signs_of_life(selectors, number, kinds, LABEL) or "vector(0)"
            yield series_beside(one, kinds, LABEL, timedelta(minutes=1)) or "vector(0)"


def _milliseconds(span: timedelta) -> int:
    return round(span / timedelta(milliseconds=1))
