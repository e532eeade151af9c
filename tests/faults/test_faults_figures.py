"""What counts as a rise on bad data, a dwell cut short, a late step; and from when times count."""

import json

import pytest

from faults.figures import (
    USUAL,
    Bounds,
    Measured,
    Points,
    Reading,
    Span,
    exposure,
    late,
    lateness,
    rises,
    short_dwells,
    told,
    wrong_rises,
    zero_at,
)

FOREVER = float("inf")


def reading(stored: Points, **given: object) -> Reading:
    """The fault lasts from 100 to 120; the sample is bad from 105 on."""
    fields: dict[str, object] = {
        "moment": "in its middle",
        "began": 100.0,
        "ended": 120.0,
        "stored": stored,
        "pushed": (stored, stored),
        "bad": 104.5,
        "queryable": 105.0,
        "blind": ((105.0, FOREVER),),
        "away": ((100.0, 120.0),),
        "muted": (),
        "dwell": 5.0,
        "faults": (),
    }
    return Reading(**fields | given)  # type: ignore[arg-type]


def measured(*readings: Reading, bounds: Bounds = USUAL) -> Measured:
    return Measured("a fault", readings, "", bounds)


def flag(percent: int) -> str:
    """A document with one flag, off or on for everybody."""
    return json.dumps(
        {"flags": {"f": {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": ("off", "on")[percent == 100]}}}
    )


def test_exposure_is_what_the_documents_give_to_clients_without_repetitions() -> None:
    versions = [(1.0, flag(0)), (2.0, flag(0)), (3.0, flag(100)), (4.0, None), (5.0, json.dumps({"flags": {}})), (6.0, flag(0))]
    assert exposure(versions, "f") == ((1.0, 0), (3.0, 100), (4.0, None), (6.0, 0))


def test_a_flag_that_comes_back_rises_only_above_what_it_had() -> None:
    points: Points = ((1.0, 0), (2.0, 25), (3.0, None), (4.0, 25), (5.0, None), (6.0, 50), (7.0, 0), (8.0, 25))
    assert rises(points) == [(2.0, 25), (6.0, 50), (8.0, 25)]


@pytest.mark.parametrize(("at", "wrong"), [(104.0, 0), (107.9, 0), (108.1, 1), (119.0, 1), (121.0, 0)])
def test_a_rise_is_wrong_once_it_could_be_known_that_data_are_bad_and_while_they_are(at: float, wrong: int) -> None:
    assert len(wrong_rises(((90.0, 10), (at, 25)), ((105.0, 120.0),))) == wrong


def test_a_step_that_comes_before_the_dwell_of_the_one_before_is_told() -> None:
    assert short_dwells(((0.0, 10), (5.2, 25), (9.0, 50), (14.0, 75)), 5.0) == [pytest.approx(3.8)]


def test_zero_counts_only_where_it_lasts() -> None:
    assert zero_at(((1.0, 10), (2.0, 0), (3.0, 10), (4.0, 0))) == 4.0
    assert zero_at(((1.0, 10), (2.0, 0), (3.0, 10))) is None
    assert zero_at(((1.0, 10), (2.0, None))) is None
    assert zero_at(()) is None


@pytest.mark.parametrize(
    ("second", "away", "by"),
    [
        (15.5, (), 0.5),
        (23.0, ((12.0, 22.0),), 1.0),  # due while something was away: from its end
        (18.0, ((12.0, 22.0),), 3.0),  # made all the same: from when it was due
        (23.0, ((16.0, 22.0),), 8.0),  # due before anything was away
    ],
)
def test_a_step_is_late_from_when_it_could_be_made(second: float, away: tuple[Span, ...], by: float) -> None:
    assert lateness(((10.0, 10), (second, 25)), 5.0, away) == [pytest.approx(by)]


def test_times_count_from_the_sample_and_from_the_fault_s_end_whichever_is_later() -> None:
    during, after = reading(((90.0, 10), (110.0, 0))), reading(((90.0, 10), (121.5, 0)))
    assert (during.after_sample(), during.after_end(), during.after_both()) == (5.0, None, 5.0)
    assert (after.after_sample(), after.after_end()) == (16.5, 1.5)
    assert reading(((90.0, 10), (124.0, 0)), queryable=122.0).after_end() == 2.0
    assert reading(((90.0, 10), (110.0, 0)), queryable=98.0).after_both() == 10.0


@pytest.mark.parametrize(
    ("stored", "pushed", "muted", "seconds"),
    [
        (110.0, 110.2, (), 0.2),
        (110.0, 120.3, ((100.0, 120.0),), 0.3),
        (110.0, 119.9, ((100.0, 120.0),), 0.0),  # the first of two that were away
        (121.0, 121.1, ((100.0, 120.0),), 0.1),
    ],
)
def test_a_flag_server_that_was_away_has_until_the_fault_s_end(
    stored: float, pushed: float, muted: tuple[Span, ...], seconds: float
) -> None:
    fast, slow = ((90.0, 10), (stored, 0)), ((90.0, 10), (pushed, 0))
    assert reading(fast, pushed=(fast, slow), muted=muted).to_clients() == pytest.approx(seconds)
    assert reading(fast, pushed=(fast, ((90.0, 10),)), muted=muted).to_clients() is None


def test_a_row_tells_medians_and_maxima_and_what_is_late() -> None:
    one, other = reading(((90.0, 10), (121.0, 0))), reading(((90.0, 10), (124.5, 0)))
    steady = reading(((90.0, 10), (98.0, 25)), bad=None, queryable=None, blind=())
    line = measured(one, other, steady, bounds=Bounds(after_end=3.0, step=2.0)).line()
    assert line == "| a fault | 2 | 0 | 0 | 0 | 17.8, 19.5 | 2.8, 4.5 late | 0.00, 0.00 | 3.0 late |  |"
    assert measured(one, other, steady).wrong() == []
    assert told([None, None]) == "–"
    assert late([12.5, None], 12.0) == " late"
    assert late([12.0, None], 12.0) == late([99.0], None) == ""


def test_what_must_not_be_is_told_in_a_sentence_each() -> None:
    rising = reading(((90.0, 10), (93.0, 25), (110.0, 50)), faults=("record 2 has seq 3",))
    assert measured(rising).wrong() == [
        "a rise to 50 % at 10.0 s, on bad, stale or missing data; turns bad in its middle",
        "a step 3.0 s after the one before; turns bad in its middle",
        "record 2 has seq 3; turns bad in its middle",
        "not at 0 %; turns bad in its middle",
    ]
