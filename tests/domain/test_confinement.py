"""Ways in which others that confine queries have let tenants see more, or come to a stop: prom-label-proxy, Thanos, Observatorium, Mimir,
multena-proxy, vmauth, and services that put names into PromQL. Each is tried here.

The confined query is read by another parser than the one that confined it.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import promql_parser as promql
import pytest

from tests.builders import raw_gate
from tests.domain.test_asks import rollout
from tidegate.api.gates import Gate
from tidegate.domain.asks import Wording, expected_series
from tidegate.domain.problems import QueryProblem
from tidegate.domain.queries import confined

ANYWHERE = "x{}"


def readable(query: str, value: str = "shop") -> list[str]:
    """The metrics of a confined query's selectors, all of which have the matcher in each of their alternatives."""
    found: list[Any] = []
    promql.walk(promql.parse(query), pre_visit=lambda node: found.append(node) if isinstance(node, promql.VectorSelector) else None)
    out = []
    for selector in found:
        alternatives = [one for one in (selector.matchers.matchers, *selector.matchers.or_matchers) if one]
        assert alternatives
        for matchers in alternatives:
            assert ("ns", promql.MatchOp.Equal, value) in [(one.name, one.op, one.value) for one in matchers], query
        out.append(str(selector.name))
    return out


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("sum(x) by (ns)", ["x"]),
        ("topk(scalar(a), b)", ["a", "b"]),
        ("a + on (ns) group_left (job) (b unless -c)", ["a", "b", "c"]),
        ("max_over_time(rate(a[5m])[1h:1m] offset 1m) / b offset 1w", ["a", "b"]),
        ("label_replace(a, 'ns', 'shop', '', '') or histogram_quantile(scalar(b), c)", ["a", "b", "c"]),
        ("count_values('ns', a) > bool ((b))", ["a", "b"]),
        ("a ^ -b atan2 +c", ["a", "b", "c"]),
        ("absent(a) or absent_over_time(b[5m])", ["a", "b"]),
        ("quantile(scalar(a == bool b), c) and ignoring () d", ["a", "b", "c", "d"]),
    ],
)
def test_wherever_a_selector_stands_it_is_confined(query: str, names: list[str]) -> None:
    """Enforcers have missed sub-expressions that they had no case for."""
    assert sorted(readable(confined(query, "ns", "shop"))) == names


@pytest.mark.parametrize(
    "own", ['ns="other"', 'ns=~".*"', 'ns!="shop"', 'ns!~"shop"', '"ns"="other"', r'"\x6es"=~".+"', "ns='shop', ns='other'"]
)
def test_a_matcher_of_ones_own_for_the_label_neither_goes_nor_counts_instead(own: str) -> None:
    """prom-label-proxy replaced it, so that the answer was about other series than those asked for."""
    result = confined(f"x{{{own}}}", "ns", "shop")
    assert readable(result) == ["x"]
    tree: Any = promql.parse(result)
    assert len(tree.matchers.matchers) == len({*own.split(", "), "ns='shop'"})


@pytest.mark.parametrize("inside", ["a='1' or ns='other'", "ns='other' or ns='other'", "a='1' or b='2' or c='3'", "or='a' or or='b'"])
def test_each_alternative_is_confined(inside: str) -> None:
    """vmselect takes alternatives for tenants as a union: one that is forgotten opens all."""
    assert readable(confined(f"x{{{inside}}} / {{{inside}}}", "ns", "shop")) == ["x", "None"]


@pytest.mark.parametrize(
    "value", ['a", ns=~".*', 'a"} or secret{b="', "a\\", 'a\\"', "a\nor secret", "a`", "a'} or secret{b='", "#", "{{.}}"]
)
def test_a_value_can_not_leave_its_quotes(value: str) -> None:
    """Services that put a namespace's name into PromQL as it is were made to ask for anything."""
    assert readable(confined("x / x{a='b'}", "ns", value), value) == ["x", "x"]


@pytest.mark.parametrize("value", [".*", "shop|other", "(?i)SHOP", "s.op", ""])
def test_a_value_is_no_regular_expression(value: str) -> None:
    """Proxies that match by regular expression without escaping let `.` and `|` in a tenant's name match others."""
    assert readable(confined(ANYWHERE, "ns", value), value) == ["x"]


@pytest.mark.parametrize(
    "query",
    [
        '{"my.metric"}',
        '{"my.metric", "my.label"="v"}',
        'x{"größe"=~"a|b"}',
        'sum by ("my.label") ({"or"})',
        r'{"a\"} or secret{b=\"c"}',
        "{`}`}",
    ],
)
def test_quoted_names_are_confined_as_others(query: str) -> None:
    assert len(readable(confined(query, "ns", "shop"))) == 1


@pytest.mark.parametrize(
    "query",
    [
        'x{b="} or secret #"}',
        "x{b='} or secret #'} # } or secret",
        "x # {\n{a='}'}",
        "x{b=`\\`} # ` or secret{a=``}",
        'x{b="\\"} or secret{c=\\""}',
        "x{b='a' # , ns='other'} or secret{\n}",
    ],
)
def test_what_stands_in_strings_and_comments_is_no_selector_and_hides_none(query: str) -> None:
    """Who looks for selectors in the text is led astray by these, and so may be who sends on a text that he has read otherwise."""
    assert readable(confined(query, "ns", "shop")) == ["x"]


@pytest.mark.parametrize("query", ["info(x)", "sum(info(rate(x[5m])))", "info(x, {})"])
def test_what_reads_series_that_it_does_not_name_is_refused(query: str) -> None:
    """info() of one argument reads target_info of every tenant, and has no selector to confine."""
    with pytest.raises(QueryProblem):
        confined(query, "ns", "shop")


@pytest.mark.parametrize("query", ["x or x{a='b'}", "{__name__=~'x|y'} or vector(0)", "{a='b' or c='d'} / x"])
def test_the_search_for_series_is_confined_as_the_query_is(query: str) -> None:
    """Observatorium and prom-label-proxy confined queries, and let the search for series through."""
    word = Wording(rollout(), timedelta(seconds=10), datetime(2026, 1, 1, tzinfo=UTC), ("ns", "shop"))
    found = list(expected_series(Gate.model_validate(raw_gate(query=query)), word))
    assert found
    assert all(readable(one) for one in found)


def test_no_answer_is_shared_between_tenants() -> None:
    """Answers are remembered by the text that was asked: a cache that leaves the confinement out of its key mixes tenants up."""
    assert confined("x", "ns", "shop") != confined("x", "ns", "other") != confined("x", "tenant", "other")
