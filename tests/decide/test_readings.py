"""Which answers may be judged at all: finite, fresh, of the right type, not too many, from a source that answers without a warning."""

import math
from datetime import timedelta

import pytest

from tests.builders import answer, series
from tidegate.api.conditions import Reason
from tidegate.decide.gates.readings import MAX_SERIES, NoData, NoDataReason, Value, read_samples, read_value
from tidegate.domain.answers import Answer, Failure

STALENESS = timedelta(seconds=30)


def read(given: Answer | Failure) -> Value | NoData:
    return read_value(given, STALENESS)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (answer(), NoDataReason.EMPTY),
        (answer(math.nan), NoDataReason.NOT_A_NUMBER),
        (answer(math.inf), NoDataReason.INFINITE),
        (answer(-math.inf), NoDataReason.INFINITE),
        (answer(*range(MAX_SERIES + 1)), NoDataReason.TOO_MANY_SERIES),
        (answer(*range(500)), NoDataReason.TOO_MANY_SERIES),
        (answer(1, kind="matrix"), NoDataReason.WRONG_TYPE),
        (answer(kind="string"), NoDataReason.WRONG_TYPE),
        (answer(kind="native histogram"), NoDataReason.WRONG_TYPE),
        (answer(1, age=30.001), NoDataReason.STALE),
        (Answer(1000, "vector", series(1), None, 0, 1), NoDataReason.STALE),
        (answer(math.nan, age=31), NoDataReason.STALE),
        (answer(1, age=-31), NoDataReason.STALE),  # no sample is younger than the question
        (Answer(1000, "vector", series(1), math.nan, 0, 1), NoDataReason.STALE),
        (Answer(1000, "vector", series(1), math.inf, 0, 1), NoDataReason.STALE),
    ],
)
def test_series_that_cannot_be_judged(given: Answer, reason: NoDataReason) -> None:
    reading = read(given)
    assert isinstance(reading, NoData)
    assert reading.reason == reason
    assert reading.has_deadline
    assert reading.message


@pytest.mark.parametrize(
    "reason",
    [Reason.PROMETHEUS_UNREACHABLE, Reason.PROMETHEUS_TIMEOUT, Reason.PROMETHEUS_ERROR, Reason.PROMETHEUS_WARNING, Reason.QUERY_REFUSED],
)
def test_a_failure_is_no_data_without_a_deadline(reason: Reason) -> None:
    assert read(Failure(reason, "said so")) == NoData(reason.value, "said so", has_deadline=False)
    assert read_samples(Failure(reason, "said so"), STALENESS) == NoData(reason.value, "said so", has_deadline=False)


def test_a_hundred_series_are_still_judged() -> None:
    reading = read(answer(*range(MAX_SERIES)))
    assert isinstance(reading, Value)
    assert (reading.smallest().value, reading.largest().value) == (0, MAX_SERIES - 1)
    assert reading.largest().labels == f'pod="{MAX_SERIES - 1}"'


def test_a_sample_of_exactly_the_staleness_is_fresh() -> None:
    assert isinstance(read(answer(1, age=30)), Value)


def test_a_scalar_is_a_reading() -> None:
    assert isinstance(read(answer(3, kind="scalar")), Value)


def test_the_window_begins_where_the_query_looks_back_to() -> None:
    reading = read(answer(1, at=600, age=1, reach=300))
    assert isinstance(reading, Value)
    assert reading.window_start == answer(1, at=300).at
    assert reading.sample_time == answer(1, at=599).at


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_finite_series_beside_one_that_is_not_are_known_but_incomplete(odd: float) -> None:
    reading = read(answer(1, odd, 2))
    assert isinstance(reading, Value)
    assert [one.value for one in reading.series] == [1, 2]
    assert reading.not_finite is not None
    assert 'pod="1"' in reading.not_finite.message


@pytest.mark.parametrize(
    ("given", "count"), [(answer(), 0), (answer(7), 7), (answer(1, 2, 3.5), 6.5), (answer(4, kind="scalar"), 4), (answer(0), 0)]
)
def test_samples_are_summed_and_none_yet_is_zero(given: Answer, count: float) -> None:
    assert read_samples(given, STALENESS) == count


@pytest.mark.parametrize("values", [(math.nan,), (1, math.inf), (math.inf, -math.inf), (1e308, 1e308)])
def test_a_number_of_samples_that_is_not_finite_is_no_number(values: tuple[float, ...]) -> None:
    counted = read_samples(answer(*values), STALENESS)
    assert isinstance(counted, NoData)
    assert counted.has_deadline


@pytest.mark.parametrize("kind", ["string", "matrix", "native histogram"])
def test_what_is_no_number_is_no_number_of_samples_either(kind: str) -> None:
    counted = read_samples(answer(kind=kind), STALENESS)
    assert isinstance(counted, NoData)
    assert counted.reason == NoDataReason.WRONG_TYPE
