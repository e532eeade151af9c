"""One gate, one reading: the table of verdicts."""

import math
from typing import Any

import pytest

from tests.builders import answer, context, gate
from tests.decide.judging import said
from tidegate.api.conditions import Reason
from tidegate.api.rollout_status import GateSource, GateStatus, Verdict
from tidegate.decide.gates.verdict import Context, judge
from tidegate.domain.answers import Answer, Failure, GateAnswer

FAILURE = Failure(Reason.PROMETHEUS_TIMEOUT, "no complete answer within 5 s")


def verdict(value: Answer | Failure, at: Context | None = None, **rules: Any) -> GateStatus:
    return said(gate(**rules), GateAnswer(value), at)


@pytest.mark.parametrize(
    ("rules", "value", "expected"),
    [
        ({}, answer(0.05), Verdict.ADVANCE),
        ({}, answer(0.1), Verdict.HOLD),  # between advance and rollback
        ({}, answer(0.15), Verdict.HOLD),
        ({}, answer(0.2), Verdict.HOLD),  # in breach, on one of two samples
        ({"rollback": {"gt": 0.15, "confirm": 1}}, answer(0.2), Verdict.ROLLBACK),
        ({"rollback": {"gt": 0.15, "confirm": 1}}, answer(0.15), Verdict.HOLD),
        ({"rollback": {"gte": 0.15, "confirm": 1}}, answer(0.15), Verdict.ROLLBACK),
        ({"rollback": {"gt": 0.15, "confirm": 1}}, answer(0.01, 0.2, 0.02), Verdict.ROLLBACK),
        ({"advance": {"gt": 60}, "rollback": {"lt": 55, "confirm": 1}}, answer(70, 54, 80), Verdict.ROLLBACK),
        ({"advance": {"gt": 60}, "rollback": {"lt": 55, "confirm": 1}}, answer(70, 58, 80), Verdict.HOLD),
        ({"advance": {"gt": 60}, "rollback": {"lt": 55, "confirm": 1}}, answer(70, 61, 80), Verdict.ADVANCE),
        ({"advance": None}, answer(0.15), Verdict.ADVANCE),  # no advance rule: valid and not in breach
        ({"advance": None}, answer(0.16), Verdict.HOLD),
        ({"rollback": None}, answer(99), Verdict.HOLD),  # no rollback rule: holds, never rolls back
        ({"rollback": None}, answer(0.05), Verdict.ADVANCE),
        ({}, answer(), Verdict.NO_DATA),
        ({}, answer(math.nan), Verdict.NO_DATA),
        ({"rollback": {"gt": 0.15, "confirm": 1}}, answer(math.inf), Verdict.NO_DATA),
        ({"rollback": {"lt": -1, "confirm": 1}, "advance": None}, answer(-math.inf), Verdict.NO_DATA),
        ({}, answer(0.05, math.nan), Verdict.NO_DATA),
        ({}, answer(*[0.05] * 101), Verdict.NO_DATA),
        ({}, answer(*[0.05] * 100), Verdict.ADVANCE),
        ({"rollback": {"gt": 0.15, "confirm": 1}}, answer(*[0.9] * 101), Verdict.NO_DATA),
        ({}, answer(0.05, age=31), Verdict.NO_DATA),
        ({"rollback": {"gt": 0.15, "confirm": 1}}, answer(0.9, age=31), Verdict.NO_DATA),
        ({}, answer(0.05, kind="matrix"), Verdict.NO_DATA),
        ({}, FAILURE, Verdict.NO_DATA),
    ],
)
def test_table(rules: dict[str, Any], value: Answer | Failure, expected: Verdict) -> None:
    assert verdict(value, **rules).verdict is expected


def test_a_series_in_breach_counts_beside_one_that_is_not_finite() -> None:
    status = verdict(answer(0.9, math.nan), rollback={"gt": 0.15, "confirm": 1})
    assert (status.verdict, status.value) == (Verdict.ROLLBACK, "0.9")


def test_the_worst_series_is_named() -> None:
    status = verdict(answer(0.01, 0.2, 0.02), rollback={"gt": 0.15, "confirm": 1})
    assert (status.value, status.worst_series) == ("0.2", 'pod="1"')
    assert status.threshold == "advance < 0.1, rollback > 0.15 on 1 samples"


@pytest.mark.parametrize(
    ("at", "age", "reach", "expected"),
    [
        (100, 1, 99, Verdict.HOLD),  # the query begins a second before the step did
        (100, 1, 90, Verdict.ADVANCE),  # it begins with the step
        (100, 1, 10, Verdict.ADVANCE),
        (100, 1, 0, Verdict.ADVANCE),
        (100, 90, 0, Verdict.NO_DATA),
        (20, 10, 0, Verdict.HOLD),  # a gauge whose sample was taken when the step began
        (20, 10.001, 0, Verdict.HOLD),
        (20, 9.999, 0, Verdict.ADVANCE),
        (5, 1, 0, Verdict.HOLD),  # evaluated before the step began
    ],
)
def test_advance_needs_the_window_to_lie_after_the_step_took_effect(at: float, age: float, reach: float, expected: Verdict) -> None:
    given = answer(0.05, at=at, age=age, reach=reach)
    assert verdict(given, at=context(now=at, effective=10, counts_from=None)).verdict is expected


def test_a_window_that_reaches_back_before_the_step_may_still_roll_back() -> None:
    given = answer(0.9, at=100, reach=300)
    assert (
        verdict(given, at=context(now=100, effective=10, counts_from=10), rollback={"gt": 0.15, "confirm": 1}).verdict is Verdict.ROLLBACK
    )


def test_samples_from_before_the_first_exposure_never_roll_back() -> None:
    rules: dict[str, Any] = {"rollback": {"gt": 0.15, "confirm": 1}}
    old = verdict(answer(0.9, at=20, age=10), at=context(now=20, effective=10, counts_from=10), **rules)
    new = verdict(answer(0.9, at=20, age=9), at=context(now=20, effective=10, counts_from=10), **rules)
    assert (old.verdict, new.verdict) == (Verdict.HOLD, Verdict.ROLLBACK)
    assert old.breached_since is None


def test_before_the_first_exposure_there_is_no_window_to_wait_for() -> None:
    assert verdict(answer(0.05, reach=3600), at=context(effective=None, counts_from=None)).verdict is Verdict.ADVANCE


def test_a_gate_that_was_not_asked_keeps_what_is_known() -> None:
    known = verdict(answer(0.05))
    assert judge(gate(), GateSource.ROLLOUT, None, known, context()) is known
    assert judge(gate(), GateSource.ROLLOUT, None, None, context()) is None
