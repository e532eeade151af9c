"""Durations, times and names: what is accepted, what is refused with which words, and that nothing changes on its way."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tidegate.api import types
from tidegate.api.types import (
    Duration,
    DurationOrZero,
    Time,
    Timeout,
    format_duration,
    format_time,
    parse_duration,
    parse_time,
)

DURATION: TypeAdapter[Any] = TypeAdapter(Duration)
DURATION_OR_ZERO: TypeAdapter[Any] = TypeAdapter(DurationOrZero)
TIME: TypeAdapter[Any] = TypeAdapter(Time)


# durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("30s", 30), ("10m", 600), ("24h", 86400), ("7d", 604800), ("90s", 90), ("999999d", 86_399_913_600), ("0s", 0), ("0d", 0)],
)
def test_a_duration_is_a_whole_number_and_one_unit(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


WITH_SPACES = [" 1s", "1s ", "1s\n", "1 s"]
NOT_DURATIONS = ["", "5", "s", "1.5h", "-1s", "+1s", "1h30m", "1w", "1S", "01s", "00s", "1000000s", "١s", "1ms", *WITH_SPACES]


@pytest.mark.parametrize("text", NOT_DURATIONS)
def test_anything_else_is_refused_with_the_accepted_form(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a duration: write a whole number and one unit, such as 30s, 10m, 24h or 7d"):
        parse_duration(text)
    assert not types.DURATION_OR_ZERO.accepts(text), "the schema's rule says the same"


@pytest.mark.parametrize("value", [30, 30.0, None, True, ["30s"], {"s": 30}])
def test_a_duration_is_written_as_a_string(value: object) -> None:
    with pytest.raises(ValidationError, match="a duration is a string such as 30s"):
        DURATION.validate_python(value)


@pytest.mark.parametrize("text", ["0s", "0m", "0h", "0d"])
def test_zero_is_a_duration_only_where_it_makes_sense(text: str) -> None:
    assert DURATION_OR_ZERO.validate_python(text) == timedelta(0)
    with pytest.raises(ValidationError, match="must be longer than 0s"):
        DURATION.validate_python(text)
    assert types.DURATION_OR_ZERO.accepts(text)
    assert not types.DURATION.accepts(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (1, "1s"), (59, "59s"), (60, "1m"), (90, "90s"), (3600, "1h"), (86400, "1d"), (90000, "25h"), (61, "61s")],
)
def test_a_duration_is_shown_in_its_largest_exact_unit(seconds: int, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text


@pytest.mark.thorough
@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.from_regex(types.DURATION_OR_ZERO.pattern, fullmatch=True))
def test_a_duration_means_the_same_after_it_was_shown(text: str) -> None:
    shown = format_duration(parse_duration(text))
    assert parse_duration(shown) == parse_duration(text)
    assert len(shown) <= len(text)


@pytest.mark.parametrize(
    ("text", "accepted"), [("1s", True), ("9s", True), ("59s", True), ("60s", True), ("0s", False), ("61s", False), ("1h", False)]
)
def test_a_time_out_is_a_minute_at_most(text: str, accepted: bool) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(Timeout)
    assert types.TIMEOUT.accepts(text) is accepted
    if accepted:
        adapter.validate_python(text)
    else:
        with pytest.raises(ValidationError, match="must be whole seconds, from 1s to 60s"):
            adapter.validate_python(text)


# times


@pytest.mark.parametrize(
    "text", [f"2026-12-01T{text}" for text in ("09:00:00Z", "09:00:00+00:00", "10:30:00+01:30", "04:00:00-05:00", "09:00:00.000Z")]
)
def test_a_time_of_any_offset_is_the_same_moment_in_utc(text: str) -> None:
    parsed = parse_time(text)
    assert parsed == datetime(2026, 12, 1, 9, tzinfo=UTC)
    assert parsed.tzinfo is UTC


def test_a_time_is_shown_in_utc_with_milliseconds() -> None:
    east = timezone(timedelta(hours=5, minutes=30))
    assert format_time(datetime(2026, 12, 1, 9, 0, 0, 123_999, tzinfo=UTC)) == "2026-12-01T09:00:00.123Z"
    assert format_time(datetime(2026, 12, 1, 2, 30, tzinfo=east)) == "2026-11-30T21:00:00.000Z"


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.integers(0, 200 * 10**12), st.integers(-720, 720))
def test_a_time_survives_to_the_millisecond(milliseconds: int, offset: int) -> None:
    time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    assert parse_time(format_time(time.astimezone(timezone(timedelta(minutes=offset))))) == time


@pytest.mark.parametrize("value", [1_700_000_000, None, "yesterday", "2026-13-01T00:00:00Z", ""])
def test_what_is_no_time_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        TIME.validate_python(value)


# names and percents

CASES: list[tuple[str, list[Any], list[Any]]] = [
    ("ObjectName", ["a", "shop-flags", "a.b", "0", "x" * 253], ["", "A", "-a", "a-", ".a", "a_b", "a b", "x" * 254, "a\n"]),
    ("GateName", ["a", "error-rate", "p95", "x" * 63], ["", "Error", "a.b", "a_b", "-a", "a-", "x" * 64, "a\n"]),
    ("FlagKey", ["a", "A", "shop/new_search.v2", "x" * 128], ["", "/a", "a/", "a b", "ä", "x" * 129, "a\n", "a$"]),
    ("Revision", ["v7", "1.2.3+build-4", "x" * 63], ["", "-v", "v-", "a/b", "a b", "x" * 64, "v7\n"]),
    ("TargetingKey", ["alice", "desk london", "ä", "x" * 256], ["", "x" * 257]),
    ("Percent", [0, 1, 100], [-1, 101, 1.5, "x"]),
    ("StepPercent", [1, 100], [0, 101]),
]
ROWS = [(name, value, value in good) for name, good, bad in CASES for value in (*good, *bad)]


@pytest.mark.parametrize(("name", "value", "accepted"), ROWS, ids=lambda value: str(value)[:20])
def test_names_and_percents(name: str, value: object, accepted: bool) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(getattr(types, name))
    if accepted:
        assert adapter.validate_python(value) == value
        return
    with pytest.raises(ValidationError) as refused:
        adapter.validate_python(value)
    assert "pattern" not in str(refused.value), "a regular expression explains nothing"
