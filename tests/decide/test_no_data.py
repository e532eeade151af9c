"""Missing data: holds, counts against a deadline only where series are missing, and never rolls back for a silent source."""

import math

import pytest

from tests.builders import answer, context, gate, raw_gate
from tests.decide.world import World
from tidegate.api.conditions import Reason
from tidegate.api.feature_rollout import NoData as NoDataRule
from tidegate.api.records import Transition
from tidegate.api.rollout_status import GateSource, GateStatus, Phase, State, Verdict
from tidegate.decide.gates.verdict import judge
from tidegate.domain.answers import Answer, Failure, GateAnswer

pytestmark = pytest.mark.levers

FAILURE = Failure(Reason.PROMETHEUS_UNREACHABLE, "connection refused")
ROLL_BACK = NoDataRule.model_validate({"deadline": "60s", "then": "rollback"})
HOLD = NoDataRule.model_validate({"deadline": "60s", "then": "hold"})


def judged(rule: NoDataRule | None, *looks: tuple[float, Answer | Failure]) -> GateStatus:
    status = None
    for now, said in looks:
        status = judge(gate(), GateSource.ROLLOUT, GateAnswer(said), status, context(now, rule=rule))
        assert status is not None
        status = GateStatus.model_validate(status.to_wire())
    assert status is not None
    return status


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
    early = judged(ROLL_BACK, (0, answer()), (59.999, said))
    late = judged(ROLL_BACK, (0, answer()), (60, said))
    assert (early.verdict, late.verdict) == (Verdict.NO_DATA, Verdict.ROLLBACK)
    assert "longer than noData.deadline" in late.message


def test_by_default_series_missing_past_the_deadline_hold() -> None:
    status = judged(HOLD, (0, answer()), (3600, answer()))
    assert status.verdict is Verdict.NO_DATA
    assert "past noData.deadline, held" in status.message


@pytest.mark.parametrize(
    "reason", [Reason.PROMETHEUS_UNREACHABLE, Reason.PROMETHEUS_TIMEOUT, Reason.PROMETHEUS_ERROR, Reason.PROMETHEUS_WARNING]
)
def test_a_source_that_fails_runs_no_deadline(reason: Reason) -> None:
    failure = Failure(reason, "no answer")
    status = judged(ROLL_BACK, *((at, failure) for at in range(0, 100_000, 1000)))
    assert status.verdict is Verdict.NO_DATA
    assert status.no_data_since is None


def test_time_without_a_source_does_not_count() -> None:
    status = judged(ROLL_BACK, (0, answer()), (30, FAILURE), (90, answer()), (110, answer()))
    assert status.verdict is Verdict.NO_DATA


def test_a_reading_ends_the_clock() -> None:
    status = judged(ROLL_BACK, (0, answer()), (50, answer(0.05, at=50)), (55, answer()), (114, answer()))
    assert status.verdict is Verdict.NO_DATA
    assert judged(ROLL_BACK, (0, answer()), (50, answer(0.05, at=50)), (55, answer()), (115, answer())).verdict is Verdict.ROLLBACK


def test_the_reason_is_told() -> None:
    assert judged(HOLD, (0, answer(math.nan))).no_data_reason == "NotANumber"
    assert judged(HOLD, (0, FAILURE)).no_data_reason == "PrometheusUnreachable"


# in the life of a rollout


def test_at_a_step_missing_series_roll_back_after_the_deadline() -> None:
    world = World(gates=[raw_gate()], noData={"deadline": "90s", "then": "rollback"})
    world.climb_to(10)
    world.readings["errors"] = None
    since = world.elapsed()
    fell = world.run_until(lambda it: it.status.state is State.ROLLBACK)
    assert 80 <= fell - since <= 111
    assert world.percent == 0


def test_held_past_the_deadline_is_recorded_once() -> None:
    world = World(gates=[raw_gate()], noData={"deadline": "90s"})
    world.climb_to(10)
    world.readings["errors"] = None
    world.run(900)
    assert world.percent == 10
    assert world.recorded().count(Transition.NO_DATA_DEADLINE) == 1
    assert "gate errors (no data" in (world.status.waiting_for or "")


def test_at_100_percent_the_clock_stands_still() -> None:
    world = World(gates=[raw_gate()], noData={"deadline": "90s", "then": "rollback"}, bake="1h")
    world.climb_to(100)
    world.readings["errors"] = None
    world.run(1800)
    assert world.percent == 100
    assert world.status.state is not State.ROLLBACK


@pytest.mark.thorough
def test_a_source_that_is_silent_for_longer_than_the_deadline_holds_everything() -> None:
    world = World(gates=[raw_gate()], guards=(raw_gate("uptime"),), noData={"deadline": "90s", "then": "rollback"})
    world.climb_to(50)
    world.readings |= {"errors": FAILURE, "uptime": FAILURE}
    world.run(7200)
    assert (world.percent, world.phase) == (50, Phase.PROGRESSING)
    world.readings |= {"errors": 0.0, "uptime": 0.0}
    world.climb_to(100)
    assert Transition.ROLLED_BACK not in world.recorded()


def test_a_bake_does_not_end_while_its_source_is_silent() -> None:
    world = World(gates=[raw_gate()], bake="120s")
    world.run_until(lambda it: it.phase is Phase.BAKING)
    world.readings["errors"] = FAILURE
    world.run(600)
    assert world.phase is Phase.BAKING
    world.readings["errors"] = 0.0
    world.run_until(lambda it: it.phase is Phase.SUCCEEDED, 30)
