"""Breaches that have to last: `for`, `confirm`, and what a distinct sample is."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import START, after, answer, context, gate
from tests.decide.judging import judged
from tidegate.api.conditions import Reason
from tidegate.api.rollout_status import GateStatus, Verdict
from tidegate.domain.answers import Answer, Failure, GateAnswer, SeriesValue

CONTEXT = context(effective=None, counts_from=None)
FAILURE = Failure(Reason.PROMETHEUS_UNREACHABLE, "connection refused")
BAD, GOOD = 0.9, 0.01
Look = tuple[float, float | Failure | None]
"""(seconds of the sample, what it says: a value, None for no series, or a failure)"""


def each(rule: dict[str, Any], looks: Sequence[Look]) -> list[GateStatus]:
    return judged(gate(rollback={"gt": 0.15} | rule), *((GateAnswer(answered(*look)), CONTEXT) for look in looks))


def answered(sample: float, said: float | Failure | None) -> Answer | Failure:
    if isinstance(said, Failure):
        return said
    if said is None:
        return answer(at=sample)
    return Answer(START + sample + 1, "vector", (SeriesValue("", said),), START + sample, 0, 1)


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ([(0, BAD), (30, BAD), (60, BAD)], Verdict.ROLLBACK),
        ([(0, BAD), (30, BAD), (59.999, BAD)], Verdict.HOLD),
        ([(0, BAD), (60, BAD)], Verdict.HOLD),  # two samples say nothing of what lies between
        ([(0, BAD), (60, BAD), (60, BAD), (60, BAD)], Verdict.HOLD),  # nor does the same one, read again
        ([(0, BAD), (60, BAD), (120, BAD)], Verdict.ROLLBACK),
        ([(0, BAD), (61, BAD), (122, BAD)], Verdict.HOLD),  # each gap is longer than `for`
        ([(0, BAD), (30, BAD), (90.001, BAD), (120, BAD)], Verdict.HOLD),  # the gap began it anew
        ([(0, BAD), (30, BAD), (90.001, BAD), (120, BAD), (150.001, BAD)], Verdict.ROLLBACK),
        ([(0, BAD), (30, GOOD), (60, BAD)], Verdict.HOLD),  # one healthy between
        ([(0, BAD), (30, 0.12), (60, BAD)], Verdict.HOLD),  # between the bounds is not in breach either
        ([(0, BAD), (20, GOOD), (30, BAD), (60, BAD), (90, BAD)], Verdict.ROLLBACK),
        ([(0, BAD), (30, None), (60, BAD)], Verdict.HOLD),  # a gap in the data is not a sample
        ([(0, BAD), (20, None), (30, BAD), (60, BAD)], Verdict.ROLLBACK),  # and not a healthy one
        ([(0, BAD), (20, FAILURE), (30, BAD), (60, BAD)], Verdict.ROLLBACK),
        ([(0, BAD), (20, math.nan), (30, BAD), (60, BAD)], Verdict.ROLLBACK),
        ([(0, BAD), (30, BAD), (20, BAD), (60, BAD)], Verdict.ROLLBACK),  # an older sample, read late, adds nothing
        ([(0, BAD), (30, BAD), (60, None)], Verdict.NO_DATA),
    ],
)
def test_for(looks: list[Look], expected: Verdict) -> None:
    assert each({"for": "60s"}, looks)[-1].verdict is expected


@pytest.mark.parametrize(
    ("rule", "looks", "expected"),
    [
        ({}, [(0, BAD)], Verdict.HOLD),
        ({}, [(0, BAD), (0, BAD), (0, BAD)], Verdict.HOLD),  # a sample counts once, however often it is read
        ({}, [(0, BAD), (0.0004, BAD)], Verdict.HOLD),  # nor by a part of a millisecond
        ({}, [(0, BAD), (10, BAD)], Verdict.ROLLBACK),
        ({}, [(0, BAD), (10, GOOD), (20, BAD)], Verdict.HOLD),
        ({}, [(0, BAD), (10, FAILURE), (20, BAD)], Verdict.ROLLBACK),
        ({"confirm": 1}, [(0, BAD)], Verdict.ROLLBACK),
        ({"confirm": 3}, [(0, BAD), (10, BAD)], Verdict.HOLD),
        ({"confirm": 3}, [(0, BAD), (10, BAD), (20, BAD)], Verdict.ROLLBACK),
    ],
)
def test_confirm_defaults_to_two_distinct_samples(rule: dict[str, Any], looks: list[Look], expected: Verdict) -> None:
    assert each(rule, looks)[-1].verdict is expected


def test_one_burst_under_a_shorter_range_does_not_fire() -> None:
    burst = [(seconds, BAD if seconds < 50 else GOOD) for seconds in range(0, 120, 5)]
    assert Verdict.ROLLBACK not in [status.verdict for status in each({"for": "60s"}, burst)]


def test_the_status_tells_since_when_and_on_how_many_samples() -> None:
    status = each({"for": "60s"}, [(0, BAD), (20, BAD), (40, BAD)])[-1]
    assert (status.breached_since, status.breached_last, status.breached_samples) == (after(0), after(40), 3)
    assert status.message == "in breach for 40 s over 3 samples"
    healthy = each({"for": "60s"}, [(0, BAD), (20, GOOD)])[-1]
    assert (healthy.breached_since, healthy.breached_last, healthy.breached_samples) == (None, None, None)


@pytest.mark.thorough
@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from([BAD, BAD, BAD, GOOD, None])), min_size=1, max_size=30))
def test_for_agrees_with_its_sentence(steps: list[tuple[int, float | None]]) -> None:
    """Against the sentence itself: ≥ 3 distinct samples that span it, none healthy between, no gap longer than it."""
    times = itertools.accumulate(gap for gap, _ in steps)
    looks = [(float(sample), said) for sample, (_, said) in zip(times, steps, strict=True)]
    for number, status in enumerate(each({"for": "60s"}, looks)):
        seen = [(sample, said) for sample, said in looks[: number + 1] if said is not None]
        assert (status.verdict is Verdict.ROLLBACK) == (looks[number][1] == BAD and _holds(seen, 60))


def _holds(seen: list[tuple[float, float]], span: int) -> bool:
    run: list[float] = []
    for sample, said in reversed(seen):
        if said != BAD or (run and run[-1] - sample > span):
            break
        run.append(sample)
    return len(set(run)) >= 3 and run[0] - run[-1] >= span
