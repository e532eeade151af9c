"""Breaches that have to last: `for`, `confirm`, and what a distinct sample is."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import START, after, answer, context, gate
from tidegate.api.conditions import Reason
from tidegate.api.gates import Gate
from tidegate.api.rollout_status import GateSource, GateStatus, Verdict
from tidegate.decide.gates.verdict import judge
from tidegate.domain.answers import Answer, Failure, GateAnswer, SeriesValue

CONTEXT = context(effective=None, counts_from=None)
FAILURE = Failure(Reason.PROMETHEUS_UNREACHABLE, "connection refused")
BAD, GOOD = 0.9, 0.01
Look = tuple[float, float | Failure | None]
"""(seconds of the sample, what it says: a value, None for no series, or a failure)"""


def last(rule: dict[str, Any], looks: Sequence[Look]) -> GateStatus:
    status = None
    judged = gate(rollback={"gt": 0.15} | rule)
    for sample, said in looks:
        status = reconcile(judged, sample, said, status)
    assert status is not None
    return status


def reconcile(judged: Gate, sample: float, said: float | Failure | None, before: GateStatus | None) -> GateStatus:
    value: Answer | Failure
    if isinstance(said, Failure):
        value = said
    elif said is None:
        value = answer(at=sample)
    else:
        value = Answer(START + sample + 1, "vector", (SeriesValue("", said),), START + sample, 0, 1)
    status = judge(judged, GateSource.ROLLOUT, GateAnswer(value), before, CONTEXT)
    assert status is not None
    return GateStatus.model_validate(status.to_wire())  # as it is read back from the API server


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
    assert last({"for": "60s"}, looks).verdict is expected


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
    assert last(rule, looks).verdict is expected


def test_one_burst_under_a_shorter_range_does_not_fire() -> None:
    burst = [(seconds, BAD if seconds < 50 else GOOD) for seconds in range(0, 120, 5)]
    judged, status = gate(rollback={"gt": 0.15, "for": "60s"}), None
    seen = []
    for sample, value in burst:
        status = reconcile(judged, sample, value, status)
        seen.append(status.verdict)
    assert Verdict.ROLLBACK not in seen


def test_the_status_tells_since_when_and_on_how_many_samples() -> None:
    status = last({"for": "60s"}, [(0, BAD), (20, BAD), (40, BAD)])
    assert (status.breached_since, status.breached_last, status.breached_samples) == (after(0), after(40), 3)
    assert status.message == "in breach for 40 s over 3 samples"
    healthy = last({"for": "60s"}, [(0, BAD), (20, GOOD)])
    assert (healthy.breached_since, healthy.breached_last, healthy.breached_samples) == (None, None, None)


@pytest.mark.thorough
@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from([BAD, BAD, BAD, GOOD, None])), min_size=1, max_size=30))
def test_for_agrees_with_its_sentence(steps: list[tuple[int, float | None]]) -> None:
    """Against the sentence itself: ≥ 3 distinct samples that span it, none healthy between, no gap longer than it."""
    judged, status, sample, seen = gate(rollback={"gt": 0.15, "for": "60s"}), None, 0, list[tuple[int, float]]()
    for gap, said in steps:
        sample += gap
        status = reconcile(judged, sample, said, status)
        if said is not None:
            seen.append((sample, said))
        assert (status.verdict is Verdict.ROLLBACK) == (said == BAD and _holds(seen, 60))


def _holds(seen: list[tuple[int, float]], span: int) -> bool:
    run: list[int] = []
    for sample, said in reversed(seen):
        if said != BAD or (run and run[-1] - sample > span):
            break
        run.append(sample)
    return len(set(run)) >= 3 and run[0] - run[-1] >= span
