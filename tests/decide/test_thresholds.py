"""Bounds: open and closed, both directions, and which of many series is the worst."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import gate, series
from tidegate.api.gates import AdvanceRule, RollbackRule
from tidegate.decide.gates.readings import Value
from tidegate.decide.gates.thresholds import breaching_series, failing_series, shown_series, thresholds_in_words
from tidegate.decide.numbers import number


def value(*values: float) -> Value:
    return Value(series(*values), None, 0, 0)


@pytest.mark.parametrize(
    ("bounds", "holds", "fails"),
    [
        ({"lt": 5}, [4.999, -1], [5, 5.001]),
        ({"lte": 5}, [4.999, 5], [5.001]),
        ({"gt": 5}, [5.001], [5, 4.999]),
        ({"gte": 5}, [5, 5.001], [4.999]),
        ({"gt": 1, "lt": 5}, [1.001, 4.999], [1, 5, 0, 6]),
        ({"gte": 1, "lte": 5}, [1, 5, 3], [0.999, 5.001]),
        ({"gte": 0, "lt": 1}, [0], [1, -0.001]),
    ],
)
def test_advance_bounds_are_open_or_closed_as_written(bounds: dict[str, float], holds: list[float], fails: list[float]) -> None:
    rule = AdvanceRule.model_validate(bounds)
    assert [one for one in holds if failing_series(rule, value(one)) is not None] == []
    assert [one for one in fails if failing_series(rule, value(one)) is None] == []


@pytest.mark.parametrize(
    ("bounds", "breaches", "healthy"),
    [
        ({"gt": 5}, [5.001], [5, 4]),
        ({"gte": 5}, [5, 5.001], [4.999]),
        ({"lt": 5}, [4.999], [5, 6]),
        ({"lte": 5}, [5, 4], [5.001]),
        ({"lt": 1, "gt": 5}, [0.999, 5.001], [1, 3, 5]),
        ({"lte": 1, "gte": 5}, [1, 5, 0, 6], [1.001, 4.999]),
    ],
)
def test_rollback_bounds_are_open_or_closed_as_written(bounds: dict[str, float], breaches: list[float], healthy: list[float]) -> None:
    rule = RollbackRule.model_validate(bounds)
    assert [one for one in breaches if breaching_series(rule, value(one)) is None] == []
    assert [one for one in healthy if breaching_series(rule, value(one)) is not None] == []


@pytest.mark.parametrize(
    ("rule", "worst"),
    [({"gt": 5}, 9), ({"gte": 5}, 9), ({"lt": 5}, -3), ({"lte": 5}, -3), ({"lt": -2, "gt": 100}, -3), ({"lt": -100, "gt": 8}, 9)],
)
def test_the_worst_series_is_the_largest_for_gt_and_the_smallest_for_lt(rule: dict[str, float], worst: float) -> None:
    found = breaching_series(RollbackRule.model_validate(rule), value(0, 9, -3, 4))
    assert found is not None
    assert found.value == worst


@pytest.mark.parametrize(("rule", "worst"), [({"lt": 5}, 9), ({"gt": 0}, -3), ({"gt": -10, "lt": 9}, 9), ({"gt": -3, "lt": 10}, -3)])
def test_one_series_that_fails_is_enough_to_hold(rule: dict[str, float], worst: float) -> None:
    found = failing_series(AdvanceRule.model_validate(rule), value(0, 9, -3, 4))
    assert found is not None
    assert found.value == worst


@pytest.mark.parametrize(
    ("rules", "shown"),
    [
        ({"rollback": {"gt": 90}}, 9),
        ({"rollback": {"lt": -90}}, -3),
        ({"rollback": None, "advance": {"lt": 90}}, 9),
        ({"rollback": None, "advance": {"gte": -90}}, -3),
    ],
)
def test_a_quiet_gate_shows_the_series_nearest_to_trouble(rules: dict[str, object], shown: float) -> None:
    assert shown_series(gate(**({"advance": None} | rules)), value(0, 9, -3, 4)).value == shown


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        ({"advance": {"lt": 0.1}, "rollback": {"gt": 0.15, "for": "10m"}}, "advance < 0.1, rollback > 0.15 for 10m"),
        ({"advance": {"gte": 50, "lt": 60}, "rollback": {"lt": 40}}, "advance < 60 and >= 50, rollback < 40 on 2 samples"),
        ({"advance": None, "rollback": {"lt": 1, "gt": 2, "confirm": 1}}, "rollback < 1 or > 2 on 1 samples"),
        ({"advance": {"lte": 0.25}, "rollback": None}, "advance <= 0.25"),
    ],
)
def test_thresholds_read_as_a_sentence(rules: dict[str, object], text: str) -> None:
    assert thresholds_in_words(gate(**rules)) == text


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_survive_as_decimal_strings(given_number: float) -> None:
    text = number(given_number)
    assert float(text) == given_number
    assert len(text) <= 32
    assert not (math.fabs(given_number) < 1e15 and given_number == int(given_number) and "." in text)
