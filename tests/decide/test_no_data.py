"""Missing data: holds, counts against a deadline only where series are missing, and never rolls back for a silent source."""

import math
from typing import Any

import pytest

from tests.builders import answer, context, gate, raw_gate
from tests.decide.judging import judged
from tests.decide.world import World
from tidegate.api.conditions import Reason
from tidegate.api.feature_rollout import NoData as NoDataRule
from tidegate.api.records import Transition
from tidegate.api.rollout_status import GateStatus, Phase, State, Verdict
from tidegate.domain.answers import Answer, Failure, GateAnswer

pytestmark = pytest.mark.levers

FAILURE = Failure(Reason.PROMETHEUS_UNREACHABLE, "connection refused")
ROLL_BACK = NoDataRule.model_validate({"deadline": "60s", "then": "rollback"})
HOLD = NoDataRule.model_validate({"deadline": "60s", "then": "hold"})


def at_last(rule: NoDataRule | None, *looks: tuple[float, Answer | Failure]) -> GateStatus:
    return judged(gate(), *((GateAnswer(said), context(now, rule=rule)) for now, said in looks))[-1]


@pytest.mark.parametrize(
    "said",
    [
        answer(),
        answer(math.nan, at=60),
        answer(math.inf, at=60),
        answer(-math.inf, at=60),
        answer(0.05, math.nan, at=60),
        answer(0.05, at=60, age=31),
        answer(*range(101), at=60),
    ],
)
def test_series_missing_past_the_deadline_roll_back_where_that_was_asked_for(said: Answer) -> None:
    early = at_last(ROLL_BACK, (0, answer()), (59.999, said))
    late = at_last(ROLL_BACK, (0, answer()), (60, said))
    assert (early.verdict, late.verdict) == (Verdict.NO_DATA, Verdict.ROLLBACK)
    assert "longer than noData.deadline" in late.message


def test_by_default_series_missing_past_the_deadline_hold() -> None:
    status = at_last(HOLD, (0, answer()), (3600, answer()))
    assert status.verdict is Verdict.NO_DATA
    assert "past noData.deadline, held" in status.message


@pytest.mark.parametrize(
    "reason", [Reason.PROMETHEUS_UNREACHABLE, Reason.PROMETHEUS_TIMEOUT, Reason.PROMETHEUS_ERROR, Reason.PROMETHEUS_WARNING]
)
def test_a_source_that_fails_runs_no_deadline(reason: Reason) -> None:
    failure = Failure(reason, "no answer")
    status = at_last(ROLL_BACK, *((at, failure) for at in range(0, 100_000, 1000)))
    assert status.verdict is Verdict.NO_DATA
    assert status.no_data_since is None


def test_a_reading_ends_the_clock() -> None:
    status = at_last(ROLL_BACK, (0, answer()), (50, answer(0.05, at=50)), (55, answer()), (114, answer()))
    assert status.verdict is Verdict.NO_DATA
    assert at_last(ROLL_BACK, (0, answer()), (50, answer(0.05, at=50)), (55, answer()), (115, answer())).verdict is Verdict.ROLLBACK


def test_the_reason_is_told() -> None:
    assert at_last(HOLD, (0, answer(math.nan))).no_data_reason == "NotANumber"
    assert at_last(HOLD, (0, FAILURE)).no_data_reason == "PrometheusUnreachable"


# in the life of a rollout

GATE: dict[str, Any] = {"gates": [raw_gate("uptime")]}
GUARD, SHORT = ({"guards": (raw_gate("uptime", reach=reach),)} for reach in ("1h", "1m"))


def without_data(where: int, judged_by: dict[str, Any], then: str = "rollback", seen_for: float = 0, **spec: Any) -> World:
    """Series that vanish so long after this percent was reached."""
    world = World.at(where, noData={"deadline": "90s", "then": then}, **judged_by, **spec)
    world.run(seen_for)
    world.readings["uptime"] = None
    return world


