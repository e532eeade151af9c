"""A query taken apart: its selectors, what a number rests on, and how far it looks back."""

from datetime import timedelta
from typing import Any

import promql_parser as promql
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.domain.problems import QueryProblem
from tidegate.domain.queries import (
    MAX_SELECTORS,
    asks_for,
    bare_selector,
    check_written,
    compile_query,
    confined,
    expected,
    narrowed,
    target_matchers,
)
from tidegate.domain.selectors import matching
from tidegate.domain.truth import truth_of

Found = list[tuple[str, float]]


def selectors(query: str) -> Found:
    return [(one.text, one.offset.total_seconds()) for one in compile_query(query).selectors]


@pytest.mark.parametrize(
    ("query", "found", "reach"),
    [
        ("up", [("up{}", 0)], 0),
        ('up{job="a"}', [('up{job="a"}', 0)], 0),
        ("rate(x[5m])", [("x{}", 0)], 300),
        ("x offset 5m", [("x{}", 300)], 300),
        ("rate(x[5m] offset 1h)", [("x{}", 3600)], 3900),
        ("max_over_time(x[1h:1m])", [("x{}", 0)], 3600),
        ("max_over_time(rate(x[5m])[1h:1m])", [("x{}", 0)], 3900),
        ("max_over_time(rate(x[5m] offset 1m)[1h:1m] offset 2m)", [("x{}", 180)], 4080),
        ("max_over_time(max_over_time(x[10m:1m] offset 1m)[1h:1m] offset 1h)", [("x{}", 3660)], 7860),
        ("sum by (a) (rate(x[1m])) / sum by (a) (rate(y[10m]))", [("x{}", 0), ("y{}", 0)], 600),
        ("x / x offset 7d", [("x{}", 0), ("x{}", 604800)], 604800),
        ("x / x", [("x{}", 0)], 0),
        ("topk(scalar(k), x)", [("x{}", 0), ("k{}", 0)], 0),
        ("quantile(0.9, x)", [("x{}", 0)], 0),
        ("histogram_quantile(0.95, sum by (le) (rate(b_bucket[5m])))", [("b_bucket{}", 0)], 300),
        ("-(x + 1)", [("x{}", 0)], 0),
        ("x > bool 5 and on () y unless z", [("x{}", 0), ("y{}", 0), ("z{}", 0)], 0),
        ("absent(x)", [("x{}", 0)], 0),
        ("x or vector(0)", [("x{}", 0)], 0),
        ('label_replace(x, "a", "$1", "b", "(.*)")', [("x{}", 0)], 0),
        ("x offset 12d1s", [("x{}", 1_036_801)], 1_036_801),
        ("x offset 1ms", [("x{}", 0.001)], 0.001),
    ],
)
def test_selectors_and_reach(query: str, found: Found, reach: float) -> None:
    assert selectors(query) == found
    assert compile_query(query).reach == timedelta(seconds=reach)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (r'x{a="q\"u\\o\nte"}', r'x{a="q\"u\\o\nte"}'),
        ("x{a='single'}", 'x{a="single"}'),
        ('x{a!="b", c=~"d.*", e!~"f"}', 'x{a!="b", c=~"d.*", e!~"f"}'),
        ('x{a="1" or b="2"}', 'x{a="1" or b="2"}'),
        ('x{a="1", c="3" or b="2", d="4"}', 'x{a="1", c="3" or b="2", d="4"}'),
        ('{__name__="x", a="b"}', '{__name__="x", a="b"}'),
        ('{__name__=~"x.*"}', '{__name__=~"x.*"}'),
        ('{"http.requests"}', '{__name__="http.requests"}'),
        ('{"http.requests", "status.code"="500"}', '{__name__="http.requests", "status.code"="500"}'),
        ('x{"0abc"="v"}', 'x{"0abc"="v"}'),
        (r'x{"a\"b\\c"="v"}', r'x{"a\"b\\c"="v"}'),
        ('x{"größe"="v"}', 'x{"größe"="v"}'),
        ("job:errors:rate5m", "job:errors:rate5m{}"),
    ],
)
def test_a_selector_is_written_as_it_was_read(query: str, text: str) -> None:
    assert selectors(query) == [(text, 0)]
    assert meaning(promql.parse(text)) == meaning(promql.parse(query))


