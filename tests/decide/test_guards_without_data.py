"""Guards whose series are missing once somebody is exposed: the deadline runs as for a gate, and reach decides what it leads to."""

from typing import Any

import pytest

from tests.builders import raw_gate
from tests.decide.world import World
from tidegate.api.conditions import Reason
from tidegate.api.records import Transition
from tidegate.api.rollout_status import GateSource, GateStatus, Phase, State, Verdict
from tidegate.domain.answers import Failure

pytestmark = pytest.mark.levers

ROLL_BACK = {"deadline": "90s", "then": "rollback"}
SILENT = Failure(Reason.PROMETHEUS_UNREACHABLE, "connection refused")


def world(no_data: dict[str, str], reach: str = "1h", **spec: Any) -> World:
    """A rollout with one guard on `uptime` and no gate of its own."""
    return World(guards=(raw_gate("uptime", reach=reach),), noData=no_data, **spec)


def guard(seen: World) -> GateStatus:
    return next(gate for gate in seen.status.gates if (gate.source, gate.name) == (GateSource.POLICY, "uptime"))


def test_within_reach_they_roll_back_past_the_deadline() -> None:
    it = world(ROLL_BACK)
    it.climb_to(10)
    it.readings["uptime"] = None
    since = it.elapsed()
    fell = it.run_until(lambda now: now.status.state is State.ROLLBACK)
    assert 80 <= fell - since <= 111, "at the first tick past the deadline, which begins with the first look without data"
    assert it.percent == 0
    told = next(record for record in it.records() if record.transition is Transition.ROLLED_BACK)
    assert told.message.startswith("guard uptime:")
    assert "longer than noData.deadline" in told.message
    assert [(reading.source, reading.verdict) for reading in told.readings] == [("policy", "ROLLBACK")]


def test_beyond_reach_they_hold_and_that_is_recorded_once() -> None:
    it = world(ROLL_BACK, reach="1m", dwell="5m")
    it.climb_to(10)
    it.run(120)
    it.readings["uptime"] = None
    it.run(3600)
    assert (it.percent, it.phase, guard(it).verdict) == (10, Phase.PROGRESSING, Verdict.HOLD)
    told = [record for record in it.records() if record.transition is Transition.GUARD_BREACHED]
    assert len(told) == 1
    assert "exposure did not rise within the guard's reach (1m): held, not rolled back" in told[0].message
    assert "guard uptime" in (it.status.waiting_for or "")
    assert Transition.ROLLED_BACK not in it.recorded()
    it.readings["uptime"] = 0.0
    it.climb_to(50)


def test_a_reach_that_ends_before_the_deadline_rolls_nothing_back() -> None:
    """The rise must be young when the deadline passes, not when the series vanished."""
    it = world(ROLL_BACK, reach="1m", dwell="5m")
    it.climb_to(10)
    it.readings["uptime"] = None
    it.run(600)
    assert (it.percent, guard(it).verdict) == (10, Verdict.HOLD)
    assert it.recorded().count(Transition.GUARD_BREACHED) == 1


@pytest.mark.parametrize("reach", ["1m", "1h"])
def test_with_hold_they_hold_whatever_the_reach(reach: str) -> None:
    it = world({"deadline": "90s", "then": "hold"}, reach=reach)
    it.climb_to(10)
    it.readings["uptime"] = None
    it.run(3600)
    assert (it.percent, guard(it).verdict) == (10, Verdict.NO_DATA)
    assert it.recorded().count(Transition.NO_DATA_DEADLINE) == 1
    assert Transition.GUARD_BREACHED not in it.recorded()
    assert "guard uptime (no data" in (it.status.waiting_for or "")


def test_series_that_come_back_in_time_begin_the_clock_anew() -> None:
    it = world(ROLL_BACK)
    it.climb_to(10)
    it.edit(paused=True)
    for _ in range(5):
        it.readings["uptime"] = None
        it.run(70)
        it.readings["uptime"] = 0.0
        it.run(20)
    assert it.percent == 10
    assert Transition.ROLLED_BACK not in it.recorded()


def test_a_silent_source_rolls_nothing_back() -> None:
    it = world(ROLL_BACK)
    it.climb_to(10)
    it.readings["uptime"] = SILENT
    it.run(7200)
    assert (it.percent, guard(it).verdict) == (10, Verdict.NO_DATA)
    assert not {Transition.ROLLED_BACK, Transition.GUARD_BREACHED, Transition.NO_DATA_DEADLINE} & set(it.recorded())


def test_at_100_percent_the_clock_stands_still() -> None:
    it = world(ROLL_BACK, bake="1h")
    it.climb_to(100)
    it.readings["uptime"] = None
    it.run(1800)
    assert (it.percent, guard(it).verdict) == (100, Verdict.NO_DATA)
    assert Transition.ROLLED_BACK not in it.recorded()


def test_an_adopted_share_did_not_rise_so_missing_series_take_nothing_back() -> None:
    it = world(ROLL_BACK, reach="30d", initialPercent=50)
    it.climb_to(50)
    it.readings["uptime"] = None
    it.run(3600)
    assert (it.percent, it.status.state) == (50, State.ROLLING_OUT)
    assert it.recorded().count(Transition.GUARD_BREACHED) == 1
