"""The lease's clock: when it ends, when it is due, and what is in force behind it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import START, after, target
from tests.levers.evaluator import Evaluator
from tidegate.domain.exposure import Reading
from tidegate.levers.deadman import in_force, lease_end, renewed_every
from tidegate.levers.flag.definition import definition_for

lengths = st.integers(60, 86_400)
moments = st.floats(0, 10_000_000, allow_nan=False)
QUICK = settings(max_examples=300, deadline=None, derandomize=True, database=None)


@QUICK
@given(lengths, moments)
def test_a_fresh_lease_lasts_between_two_thirds_and_the_whole_of_its_length(seconds: int, moment: float) -> None:
    left = lease_end(seconds, after(moment), None) - (START + moment)
    assert seconds * 2 / 3 - 1 <= left <= seconds


@QUICK
@given(lengths, moments, st.floats(0, 200_000))
def test_a_lease_is_kept_for_a_third_and_then_due(seconds: int, moment: float, later: float) -> None:
    third = renewed_every(seconds).total_seconds()
    written = lease_end(seconds, after(moment), None)
    again = lease_end(seconds, after(moment + later), written)
    ticks = (START + moment + later) // third - (START + moment) // third
    assert (again == written) is (ticks == 0)
    assert again >= written


@QUICK
@given(lengths, moments, st.integers(-100_000, 200_000))
def test_whatever_stands_there_a_lease_ends_neither_too_soon_nor_too_late(seconds: int, moment: float, off: int) -> None:
    live = int(START + moment) + off
    end = lease_end(seconds, after(moment), live)
    left = end - (START + moment)
    assert seconds * 2 / 3 - 1 <= left <= seconds * 4 / 3 + 1
    assert lease_end(seconds, after(moment), end) == end, "what was written stands"


@QUICK
@given(st.sampled_from([60, 900, 86_400]), moments, moments)
def test_equal_leases_of_many_flags_end_together(seconds: int, one: float, other: float) -> None:
    third = renewed_every(seconds).total_seconds()
    is_same_third = (START + one) // third == (START + other) // third
    assert (lease_end(seconds, after(one), None) == lease_end(seconds, after(other), None)) is is_same_third


def test_a_replica_whose_clock_is_a_little_behind_does_not_write_the_lease_back() -> None:
    renewed = lease_end(60, after(20), None)
    assert lease_end(60, after(19.9), renewed) == renewed


@pytest.mark.parametrize(("seconds", "percent"), [(-1, 25), (-0.001, 25), (0, 0), (0.001, 0), (10_000, 0)])
def test_what_is_in_force_is_what_clients_with_that_clock_see(seconds: float, percent: int) -> None:
    end = int(START) + 600
    reading, now = Reading(25, live=definition_for(target(), 25, end), expires=end), after(600 + seconds)
    assert in_force(reading, now).percent == percent
    evaluator = Evaluator(reading.live, at=now.timestamp())
    assert any(evaluator.sees(f"user-{number}") for number in range(100)) is (percent > 0)


def test_without_a_lease_nothing_expires() -> None:
    for percent in (None, 0, 25):
        reading = Reading(percent)
        assert in_force(reading, after(10**9)) == reading
