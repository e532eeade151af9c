"""How the age of what a query rests on is asked for. What Prometheus makes of it is shown by tests/e2e/test_rests_on.py."""

from datetime import timedelta

import promql_parser as promql
import pytest

from tidegate.domain.liveness import Kind, ages, kinds_lately, samples_beyond, samples_of_several, series_beside, signs_of_life
from tidegate.domain.queries import MAX_SELECTORS, Need, compile_query

NONE = timedelta(0)
MOST_OF_A_QUERY = 16 * 1024
"""VictoriaMetrics takes no longer one."""
QUERIES = [
    "up",
    'rate(x{a="q\\"uote"}[5m] offset 90s) / y{"status.code"="500"}',
    "max_over_time(rate(x[5m] offset 1m)[1h:1m] offset 12d1s)",
    'x{a="1" or b="2"} or vector(0)',
    " + ".join(f"m{number}" for number in range(MAX_SELECTORS)),
    " or ".join(f"m{number}" for number in range(MAX_SELECTORS)),
    " + ".join(f'm{number}{{namespace="{63 * "n"}",path="{number:0180}"}} offset 1d' for number in range(MAX_SELECTORS)),
]


@pytest.mark.parametrize("query", QUERIES)
def test_one_valid_query_asks_for_the_newest_sample_of_each_selector(query: str) -> None:
    selectors = compile_query(query).selectors
    text = ages(selectors, NONE)
    promql.parse(text)
    assert len(text) < MOST_OF_A_QUERY
    for number, one in enumerate(selectors):
        assert f'"selector", "{number}"' in text
        assert f"timestamp({one.text}" in text
        if one.offset:
            assert f" offset {round(one.offset.total_seconds() * 1000)}ms" in text
            assert f" + {round(one.offset.total_seconds())})" in text, "an offset selector's age is told as if it had none"


def test_how_old_it_is_is_asked_of_nothing_that_nothing_rests_on() -> None:
    assert "timestamp(x{}))" not in ages(compile_query("absent(x) or vector(0)").selectors, NONE)
    asked = ages(compile_query("absent(x) or y").selectors, NONE)
    assert ("max(timestamp(y{}))" in asked, "max(timestamp(x{}))" in asked) == (True, False)


@pytest.mark.parametrize(
    ("delay", "offset"), [(NONE, "-900000ms"), (timedelta(milliseconds=1500), "-901500ms"), (timedelta(minutes=30), "-2700000ms")]
)
def test_the_newest_sample_of_what_is_read_is_asked_for_up_to_minutes_after_the_present(delay: timedelta, offset: str) -> None:
    """Of each selector once, however far back it looks, and of what should be absent too."""
    asked = ages(compile_query("x - x offset 1h + y / absent(z)").selectors, delay)
    promql.parse(asked)
    for metric in "xyz":
        assert asked.count(f"max(max_over_time(timestamp({metric}{{}})[900s:300s] offset {offset}))") == 1
    several = compile_query('max({__name__=~"x|y"} offset 5m)').selectors
    assert ages(several, delay) == ""
    assert samples_beyond(several, delay) == {0: f'{{__name__=~"x|y"}}[900s] offset {offset}'}


def test_samples_of_several_metrics_are_asked_for_as_they_are() -> None:
    """`timestamp` drops their names: Prometheus refuses what is the same without them."""
    selectors = compile_query('max({__name__=~"x|y"} offset 5m) + z + (absent({a="b"}) or {"w"})').selectors
    assert samples_of_several(selectors) == {0: '{__name__=~"x|y"}[300s] offset 300000ms'}
    assert [f'"selector", "{number}"' in ages(selectors, NONE) for number in range(4)] == [False, True, False, True]


KINDS: dict[str, tuple[Kind, ...]] = {"": (), "unlabelled": ((),), "a in shop": ((("job", "a"), ("namespace", "shop")),)}


def signs(query: str, kept: str = "", lately: str = "") -> str:
    """The signs of life that are asked for if every selector that may be empty is, and had series of some targets lately."""
    selectors = compile_query(query).selectors
    texts = []
    for number, one in enumerate(selectors):
        if one.need is Need.LIFE:
            beside = series_beside(one, KINDS[lately], kept, timedelta(minutes=2))
            texts += [kinds_lately(one), signs_of_life(selectors, number, KINDS[lately], kept), beside]
    for text in filter(None, texts):
        promql.parse(text)
    return "\n".join(texts)


@pytest.mark.parametrize("lately", KINDS)
@pytest.mark.parametrize("query", [*QUERIES[3:], 'sum(rate({variant="on", code="500"}[2m])) or vector(0)', 'x{job="a", pod="b"} or y'])
def test_signs_are_valid_queries(query: str, lately: str) -> None:
    signs(query, "", lately)


def up(matchers: str) -> str:
    return f"timestamp(up{{{matchers}}}) and up{{{matchers}}} == 1"


