"""Regular expressions as Prometheus reads them: which are none, and which match nothing."""

import contextlib

import pytest

from tidegate.domain.problems import QueryProblem
from tidegate.domain.regexes import takes_nothing


@pytest.mark.parametrize(
    "regex",
    ["", "a*", "a?", "(a|b*)", "a|", "|a", "^$", "a{0,3}", "a{0}", "(?i)", "(?i)a?", "[^]a]*", r"\Qa\E*", r"\A\z\B", "(a*)+", "(((a?)))|b"],
)
def test_these_match_nothing(regex: str) -> None:
    assert takes_nothing(regex)


@pytest.mark.parametrize(
    "regex",
    [
        "a",
        "a+",
        "a*b",
        "ab*",
        "a{3}",
        "[]a]",
        "(a|b)+",
        r"\d+",
        r"\pL",
        r"\Qab\E*",
        r"\b",
        "a{",
        "a{,3}",
        "a.{2,}",
        "(?P<n>a)",
        "[[:alpha:]]",
    ],
)
def test_these_match_something_only(regex: str) -> None:
    assert not takes_nothing(regex)


@pytest.mark.parametrize(
    ("regex", "message"),
    [
        ("(a", "its character 3: a bracket is not closed"),
        ("a)b", "its character 2: a bracket too many"),
        ("a|*", "its character 3: a repetition of nothing"),
        ("a**", "its character 3: a repetition of nothing"),
        ("a{3}{2}", "a repetition of nothing"),
        ("a{1001}", "more than 1000 repetitions"),
        ("a{99999999999999999999}", "more than 1000 repetitions"),
        ("a{3,2}", "its least number of repetitions is more than the most"),
        ("[a", "it can't be read"),
        ("[z-a]", "a range ends before it begins"),
        (r"[\x{61}-\101]", "a range ends before it begins"),
        ("[[:nothing:]]", "there is no such class"),
        (r"[a-\d]", "it can't be read"),
        (r"\q", "it can't be read"),
        ("\\", "it can't be read"),
        ("(?<!a)b", "its character 1: it can't be read"),
        ("a" * 200 + "(", "'a{80}…' is no regular expression, see its character 202"),
    ],
)
def test_what_prometheus_would_refuse_is_refused_with_its_place(regex: str, message: str) -> None:
    with pytest.raises(QueryProblem, match=message):
        takes_nothing(regex)


@pytest.mark.parametrize("unit", ["[", "[^", "[a-", "(", "()", "a|", "{1,", r"\Q", r"[\x{0", "[[:", "(?i", "a*", "[a]", r"\p{A"])
def test_a_long_one_is_read_once_through(unit: str) -> None:
    """Where each bracket is looked for to the end, these take minutes."""
    with contextlib.suppress(QueryProblem):
        takes_nothing(unit * (100_000 // len(unit)))
