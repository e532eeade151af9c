"""Counting events from raw samples: nothing is missed, nothing is counted twice, whatever the counter does."""

import math
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.domain.counting import IN_STATUS, KEPT_FOR, REMEMBERED, Tally, Track, begun, counted_on, from_status, to_status

Samples = Sequence[tuple[float, float]]


def known_at_0(values: Mapping[str, float]) -> Tally:
    return begun(0, ((series, value, 0) for series, value in values.items()))


def count(known: dict[str, float], **series: Samples) -> float:
    tracks = [Track(name, tuple(samples)) for name, samples in series.items()]
    return counted_on(known_at_0(known), 300, tracks).total


@pytest.mark.parametrize(
    ("known", "samples", "events"),
    [
        ({"a": 5}, [(1, 5), (2, 5)], 0),
        ({"a": 5}, [(1, 6), (2, 9)], 4),
        ({}, [(1, 1)], 1),  # born at 1: increase() never sees this one
        ({}, [(1, 7), (2, 8)], 8),
        ({"a": 5}, [(1, 2)], 2),  # reset: what it shows after it is new
        ({"a": 5}, [(1, 7), (2, 0), (3, 3), (4, 1)], 2 + 0 + 3 + 1),
        ({"a": 5}, [(1, math.nan), (2, 6)], 1),
        ({"a": 5}, [], 0),
        ({"a": 0.5}, [(1, 2.25)], 1.75),
    ],
)
def test_events_of_one_series(known: dict[str, float], samples: Samples, events: float) -> None:
    assert count(known, a=samples) == events


def test_a_restarted_target_that_comes_back_with_the_same_labels_goes_on_from_its_last_value() -> None:
    first = counted_on(known_at_0({"a": 40.0}), 300, [Track("a", ((10, 42.0),))])
    away = counted_on(first, 600, [])
    back = counted_on(away, 900, [Track("a", ((700, 1.0), (710, 2.0)))])
    assert (first.total, away.total, back.total) == (2, 2, 4)


def test_a_series_that_was_gone_for_longer_than_an_hour_counts_from_zero() -> None:
    tally = counted_on(known_at_0({"a": 40.0}), 300, [Track("a", ((10, 40.0),))])
    tally = counted_on(tally, 10 + KEPT_FOR, [])
    assert "a" not in tally.last
    assert counted_on(tally, tally.until + 300, [Track("a", ((tally.until + 1, 50.0),))]).total == 50


def test_a_sample_that_was_seen_is_not_counted_again() -> None:
    tally = counted_on(known_at_0({"a": 5.0}), 300, [Track("a", ((10, 6.0), (290, 3.0)))])
    again = counted_on(tally, 310, [Track("a", ((10, 6.0), (290, 3.0), (305, 4.0)))])
    assert (tally.total, again.total) == (1 + 3, 1 + 3 + 1)


@pytest.mark.parametrize(("known", "events"), [({"a": 5.0}, 1), ({}, 1)])
def test_what_a_series_had_come_to_before_the_count_began_may_be_known_only_later(known: dict[str, float], events: float) -> None:
    tally = counted_on(known_at_0(known), 5, [])
    assert counted_on(tally, 20, [Track("a", ((-3, 6.0), (12, 7.0)))]).total == events


def test_two_pods_during_a_rolling_update() -> None:
    """The old pod's series ends, the new one's begins: both are counted, the old one's past is not."""
    tally = known_at_0({"old": 1000.0})
    tally = counted_on(tally, 300, [Track("old", ((100, 1001.0),)), Track("new", ((200, 0.0), (290, 2.0)))])
    tally = counted_on(tally, 600, [Track("new", ((310, 3.0),))])
    assert tally.total == 1 + 3


@pytest.mark.parametrize(
    ("known", "tracks", "events"),
    [
        ({}, [Track("kin.....b", ((1, 7), (2, 8)), base=7)], 1),  # the target is new: its history is no news
        ({}, [Track("kin.....b", ((1, 7),), base=0)], 7),  # the process is as young as the attempt
        ({"kin.....a": 7}, [Track("kin.....b", ((1, 7), (2, 9)))], 2),  # another exporter goes on
        ({"kin.....a": 7}, [Track("kin.....b", ((1, 3),))], 3),  # it shows less: another history
        ({"kin.....a": 7}, [Track("other...b", ((1, 7),))], 7),
        ({"kin.....a": 7}, [Track("kin.....a", ((1, 7),)), Track("kin.....b", ((1, 7),))], 7),  # the old one lives on
        ({"kin.....a": 7}, [Track("kin.....b", ((1, 7),)), Track("kin.....c", ((1, 7),))], 7),  # one of them goes on, one is new
        ({"kin.....a": 7}, [Track("kin.....b", ((1, math.nan), (2, 8)))], 1),
        ({"kin.....a": 7}, [Track("kin.....b", ((2, 7),)), Track("kin.....a", ((1, 7),))], 0),  # it ended before, within the same look
    ],
)
def test_a_series_that_was_not_known_before(known: dict[str, float], tracks: list[Track], events: float) -> None:
    assert counted_on(known_at_0(known), 300, tracks).total == events