@pytest.mark.parametrize(
    ("query", "lately", "asked", "is_asked"),
    [
        ('x{job="a", code="500"} or vector(0)', "", 'timestamp({__name__="x", job="a"})', True),
        ('x{job="a", code="500"} or vector(0)', "", up('job="a"'), True),
        ('x{code="500"} or vector(0)', "", "timestamp(up", False),
        ('x{namespace="a"} or vector(0)', "", "timestamp(up", False),  # a namespace is no target
        ("(x offset 5m) or vector(0)", "", 'timestamp({__name__="x"} offset 300000ms)', True),
        # other selectors say something only of the same targets, and where the selector had no series of its own
        ("(x or vector(0)) / y", "", "max(timestamp(y{}))", True),
        ("(x or vector(0)) / y", "unlabelled", "max(timestamp(y{}))", True),
        ("(x or vector(0)) / y", "a in shop", 'timestamp(y{job="a", namespace="shop"})', True),  # of what is pushed there is no `up`
        ("(x or vector(0)) / y", "a in shop", "timestamp(y{})", False),
        ('(x{job="a"} or vector(0)) / y{job="a"}', "", 'timestamp(y{job="a"})', True),
        ('(x{job="a"} or vector(0)) / y{job="b"}', "", "timestamp(y", False),
        ("((x offset 5m) or vector(0)) / y", "", "timestamp(y", False),  # what lives now says nothing of then
        # targets of the kind that it had series of
        ("x or vector(0)", "a in shop", up('job="a", namespace="shop"'), True),
        ("x or vector(0)", "a in shop", up('job="a", namespace=""'), True),
        ('x{job="a", pod=~"p.*"} or vector(0)', "a in shop", up('job="a", pod=~"p.*", namespace="shop"'), True),
        # labels that no `up` of the job has are about what a target reports
        ('x{job="a", service="s"} or vector(0)', "", up('job="a", service="s"'), True),
        ('x{job="a", service="s"} or vector(0)', "", up('job="a", service=""'), True),
        ('x{job="a"} or vector(0)', "", 'service=""', False),
        ('x{service="s"} or vector(0)', "", up('service="s"'), True),
        ('x{service="s"} or vector(0)', "", 'service=""', False),  # another job's `up` says nothing
        ('x{job="a", instance="i"} or vector(0)', "", 'instance=""', False),
        # an exporter reports about others, under labels of theirs
        ('x{job="ksm", namespace="shop"} or vector(0)', "", '|.*:.*", job="ksm", namespace="shop"}[120s])) unless', True),
        ('x{job="ksm", namespace="shop"} or vector(0)', "", 'unless on () last_over_time(up{job="ksm", namespace="shop"}[3600s])', True),
        ("x or vector(0)", "a in shop", '|.*:.*", job="a", namespace="shop"}[120s])) unless', True),
        ('x{job="a"} or vector(0)', "", "group(last_over_time({__name__!~", False),  # has an `up`
        ('x{namespace="shop"} or vector(0)', "", "group(last_over_time({__name__!~", False),  # nobody knows whose series they are
        # what Prometheus itself writes of a scrape is there for a dead target too
        ('x{job="a"} or 0 * scrape_duration_seconds{job="a"}', "", "timestamp(scrape", False),
        ('x or 0 * up{zone="b"}', "", up('zone="b"'), True),
        ('{code="500"} or vector(0)', "", "timestamp({})", False),  # not valid: it selects everything
        ('{code="500", job="a"} or vector(0)', "", 'timestamp({job="a"})', False),  # `up` among them
        ('{__name__="x", code="500", job="a"} or vector(0)', "", 'timestamp({__name__="x", job="a"})', True),
    ],
)
def test_what_shows_that_an_empty_selector_is_so_by_right(query: str, lately: str, asked: str, is_asked: bool) -> None:
    assert (asked in signs(query, "", lately)) is is_asked


def test_a_sign_is_short_however_many_selectors_a_query_has() -> None:
    """VictoriaMetrics takes 16 KiB by default."""
    labels = 'namespace="shop", service="checkout", job="checkout", pod=~"checkout-.*", outcome="SERVER_ERROR", uri!~"/health|/metrics"'
    selectors = compile_query(" + ".join(f"(http_{number}{{{labels}}} or vector(0))" for number in range(MAX_SELECTORS))).selectors
    kinds: tuple[Kind, ...] = tuple((("job", "checkout"), ("namespace", f"shop-{number}")) for number in range(100))
    assert len(signs_of_life(selectors, 0, kinds, "namespace")) < 16_384


@pytest.mark.parametrize(
    "query",
    [
        'x{ns="shop", pod="a", service="b"} or vector(0)',
        'x{ns="shop", code="500"} or vector(0)',
        '(x{ns="shop"} or vector(0)) / y{ns="shop"}',
        'x{job="a", ns="shop"} unless y{ns="shop"}',
    ],
)
@pytest.mark.parametrize("lately", KINDS)
def test_no_sign_leaves_the_confinement(query: str, lately: str) -> None:
    found = [one for text in signs(query, "ns", lately).splitlines() if text for one in compile_query(text).selectors]
    assert len(found) >= 2
    assert all('ns="shop"' in one.text for one in found)


def test_alternatives_within_a_selector_have_no_targets_of_their_own() -> None:
    selectors = compile_query('x{ns="shop", a="1" or ns="shop", a="2"} or vector(0)').selectors
    assert (
        signs_of_life(selectors, 0, KINDS["a in shop"], "ns") == series_beside(selectors[0], KINDS["a in shop"], "ns", timedelta(1)) == ""
    )
