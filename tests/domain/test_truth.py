"""When a `when` holds: a comparison without `bool` lets through or not, whatever the value is."""

import pytest

from tidegate.domain.problems import QueryProblem
from tidegate.domain.queries import compile_query
from tidegate.domain.truth import truth_of


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("m", "m"),
        ("m == 0", "group without () (m == 0)"),
        ("day_of_week() == 0", "group without () (day_of_week() == 0)"),
        ("m == bool 0", "(m == bool 0)"),
        ("(m == 0) == bool 0", "((m == 0) == bool 0)"),
        ("m == 0 and on (a) n == 0", "group without () (m == 0) and on (a) group without () (n == 0)"),
        ("m == 0 or n", "group without () (m == 0) or n"),
        ("m unless n == 0", "m unless group without () (n == 0)"),
        ("sum by (a) (m == 0)", "sum by (a) (group without () (m == 0))"),
        ("max_over_time((m == 0)[10m:1m])", "max_over_time((group without () (m == 0))[10m:1m])"),
        ("(m == 0) * 2", "((m == 0) * 2)"),
        ("rate((m == 0)[5m:1m])", "(rate((m == 0)[5m:1m]))"),
        ("stddev_over_time((m > 0)[5m:1m])", "(stddev_over_time((m > 0)[5m:1m]))"),  # of ones it is 0
        ("stddev by (a) (m > 0) and (n == 0)", "(stddev by (a) (m > 0)) and (group without () (n == 0))"),
        ("ln(m > 0)", "(ln(m > 0))"),
        ("-(m == 0)", "-(group without () (m == 0))"),
        ("count(m == 0) > 0", "group without () (count(m == 0) > 0)"),
        ("m == on (a) group_left () n", "group without () (m == on (a) group_left () n)"),
        ("(m == 0) == 0", "group without () ((m == 0) == 0)"),
        ("m offset 5m == 0", "group without () (m offset 5m == 0)"),
    ],
)
def test_what_is_let_through_is_1(query: str, asked: str) -> None:
    assert " ".join(truth_of(query).split()) == asked


def test_what_is_no_query_is_refused() -> None:
    with pytest.raises(QueryProblem):
        truth_of("m ==")


@pytest.mark.parametrize(
    "query",
    [
        '(x{b="} or secret #"} * 1) and y{a="tidegate_operand_0_"}',
        '(x{b="} or secret #"} * 1) and y{a="tidegate\\x5foperand_0_"}',
        '(x * 1) and tidegate_operand_0_{a="tidegate_operand_x0_"}',
        '(x{a="tidegate_operand_1_tidegate_operand_1_"} * 1) and (y{a="tidegate_operand_0_"} * 1)',
    ],
)
def test_no_text_of_a_query_is_taken_for_one_of_its_operands(query: str) -> None:
    """Else the value of a label would leave its quotes, and the confinement with them; or double itself with each operand."""
    assert [one.text for one in compile_query(truth_of(query)).selectors] == [one.text for one in compile_query(query).selectors]