def meaning(tree: Any) -> object:
    assert isinstance(tree, promql.VectorSelector)
    alternatives = [tree.matchers.matchers, *tree.matchers.or_matchers]
    return tree.name, [[(one.name, str(one.op), one.value) for one in matchers] for matchers in alternatives]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("rate(x[5m)", "not valid PromQL"),
        ("rate(", "not valid PromQL"),
        ("", "not valid PromQL"),
        ("no_such_function(x)", "not valid PromQL"),
        ("x[5m]", "gives a range"),
        ("x[5m:1m]", "gives a range"),
        ('"text"', "a string"),
        ("1 + 1", "reads neither a metric nor the time"),
        ("vector(1)", "reads neither a metric nor the time"),
        ("x @ 1700000000", "@ pins a reading"),
        ("x @ end()", "@ pins a reading"),
        ("rate(x[5m] @ start())", "@ pins a reading"),
        ("max_over_time(x[1h:1m] @ end())", "@ pins a reading"),
        ("x offset -5m", "reads the future"),
        ("max_over_time(x[1h:1m] offset -1h)", "reads the future"),
        ("y + rate(x[5m] offset -1s)", "reads the future"),
        (" + ".join(f"m{number}" for number in range(MAX_SELECTORS + 1)), "at most 16: use a recording rule"),
        ("(" * 1000 + "x" + ")" * 1000, "more than 50 brackets and operators within each other: use a recording rule"),
        ("(" * 4000, "more than 50 brackets"),
        ("abs(" * 1000 + "x" + ")" * 1000, "more than 50 brackets"),
        ("max_over_time(" * 250 + "x" + "[1h:1m])" * 250, "more than 50 brackets"),
        ("{" * 1000, "not valid PromQL"),
        ("-" * 1500 + "x", "more than 50 brackets and operators"),
        (" + ".join(["x"] * 1000), "more than 50 brackets and operators"),
        ("+".join(["(1+1+1)"] * 40), "more than 200 parts .*: use a recording rule"),
        ("x{" + "a='b'," * 500 + "}", "more than 200 matchers in its braces: use a recording rule"),
        ("x" * 7000, "more than 6144 characters .*: use a recording rule"),
    ],
)
def test_what_no_gate_can_use_is_refused_with_a_reason(query: str, message: str) -> None:
    with pytest.raises(QueryProblem, match=message):
        check_written(query)


@pytest.mark.parametrize(
    "query",
    [
        "+".join(["(" + "+".join(['x{a="b", c!="d"}'] * 49) + ")"] * 2),  # 197 parts, 50 deep, 196 matchers
        "+".join(["(" + "==".join(["x"] * 24) + ")"] * 4) + "==x offset 5m",
        "sum(" * 50 + "x" + ")" * 50,
        "max_over_time(" * 25 + "x" + "[1h:1m])" * 25,
        "-" * 50 + "x",
        'x{a=~"' + "()" * 1500 + '"}',
        "x{" + " or ".join(["a='b'"] * 200) + "}",
    ],
)
def test_the_largest_query_can_still_be_confined_and_asked_as_a_condition(query: str) -> None:
    """What is made of a query is larger, and is parsed again before it is asked."""
    check_written(query)
    made = truth_of(confined(query, "a_rather_long_label_of_a_namespace", "n" * 63))
    assert [one.need for one in compile_query(made).selectors] == [one.need for one in compile_query(query).selectors]


def test_sixteen_selectors_are_enough() -> None:
    assert len(selectors(" + ".join(f"m{number}" for number in range(MAX_SELECTORS)))) == MAX_SELECTORS


