"""How the age of what a query rests on is asked for. What Prometheus makes of it is shown by tests/e2e/test_rests_on.py."""

import promql_parser as promql
import pytest

from tidegate.domain.liveness import ages, samples_of_several, signs_of_life
from tidegate.domain.queries import MAX_SELECTORS, Need, compile_query

QUERIES = [
    "up",
    'rate(x{a="q\\"uote"}[5m] offset 90s) / y{"status.code"="500"}',
    "max_over_time(rate(x[5m] offset 1m)[1h:1m] offset 12d1s)",
    'x{a="1" or b="2"} or vector(0)',
    " + ".join(f"m{number}" for number in range(MAX_SELECTORS)),
    " or ".join(f"m{number}" for number in range(MAX_SELECTORS)),
]


@pytest.mark.parametrize("query", QUERIES)
def test_one_valid_query_asks_for_the_newest_sample_of_each_selector(query: str) -> None:
    selectors = compile_query(query).selectors
    text = ages(selectors)
    promql.parse(text)
    for number, one in enumerate(selectors):
        assert f'"selector", "{number}"' in text
        assert f"timestamp({one.text}" in text
        if one.offset:
            assert f" offset {round(one.offset.total_seconds() * 1000)}ms" in text
            assert f" + {round(one.offset.total_seconds())}," in text, "an offset selector's age is told as if it had none"


def test_what_nothing_rests_on_is_not_asked_for() -> None:
    assert ages(compile_query("absent(x) or vector(0)").selectors) == ""
    assert "timestamp(y{})" in ages(compile_query("absent(x) or y").selectors)
    assert "timestamp(x{})" not in ages(compile_query("absent(x) or y").selectors)


def test_samples_of_several_metrics_are_asked_for_as_they_are() -> None:
    """`timestamp` drops their names: Prometheus refuses what is the same without them."""
    selectors = compile_query('max({__name__=~"x|y"} offset 5m) + z + (absent({a="b"}) or {"w"})').selectors
    assert samples_of_several(selectors) == {0: '{__name__=~"x|y"}[300s] offset 300000ms'}
    assert [f'"{number}"' in ages(selectors) for number in range(4)] == [False, True, False, True]


def signs(query: str, kept: str = "") -> str:
    """The signs of life that are asked for if every selector that may be empty is."""
    selectors = compile_query(query).selectors
    text = signs_of_life(selectors, tuple(number for number, one in enumerate(selectors) if one.need is Need.LIFE), kept)
    if text:
        promql.parse(text)
    return text


@pytest.mark.parametrize("query", [*QUERIES[3:], 'sum(rate({variant="on", code="500"}[2m])) or vector(0)'])
def test_signs_are_one_valid_query(query: str) -> None:
    signs(query)


UP = 'timestamp(up{job="a"}) and up{job="a"} == 1'


@pytest.mark.parametrize(
    ("query", "asked", "is_asked"),
    [
        ('x{job="a", code="500"} or vector(0)', 'timestamp({__name__="x", job="a"})', True),
        ('x{job="a", code="500"} or vector(0)', UP, True),
        ('x{code="500"} or vector(0)', UP, False),
        ('x{namespace="a"} or vector(0)', 'timestamp(up{namespace="a"}) and', False),  # a namespace is no target
        ("x or vector(0)", "and on (job, namespace, service) last_over_time(x{}[3600s])", True),
        ("(x or vector(0)) / y", "max((timestamp(y{})) unless on () last_over_time(x{}[3600s]))", True),
        ('(x{job="a"} or vector(0)) / y{job="a"}', 'unless on () last_over_time(x{job="a"}[3600s])', True),
        ('(x{job="a"} or vector(0)) / y{job="b"}', "timestamp(y", False),  # says nothing of other targets
        ("x or y", "max((timestamp(y{})) unless on () last_over_time(x{}[3600s]))", True),
        ("(x offset 5m) or vector(0)", 'timestamp({__name__="x"} offset 300000ms)', True),
        # what the query reads beside it, of the same kind of targets, lives: there is no `up` of what is pushed
        ("(x or vector(0)) / y", "timestamp(y{})) and on (job, namespace, service) last_over_time(x{}[3600s])", True),
        # labels that no `up` has are about what a target reports
        (
            'x{job="a", service="s"} or vector(0)',
            '(timestamp(up{job="a", service=""}) and up{job="a", service=""} == 1) and on (job, names',
            True,
        ),
        ('x{job="a", service="s"} or vector(0)', 'or timestamp(up{job="a", service=""}) and up{job="a", service=""} == 1) unless', True),
        ('x{job="a"} or vector(0)', 'timestamp(up{job="a", service=""}) and up{job="a", service=""} == 1) unless', False),
        # a target that is named has to be up itself, if there has been one
        ('x{instance="i"} or vector(0)', '(timestamp(up{instance="i"}) and up{instance="i"} == 1) and on (job, namespace, service)', True),
        ('x{instance="i"} or vector(0)', 'unless on () last_over_time(up{instance="i"}[3600s])', True),
        # what Prometheus itself writes of a scrape is there for a dead target too
        ('(x{job="a"} or vector(0)) / y{job="a"}', 'timestamp(y{job="a"})', True),
        ('x{job="a"} or 0 * scrape_duration_seconds{job="a"}', "max(timestamp(scrape", False),
        ('x or 0 * up{zone="b"}', 'timestamp(up{zone="b"}) and up{zone="b"} == 1', True),
        ('{code="500"} or vector(0)', "timestamp({})", False),  # not valid: it selects everything
        ('{code="500", job="a"} or vector(0)', 'timestamp({job="a"})', False),  # `up` among them
        ('{__name__="x", code="500", job="a"} or vector(0)', 'timestamp({__name__="x", job="a"})', True),
    ],
)
def test_what_shows_that_an_empty_selector_is_so_by_right(query: str, asked: str, is_asked: bool) -> None:
    assert (asked in signs(query)) is is_asked


@pytest.mark.parametrize(
    "query",
    [
        'x{ns="shop", pod="a", service="b"} or vector(0)',
        'x{ns="shop", code="500"} or vector(0)',
        '(x{ns="shop"} or vector(0)) / y{ns="shop"}',
        'x{job="a", ns="shop"} unless y{ns="shop"}',
    ],
)
def test_no_sign_leaves_the_confinement(query: str) -> None:
    found = compile_query(signs(query, "ns")).selectors
    assert len(found) >= 2
    assert all('ns="shop"' in one.text for one in found)


def test_alternatives_within_a_selector_have_no_targets_of_their_own() -> None:
    assert signs('x{ns="shop", a="1" or ns="shop", a="2"} or vector(0)', "ns") == ""
