"""The lease's clock: when it ends, when it is due, what is in force behind it, and which writes it refuses."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import KEY, START, after, marker, target
from tests.levers.evaluator import Evaluator
from tidegate.api.rollout_status import State
from tidegate.domain.decision import WriteFlag
from tidegate.domain.snapshot import FlagReading
from tidegate.levers.flag import definition_for, switched_off
from tidegate.levers.flag_set import FlagSet, merged, parse_flag_set, read_flag
from tidegate.levers.lease import in_force, is_over, lease_end, renewed_every

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
    reading = FlagReading(25, definition_for(target(), 25, end), None, lease=end)
    now = after(600 + seconds)
    assert in_force(reading, now).percent == percent
    assert is_over(reading, now) is (percent == 0)
    evaluator = Evaluator(reading.definition or {}, at=now.timestamp())
    assert any(evaluator.sees(f"user-{number}") for number in range(100)) is (percent > 0)


def test_without_a_lease_nothing_runs_out() -> None:
    for percent in (None, 0, 25):
        reading = FlagReading(percent, None, None)
        assert in_force(reading, after(10**9)) == reading


# which writes hold

END = int(START) + 60
SEEN = marker(epoch=1)


def stored(percent: int, lease: int | None = END) -> FlagSet:
    flag_set, refused = merged(parse_flag_set(None), [a_write(percent, lease, expected=None, raises=percent > 0)], after(0))
    assert refused == ()
    return flag_set


def a_write(percent: int, lease: int | None, **fields: Any) -> WriteFlag:
    defaults: dict[str, Any] = {"marker": marker(epoch=0), "expected": replace(SEEN, written_at=after(0)), "raises": False}
    return WriteFlag("shop-flags", KEY, percent, definition_for(target(allow=["alice"]), percent, lease), **(defaults | fields))


def holds(write: WriteFlag, flag_set: FlagSet, at: float) -> bool:
    return merged(flag_set, [write], after(at))[1] == ()


def test_a_lease_reads_back_beside_the_percent() -> None:
    found = read_flag(stored(25), KEY)
    assert isinstance(found, FlagReading)
    assert (found.percent, found.lease) == (25, END)


def test_a_renewal_holds_until_the_lease_runs_out_and_not_after() -> None:
    renewal = a_write(25, END + 20, renews=True)
    assert holds(renewal, stored(25), 59.999)
    assert not holds(renewal, stored(25), 60)


@pytest.mark.parametrize("at", [60, 600])
def test_behind_a_lease_that_ran_out_nothing_is_kept_raised_or_made_lasting(at: float) -> None:
    for write in (a_write(50, END + 100, raises=True), a_write(5, END + 100), a_write(25, None)):
        assert holds(write, stored(25), 59)
        assert not holds(write, stored(25), at)


def test_going_down_holds_whatever_the_lease_says() -> None:
    off = replace(a_write(0, None), definition=switched_off())
    for at in (0, 59, 60, 600):
        assert holds(off, stored(25), at)
        assert holds(a_write(0, END + 100), stored(25), at)


def test_a_raise_holds_on_what_stands_at_zero_though_its_lease_ran_out() -> None:
    """There a lease covers the allow list alone."""
    assert holds(a_write(10, END + 600, raises=True), stored(0), 600)


def test_a_renewal_is_refused_once_the_flag_was_written_again() -> None:
    flag_set = stored(25)
    fallen = replace(a_write(0, None), definition=switched_off(), marker=marker(state=State.ROLLBACK, rejected="v7"))
    after_it, refused = merged(flag_set, [fallen], after(1))
    assert refused == ()
    assert not holds(a_write(25, END + 20, renews=True), after_it, 2)