@pytest.mark.parametrize(
    ("query", "needs"),
    [
        ("x / y", "SS"),
        ("x or vector(0)", "L"),
        ("(x or y) / z", "LLS"),
        ("x unless y", "SL"),
        ("x and y", "SS"),
        ("absent(x)", "N"),
        ("absent_over_time(x[5m]) or vector(0)", "N"),
        ("absent(x) or y", "NL"),
        ('count(ALERTS{alertname="Slow"}) or vector(0)', "N"),
        ("ALERTS_FOR_STATE", "N"),
        ('count({__name__="ALERTS", alertname="Slow"}) or vector(0)', "N"),
        ('count({"ALERTS", alertname="Slow"}) or vector(0)', "N"),
        ("x or x / y", "LL"),
        ("(x or vector(0)) / x", "S"),  # what is needed at one place is needed
        ("sum(rate(x[5m] offset 1h) or vector(0))", "L"),
        ("x > bool (y or 0 * z)", "SLL"),
    ],
)
def test_what_a_number_rests_on(query: str, needs: str) -> None:
    found = {one.text: one.need.name[0] for one in compile_query(query).selectors}
    assert "".join(found.values()) == needs


LABELS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6).filter(lambda name: name != "__name__")


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(LABELS, st.text(st.characters(exclude_categories=["Cs"]), max_size=8), st.integers(1, 10**9))
def test_any_label_and_any_value_come_through(name: str, value: str, offset: int) -> None:
    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'

    compiled = compile_query(f"x{{{quoted(name)}={quoted(value)}}} offset {offset}ms")
    (selector,) = compiled.selectors
    inner: Any = promql.parse(selector.text)
    assert [(one.name, one.value) for one in inner.matchers.matchers] == [(name, value)]
    assert selector.offset == timedelta(milliseconds=offset)


CONFINED = [
    ('x{ns="shop"}', 'x{ns="shop"}'),
    ("x", 'x{ns="shop"}'),
    ('x{a="b"}', 'x{a="b", ns="shop"}'),
    ('x{ns="other"}', 'x{ns="other", ns="shop"}'),  # nothing matches both: nobody else's series
    ('x{ns=~".*"}', 'x{ns=~".*", ns="shop"}'),
    ('x{a="1" or ns="other"}', 'x{a="1", ns="shop" or ns="other", ns="shop"}'),
    ('{__name__=~"x|y"}', '{__name__=~"x|y", ns="shop"}'),
    ("x offset 5m", 'x{ns="shop"} offset 300000ms'),
    ("max_over_time(rate(x[5m] offset 1m)[1h:1m] offset 2m) / on (a) group_left (b) y", None),
    ('label_replace(x, "ns", "shop", "a", "(.*)") or y', None),
    ("topk(3, x) by (ns) > bool 0 unless z", None),
]


@pytest.mark.parametrize(("query", "text"), CONFINED)
def test_a_namespace_matcher_is_in_every_selector_and_in_each_of_its_alternatives(query: str, text: str | None) -> None:
    result = confined(query, "ns", "shop")
    assert text is None or promql.parse(result).prettify() == promql.parse(text).prettify()
    for selector in compile_query(result).selectors:
        inside = selector.text[selector.text.index("{") + 1 : -1]
        assert all('ns="shop"' in alternative for alternative in inside.split(" or ")), result
    assert [one.offset for one in compile_query(result).selectors] == [one.offset for one in compile_query(query).selectors]
    assert compile_query(result).reach == compile_query(query).reach


def test_what_reads_other_series_than_it_names_is_refused_where_queries_are_confined() -> None:
    with pytest.raises(QueryProblem, match=r"info\(\) of one argument"):
        confined("sum(info(x))", "ns", "shop")
    assert compile_query(confined('info(x, {a=~".+"})', "ns", "shop")).selectors[1].text == '{a=~".+", ns="shop"}'


