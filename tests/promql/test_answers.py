"""Tidegate reads and confines queries as Prometheus's parser has agreed to."""

import pytest

from tests.promql.answers import FILE, agreed, written
from tests.promql.parser import PrometheusParser


def test_queries_are_read_and_confined_as_was_agreed() -> None:
    """After a change: `python -m tests.promql.answers`."""
    assert list(written()) == FILE.read_text().splitlines()


@pytest.mark.thorough
def test_prometheus_agrees_to_the_answers(prometheus: PrometheusParser) -> None:
    assert agreed(prometheus) == []
