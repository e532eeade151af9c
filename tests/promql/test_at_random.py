"""Queries at random against Prometheus's own parser: what is let through means the same, and reads nothing outside the confinement."""

import pytest

from tests.promql.comparing import faults, read
from tests.promql.generator import Generator
from tests.promql.parser import PrometheusParser
from tidegate.domain.problems import QueryProblem
from tidegate.domain.regexes import takes_nothing

NUMBERS = [1000, pytest.param(10_000, marks=pytest.mark.proof)]
pytestmark = pytest.mark.thorough


@pytest.mark.parametrize("number", NUMBERS)
def test_queries_mean_the_same_and_nothing_is_outside_the_confinement(number: int, prometheus: PrometheusParser) -> None:
    generator = Generator(number)
    readings = [read(generator.query()) for _ in range(number)]
    assert list(faults(readings, prometheus)) == []
    assert sum(not one.refused for one in readings) > number / 2


@pytest.mark.parametrize("number", NUMBERS)
def test_what_is_a_regular_expression_and_what_matches_nothing(number: int, prometheus: PrometheusParser) -> None:
    generator = Generator(number)
    regexes = [generator.regex() for _ in range(number)]
    assert [takes_nothing_or_none(regex) for regex in regexes] == prometheus.about_regexes(regexes)


def takes_nothing_or_none(regex: str) -> bool | None:
    try:
        return takes_nothing(regex)
    except QueryProblem:
        return None
