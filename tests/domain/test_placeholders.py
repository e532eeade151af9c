"""Placeholders: none but the five, each where it may stand, and no value ever leaves its string."""

from datetime import timedelta
from typing import Any

import promql_parser as promql
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.domain.outline import WRITTEN
from tidegate.domain.placeholders import IN_STRINGS, MAX_WINDOW, render, window_since
from tidegate.domain.problems import QueryProblem

VALUES = {"namespace": "shop", "name": "new-search", "revision": "v7", "variant": "on"}
WINDOW = timedelta(seconds=90)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('x{namespace="$namespace"}', 'x{namespace="shop"}'),
        ("x{a='$name',b=`$revision`}", "x{a='new-search',b=\"v7\"}"),
        (r'x{a=~`\d+"$name`}', r'x{a=~"\\d+\"new-search"}'),
        ('x{a="$namespace/$name-$variant"}', 'x{a="shop/new-search-on"}'),
        ("rate(x[$window])", "rate(x[90s])"),
        ("rate(x[$window] offset $window)", "rate(x[90s] offset 90s)"),
        ('x{a="it costs 5$"}', 'x{a="it costs 5$"}'),
        ('x{a=~"foo$|bar$"}', 'x{a=~"foo$|bar$"}'),
        ('x{a=~"b{2}${1}"}', 'x{a=~"b{2}${1}"}'),
        (r'x{a="\"$name"}', r'x{a="\"new-search"}'),
        ('x{a=\'"\',b="$name"}', 'x{a=\'"\',b="new-search"}'),
        ("x", "x"),
        ("", ""),
    ],
)
def test_rendered(query: str, expected: str) -> None:
    assert render(query, VALUES, WINDOW) == expected


def test_a_query_is_no_longer_than_its_bound_with_its_placeholders_filled_in() -> None:
    around = len('x{a=""}')
    long = "n" * 50
    fits, too_long = 'x{a="' + "$name" * 122 + '"}', 'x{a="' + "$name" * 123 + '"}'
    assert len(render(fits, VALUES | {"name": long}, WINDOW)) == around + 122 * 50 <= WRITTEN.length
    for query in (too_long, "x" * (WRITTEN.length + 1)):
        with pytest.raises(QueryProblem, match="more than 6144 characters with its placeholders filled in: use a recording rule"):
            render(query, VALUES | {"name": long}, WINDOW)
    assert render("x" * WRITTEN.length, VALUES, WINDOW)


@pytest.mark.parametrize("quote", ['"', "'", "`"])
@pytest.mark.parametrize("sign", ["=~", "!~", "=~ ", "=~\n"])
def test_in_a_regular_expression_a_value_stands_for_itself(sign: str, quote: str) -> None:
    """1.0+b matches no 1.0+b: a query with `or vector(0)` around it would say 0 for ever."""
    text = render(f"x{{a{sign}{quote}$revision|b.+{quote}, b={quote}$revision{quote}}}", VALUES | {"revision": "1.0+b"}, WINDOW)
    assert matchers(text) == {"a": r"1\.0\+b|b.+", "b": "1.0+b"}


def test_an_empty_value_is_refused_by_its_field() -> None:
    """A matcher for "" selects the series without the label."""
    with pytest.raises(QueryProblem, match=r"\$revision is empty here: set spec.revision"):
        render('x{version="$revision"}', VALUES | {"revision": ""}, WINDOW)
    assert render("x # $revision", VALUES | {"revision": ""}, WINDOW).strip() == "x"