@pytest.mark.parametrize(("judged_by", "source"), [(GATE, "rollout"), (GUARD, "policy")], ids=["gate", "guard"])
def test_missing_series_roll_back_past_the_deadline(judged_by: dict[str, Any], source: str) -> None:
    world = without_data(10, judged_by)
    since = world.elapsed()
    fell = world.run_until(lambda it: it.status.state is State.ROLLBACK)
    assert 80 <= fell - since <= 111, "at the first tick past the deadline, which begins with the first look without data"
    assert world.percent == 0
    told = next(record for record in world.records() if record.transition is Transition.ROLLED_BACK)
    assert told.message.startswith("gate uptime:" if judged_by is GATE else "guard uptime:")
    assert "longer than noData.deadline" in told.message
    assert [(reading.source, reading.verdict) for reading in told.readings] == [(source, "ROLLBACK")]


@pytest.mark.parametrize("judged_by", [GATE, GUARD, SHORT], ids=["gate", "guard", "guard out of reach"])
def test_with_hold_they_hold_whatever_the_reach_and_that_is_recorded_once(judged_by: dict[str, Any]) -> None:
    world = without_data(10, judged_by, "hold")
    world.run(3600)
    assert (world.percent, world.status.gates[0].verdict) == (10, Verdict.NO_DATA)
    assert world.recorded().count(Transition.NO_DATA_DEADLINE) == 1
    assert Transition.GUARD_BREACHED not in world.recorded()
    assert "uptime has no data (" in (world.status.waiting_for or "")


@pytest.mark.parametrize("seen_for", [0, 120])
def test_beyond_the_reach_of_a_guard_they_hold_and_that_is_recorded_once(seen_for: float) -> None:
    """The rise must be young when the deadline passes, not when the series vanished."""
    world = without_data(10, SHORT, seen_for=seen_for, dwell="5m")
    world.run(3600)
    assert (world.percent, world.phase, world.status.gates[0].verdict) == (10, Phase.PROGRESSING, Verdict.HOLD)
    told = [record for record in world.records() if record.transition is Transition.GUARD_BREACHED]
    assert len(told) == 1
    assert "exposure did not rise within the guard's reach (1m): held, not rolled back" in told[0].message
    assert "guard uptime" in (world.status.waiting_for or "")
    assert Transition.ROLLED_BACK not in world.recorded()
    world.readings["uptime"] = 0.0
    world.climb_to(50)


@pytest.mark.parametrize("judged_by", [GATE, GUARD], ids=["gate", "guard"])
def test_at_100_percent_the_clock_stands_still(judged_by: dict[str, Any]) -> None:
    world = without_data(100, judged_by, bake="1h")
    world.run(1800)
    assert (world.percent, world.status.gates[0].verdict) == (100, Verdict.NO_DATA)
    assert Transition.ROLLED_BACK not in world.recorded()


def test_an_adopted_share_did_not_rise_so_series_that_a_guard_misses_take_nothing_back() -> None:
    world = without_data(50, GUARD, initialPercent=50)
    world.run(3600)
    assert (world.percent, world.status.state) == (50, State.ROLLING_OUT)
    assert world.recorded().count(Transition.GUARD_BREACHED) == 1


@pytest.mark.thorough
def test_a_source_that_is_silent_for_longer_than_the_deadline_holds_everything() -> None:
    world = World.at(50, gates=[raw_gate()], guards=(raw_gate("uptime"),), noData={"deadline": "90s", "then": "rollback"})
    world.readings |= {"errors": FAILURE, "uptime": FAILURE}
    world.run(7200)
    assert (world.percent, world.phase) == (50, Phase.PROGRESSING)
    assert {gate.verdict for gate in world.status.gates} == {Verdict.NO_DATA}
    world.readings |= {"errors": 0.0, "uptime": 0.0}
    world.climb_to(100)
    assert not {Transition.ROLLED_BACK, Transition.GUARD_BREACHED, Transition.NO_DATA_DEADLINE} & set(world.recorded())