@settings(deadline=None, derandomize=True, database=None)
@given(st.text(max_size=20))
def test_no_value_leaves_the_matcher(value: str) -> None:
    parsed: Any = promql.parse(confined('x{a="b"} / y', "ns", value))
    for side in (parsed.lhs, parsed.rhs):
        assert [one.value for one in side.matchers.matchers if one.name == "ns"] == [value]


@pytest.mark.parametrize(
    ("text", "labels"),
    [("x_total", {}), ('x_total{job="a",pod=~"b.*"}', {"job": "a"}), ('x_total{job="a",ns="b"}', {"job": "a", "ns": "b"})],
)
def test_a_bare_selector(text: str, labels: dict[str, str]) -> None:
    assert bare_selector(text) == labels


@pytest.mark.parametrize(
    "text", ["x + y", "rate(x[5m])", "x offset 5m", "x @ 0", '{job="a"}', 'x{__name__="y"}', 'x{a="b" or c="d"}', "x{", "5"]
)
def test_what_is_no_bare_selector(text: str) -> None:
    with pytest.raises(QueryProblem):
        bare_selector(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('x_total{job="a",pod=~"b.*",code="500"}', {"job": 'job="a"', "pod": 'pod=~"b.*"'}),
        ('x_total{job!="a",job!="b"}', {"job": 'job!="a", job!="b"'}),
        ("x", {}),
        ('x{job="a" or job="b"}', None),
    ],
)
def test_the_matchers_of_a_selectors_targets(text: str, found: dict[str, str] | None) -> None:
    assert target_matchers(text, {"job", "pod"}) == found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ('sum(rate(x{variant="on"}[5m])) / sum(rate(y[5m]))', ("x{}", "y{}")),
        ('x{a="1"} / x{a="2", version="v2"}', ('x{a="1"}', 'x{a="2"}')),
        ('(x{code="500"} or vector(0)) / x', ("x{}", "x{}")),  # rightly empty: its metric will do
        ('absent(x{a="1"})', ("x{}",)),
        ("ALERTS or vector(0)", (None,)),
        ('{"ALERTS"} or vector(0)', (None,)),
        ('{__name__=~"x|y", a="b"}', ('{__name__=~"x|y", a="b"}',)),
        ('{__name__=~"x|y", a="b"} or vector(0)', ('{__name__=~"x|y"}',)),
        ('{a="b"} or vector(0)', ('{a="b"}',)),
        ('x{a="1", variant="on" or a="2"}', ('x{a="1" or a="2"}',)),
        ('x{variant="on" or a="2"}', ("x{}",)),
    ],
)
def test_what_should_have_had_series_before(query: str, found: tuple[str | None, ...]) -> None:
    selectors = compile_query(query).selectors
    assert tuple(expected(one, lambda label, value: label == "variant" or value == "v2") for one in selectors) == found


def test_a_selector_is_narrowed_in_each_of_its_alternatives() -> None:
    assert (
        narrowed('x{a="1" or b="2"}', (matching("job", "=", "j"), matching("a", "=", "1"))) == 'x{a="1", job="j" or b="2", job="j", a="1"}'
    )
    assert narrowed("x{}", ()) == "x{}"


@pytest.mark.parametrize("query", ["hour() >= 8 and hour() < 17", "time()", "day_of_week() == bool 0", "hour(vector(time() + 3600))"])
def test_a_query_may_be_about_the_time_alone(query: str) -> None:
    assert compile_query(query).selectors == ()


@pytest.mark.parametrize(
    ("selector", "asks"),
    [
        ('x{variant="on"}', True),
        ('x{variant=~"on|off"}', True),
        ('x{a="b" or variant="on"}', True),
        ('x{"variant"="on"}', True),
        ('x{variant!="off"}', False),
        ('x{product_variant="on"}', False),
        ('x{path="variant="}', False),
        ("variant", False),
    ],
)
def test_which_label_a_selector_asks_for(selector: str, asks: bool) -> None:
    assert asks_for(selector, "variant") is asks