TWINS = "kin.....twin...."


@pytest.mark.parametrize("base", [None, 0.0, 5.0])
@pytest.mark.parametrize(
    ("known", "first", "second", "events"),
    [
        ({TWINS + "a": 7}, (9, 7), (5, 7), 0),
        ({TWINS + "a": 7}, (9, 8), (5, 7), 1),
        ({TWINS + "a": 7}, (9, 8), (5, 8), 1),
        ({TWINS + "a": 7}, (5, 7), (5, 8), 1),  # the second has seen more
        ({TWINS + "a": 7}, (5, 7), (9, 7), 0),  # it is scraped later
        ({TWINS + "a": 7}, (5, 7), (9, 8), 1),
        ({TWINS + "a": 7}, (5, 7), (9, 3), 3),  # reset
        ({TWINS + "a": 7}, (9, 2), (5, 2), 2),
        ({}, (9, 1), (5, 1), 1),  # born at 1
        ({}, (5, 1), (9, 1), 1),
    ],
)
def test_a_counter_that_is_shown_through_a_second_replica_counts_nothing_again(
    known: dict[str, float], first: tuple[float, float], second: tuple[float, float], events: float, base: float | None
) -> None:
    """Whatever is known of where the second one comes from."""
    tracks = [Track(TWINS + "a", (first,)), Track(TWINS + "b", (second,), base)]
    assert counted_on(known_at_0(known), 300, tracks).total == events


def test_while_another_of_its_kin_lives_a_series_that_is_no_twin_is_new() -> None:
    """A label `exporter` may be the target's own: the first event through a second exporter is an event."""
    tracks = [Track("kin.....one.....a", ((9, 1),)), Track("kin.....other...b", ((5, 1),))]
    assert counted_on(known_at_0({"kin.....one.....a": 1}), 300, tracks).total == 1


def crowd(number: int, at: float, value: float = 5.0) -> list[Track]:
    return [Track(f"{one:08x}", ((at, value),)) for one in range(number)]


def test_no_series_that_lives_is_forgotten_however_many_there_are() -> None:
    tally = known_at_0({track.series: 5.0 for track in crowd(250, 0)})
    for until in (30, 60, 90):
        tally = counted_on(tally, until, crowd(250, until - 5))
    assert counted_on(tally, 120, crowd(90, 115, 6.0)).total == 90


def test_a_count_of_too_many_series_is_lost_until_it_begins_anew() -> None:
    tally = counted_on(known_at_0({}), 30, crowd(REMEMBERED, 25))
    assert (tally.is_lost, tally.total, len(tally.last)) == (False, 5 * REMEMBERED, REMEMBERED)
    tally = counted_on(tally, 60, [Track("one more", ((55, 0.0),))])
    assert (tally.is_lost, len(tally.last)) == (True, 0)
    assert counted_on(tally, 60 + KEPT_FOR, crowd(1, 61)).is_lost
    assert known_at_0({track.series: 5.0 for track in crowd(REMEMBERED + 1, 0)}).is_lost


def test_status_takes_a_tally_whole_or_not_at_all() -> None:
    """Rather what is older and complete: what happened since can be asked again."""
    tally = counted_on(known_at_0({}), 30, crowd(IN_STATUS, 25))
    assert len(stored(tally).last) == IN_STATUS
    assert to_status(counted_on(tally, 60, [Track("one more", ((55, 0.0),))]), "x") is None
    assert to_status(Tally(0, 30, 5, is_lost=True), "x") is None


def stored(tally: Tally) -> Tally:
    """As status gives it back."""
    counted = to_status(tally, "x")
    assert counted is not None
    return from_status(counted)


increments = st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=40)


@settings(deadline=None, derandomize=True, database=None)
@given(increments, st.integers(0, 1000), st.lists(st.integers(1, 39), max_size=6), st.booleans())
def test_however_the_time_is_cut_the_sum_is_that_of_the_events(
    steps: list[tuple[int, bool]], at_start: int, cuts: list[int], through_status: bool
) -> None:
    value, events, samples = float(at_start), 0, []
    for number, (more, resets) in enumerate(steps):
        # a reset whose next sample is no lower than the last one can't be told from a rise: nobody could count that
        value = more if resets and more < value else value + more
        events += more
        samples.append((number + 1.0, float(value)))
    tally = known_at_0({"a": float(at_start)})
    for until in [*sorted(set(cuts)), 40]:
        part = tuple(sample for sample in samples if tally.until < sample[0] <= until)
        tally = counted_on(tally, until, [Track("a", part)] if part else [])
        if through_status:
            tally = stored(tally)
    assert tally.until == 40
    assert tally.total == events


@settings(deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(st.text("ab", min_size=1, max_size=3), st.floats(0, 1e12)), max_size=5), st.sampled_from([7.25, math.inf]))
def test_status_keeps_a_tally(series: list[tuple[str, float]], total: float) -> None:
    tally = Tally(1.0, 1000.5, total, {name: (value, 999.125) for name, value in series})
    assert stored(tally) == tally
