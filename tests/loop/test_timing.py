"""The pure halves of the queue: when keys are due, and how long a failing key waits."""

import random
from itertools import pairwise

import pytest

from tidegate.domain.keys import Key, Kind
from tidegate.loop.backoff import Backoff
from tidegate.loop.timetable import Timetable


def key(name: object) -> Key:
    return Key(Kind.FEATURE_ROLLOUT, "shop", str(name))


def test_keys_of_one_moment_keep_their_order() -> None:
    timetable = Timetable()
    for number in (3, 1, 2):
        timetable.add(key(number), 7.0)
    assert [popped.name for popped, _ in timetable.pop_due(7.0)] == ["3", "1", "2"]


def test_it_agrees_with_a_plain_dictionary_and_stays_small() -> None:
    chance = random.Random(7)
    timetable, truth = Timetable(), dict[Key, float]()
    for now in range(5_000):
        name = key(chance.randrange(50))
        if chance.random() < 0.3:
            timetable.discard(name)
            truth.pop(name, None)
        else:
            due = now + chance.random() * 5_000
            is_earlier = due < truth.get(name, due + 1)
            truth[name] = min(due, truth.get(name, due))
            assert timetable.add(name, due) is (is_earlier and min(truth, key=truth.__getitem__) == name)
        popped = timetable.pop_due(now)
        assert popped == sorted(((name, due) for name, due in truth.items() if due <= now), key=lambda one: one[1])
        truth = {name: due for name, due in truth.items() if due > now}
        assert timetable.next_due() == min(truth.values(), default=None)
        assert len(timetable) == len(truth)
    assert len(timetable._heap) <= 2 * len(truth) + 101


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_waits_double_up_to_five_seconds_in_the_first_minute_then_to_sixty(jitter: float) -> None:
    backoff, now, waits = Backoff(lambda: jitter), 1000.0, []
    while now < 1000.0 + 3600:
        delay = backoff.failed(key("a"), now)
        waits.append((now - 1000.0, delay))
        now += delay
    share = 0.8 + 0.2 * jitter
    assert [delay for _, delay in waits[:5]] == pytest.approx([0.2 * share, 0.4 * share, 0.8 * share, 1.6 * share, 3.2 * share])
    assert max(delay for since, delay in waits if since < 60) == pytest.approx(5.0 * share)
    assert max(delay for _, delay in waits) == pytest.approx(60.0 * share)
    assert all(earlier <= later for (_, earlier), (_, later) in pairwise(waits))


def test_success_forgets_the_trouble() -> None:
    backoff = Backoff(lambda: 1.0)
    for _ in range(10):
        backoff.failed(key("a"), 0.0)
    assert backoff.failing() == 1
    backoff.succeeded(key("a"))
    assert backoff.failing() == 0
    assert backoff.failed(key("a"), 0.0) == pytest.approx(0.2)


def test_an_event_shortens_a_wait_to_a_second_at_most() -> None:
    backoff = Backoff(lambda: 1.0)
    assert backoff.not_before(key("a")) == float("-inf")
    backoff.failed(key("a"), 100.0)
    assert backoff.not_before(key("a")) == pytest.approx(100.2)
    for _ in range(5):
        backoff.failed(key("a"), 100.0)
    assert backoff.not_before(key("a")) == pytest.approx(101.0)