def test_comments_say_nothing() -> None:
    assert render('x # of "$nobody\n+ y{a="$name"}', VALUES, WINDOW).split() == ["x", "+", 'y{a="new-search"}']
    assert render("x # $nothing", VALUES, WINDOW).strip() == "x"
    assert render("x # of it\r * 100", VALUES, WINDOW).split() == ["x", "*", "100"], "Prometheus ends a line there too"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ('x{a="$pod"}', r"\$pod is not a placeholder; there are \$name, \$namespace, \$revision, \$variant, \$window"),
        ("rate(x[$windows])", r"\$windows is not a placeholder"),
        ('x{a="$Name"}', r"\$Name is not a placeholder"),
        ('x{a="a$b"}', r"\$b is not a placeholder"),
        ("x{a=$name}", r"\$name must stand inside a quoted string"),
        ("$name", r"\$name must stand inside a quoted string"),
        ('x{$name="a"}', r"\$name must stand inside a quoted string"),
        ('x{a="$window"}', r"\$window is a duration"),
        ("x{a='$window'}", r"\$window is a duration"),
        ('x{a="${revision}"}', r"\$\{revision\} is not a placeholder: they are written without braces"),
        ('x{a=~"v${VERSION}.*"}', r"\$\{VERSION\} is not a placeholder"),
        ("rate(x[${window}])", r"\$\{window\} is not a placeholder"),
    ],
)
def test_what_may_not_stand_there_is_named(query: str, message: str) -> None:
    with pytest.raises(QueryProblem, match=message):
        render(query, VALUES, WINDOW)


# escaping

TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(["\\", '"', "'", "`", "\n", "$", "{", "}", "#"]), max_size=12)


def matchers(query: str) -> dict[str, str]:
    tree: Any = promql.parse(query)
    assert isinstance(tree, promql.VectorSelector)
    assert tree.name == "x"
    return {one.name: one.value for one in tree.matchers.matchers}


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(TEXT.filter(bool), st.sampled_from("\"'`"), st.sampled_from(sorted(IN_STRINGS)), TEXT.map(lambda text: text.replace("$", "")))
def test_no_value_leaves_its_string(value: str, quote: str, name: str, before: str) -> None:
    """The rendered query has the structure of the one that was written, and its matcher the value as it was given."""
    beside = "".join(char for char in before if char not in "\\\"'`\n")
    query = f'x{{a={quote}{beside}${name}{quote}, b="kept"}}'
    assert matchers(render(query, {name: value}, WINDOW)) == {"a": beside + value, "b": "kept"}


@pytest.mark.parametrize("quote", ['"', "'", "`"])
@pytest.mark.parametrize(
    "value", ['"} or y{a="', "'} or y{a='", '\\"} or y', "\\", "\\\\", "\n", "a\nb", '"', "'", "`", "$name", '", b="', "#", '\\n"']
)
def test_values_that_try_to(value: str, quote: str) -> None:
    assert matchers(render(f"x{{a={quote}$name{quote}}}", {"name": value}, WINDOW)) == {"a": value}


@pytest.mark.parametrize("raw", [r"\d+\.\d+", r"a\\b", "\\", 'say "hi"', "two\nlines", "it's"])
def test_a_backquoted_string_means_what_stands_in_it(raw: str) -> None:
    assert matchers(render(f"x{{a=`{raw}`}}", VALUES, WINDOW)) == {"a": raw}


def test_a_value_is_not_rendered_again() -> None:
    assert render('x{a="$name"}', {"name": "$namespace", "namespace": "no"}, WINDOW) == 'x{a="$namespace"}'


# $window


@pytest.mark.parametrize(
    ("elapsed", "interval", "window"),
    [
        (0, 30, 30),  # never 0: Prometheus refuses [0s]
        (29.9, 30, 30),
        (30, 30, 30),
        (59.9, 30, 30),
        (60, 30, 60),
        (301, 30, 300),
        (3600, 30, 3600),
        (100_000, 30, 3600),  # capped
        (-5, 30, 30),
        (0, 1, 1),
        (86_400, 7200, 3600),
        (100, 7, 98),
    ],
)
def test_the_window_is_the_time_since_the_step_in_whole_intervals(elapsed: float, interval: float, window: float) -> None:
    assert window_since(timedelta(seconds=elapsed), timedelta(seconds=interval)) == timedelta(seconds=window)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.integers(0, 10**7), st.integers(1, 10**5))
def test_once_an_interval_has_passed_the_window_begins_with_the_step(elapsed: int, interval: int) -> None:
    window = window_since(timedelta(seconds=elapsed), timedelta(seconds=interval))
    assert timedelta(seconds=1) <= window <= MAX_WINDOW
    if elapsed >= interval:
        assert window <= timedelta(seconds=elapsed)
