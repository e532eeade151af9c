"""Figures of the measurements: what a quantile is, what each span runs from and to."""

import pytest

from bench.figures import Run, markdown, quantile, summary


@pytest.mark.parametrize(("share", "expected"), [(0.5, 15), (0.99, 30), (1 / 30, 1), (1, 30)])
def test_a_quantile_is_a_value_that_was_measured(share: float, expected: float) -> None:
    assert quantile(range(30, 0, -1), share) == expected


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 0), ([1.0], 1.1)])
def test_a_quantile_of_nothing_is_refused(values: list[float], share: float) -> None:
    with pytest.raises(ValueError, match="at least one value"):
        quantile(values, share)


def test_spans_and_their_table() -> None:
    runs = [Run("a", sampled=100.0, queryable=100.25, written=101.0, last_on=101.5, per_second=250.4)]
    assert {name: row["max"] for name, row in summary(runs).items()} == {
        "sample → 0 % written": 1.0,
        "queryable → 0 % written": 0.75,
        "sample → last seen on": 1.5,
        "queryable → last seen on": 1.25,
    }
    table = markdown([("5s", 2, runs)])
    assert "| 5s | 2 | 1 | queryable → last seen on | 1.25 | 1.25 | 1.25 |" in table
    assert "at least 250 times a second" in table
