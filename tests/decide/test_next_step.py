"""What the next step needs: all of it at once; whatever is missing alone holds, and is the one thing that `waitingFor` names."""

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.builders import policy, raw_gate
from tests.decide.world import World
from tidegate.api.conditions import Reason
from tidegate.api.rollout_status import Verdict
from tidegate.domain.answers import Failure
from tidegate.domain.problems import Problem

pytestmark = pytest.mark.levers

SILENT = Failure(Reason.PROMETHEUS_UNREACHABLE, "connection refused")
MISSING = Problem(Reason.POLICY_MISSING, "RolloutPolicy production does not exist")
READINGS = {Verdict.ADVANCE: 0.0, Verdict.NOT_APPLICABLE: 0.9, Verdict.HOLD: 0.12, Verdict.NO_DATA: None, Verdict.ROLLBACK: 0.9}


def climbing() -> World:
    rules: dict[str, Any] = {"when": "open", "rollback": {"gt": 0.15, "confirm": 1}}
    return World.at(10, gates=[raw_gate(**rules)], guards=(raw_gate("uptime", **rules, reach="1h"),))


def following(*verdicts: Verdict) -> int:
    """The percent after the dwell of 10 %."""
    if Verdict.ROLLBACK in verdicts:
        return 0
    return 50 if all(one in (Verdict.ADVANCE, Verdict.NOT_APPLICABLE) for one in verdicts) else 10


@pytest.mark.parametrize(("gate", "guard"), itertools.product(READINGS, READINGS))
def test_any_rollback_wins_anything_but_advance_holds_and_what_does_not_apply_is_no_obstacle(gate: Verdict, guard: Verdict) -> None:
    world = climbing()
    for name, verdict in (("errors", gate), ("uptime", guard)):
        world.readings[name], world.whens[name] = READINGS[verdict], float(verdict is not Verdict.NOT_APPLICABLE)
    world.now += timedelta(seconds=10)
    world.reconcile()
    assert world.percent == (0 if Verdict.ROLLBACK in (gate, guard) else 10), "back in the same reconcile, up not before the dwell is over"
    world.run(80)
    assert world.percent == following(gate, guard)


def band(world: World) -> None:
    world.readings["errors"] = 0.12


def series_gone(world: World) -> None:
    world.readings["errors"] = None


def source_gone(world: World) -> None:
    world.readings["errors"] = SILENT


def breach_not_long_enough(world: World) -> None:
    world.edit(gates=[raw_gate(rollback={"gt": 0.15, "for": "1h"})])
    world.readings["errors"] = 0.9


def guard_in_the_band(world: World) -> None:
    world.readings["uptime"] = 0.12


def guard_gone(world: World) -> None:
    world.readings["uptime"] = None


def too_few_samples(world: World) -> None:
    world.edit(gates=[raw_gate(samples={"count": "n", "min": 50})])
    world.samples["errors"] = 49.0


def paused(world: World) -> None:
    world.edit(paused=True)


def long_dwell(world: World) -> None:
    world.set_steps(10, 50, 100, dwell="1h")


def policy_gone(world: World) -> None:
    world.policy = MISSING


MISSING_ALONE: list[tuple[Callable[[World], None], str]] = [
    (band, "gate errors holds (advance < 0.1, rollback > 0.15 on 1 samples)"),
    (series_gone, "gate errors has no data (advance < 0.1, rollback > 0.15 on 1 samples)"),
    (source_gone, "gate errors has no data (advance < 0.1, rollback > 0.15 on 1 samples)"),
    (breach_not_long_enough, "gate errors is in breach (advance < 0.1, rollback > 0.15 for 1h)"),
    (too_few_samples, "gate errors holds (advance < 0.1, rollback > 0.15 on 2 samples)"),
    (guard_in_the_band, "guard uptime holds (advance < 0.1, rollback > 0.15 on 1 samples)"),
    (guard_gone, "guard uptime has no data (advance < 0.1, rollback > 0.15 on 1 samples)"),
    (paused, "paused by spec.paused"),
    (long_dwell, "the dwell of 10 % ends at 2026-12-01T10:00:00Z"),
    (policy_gone, "RolloutPolicy production does not exist"),
]


@pytest.mark.flag
@pytest.mark.parametrize(("take_away", "said"), MISSING_ALONE, ids=[how.__name__ for how, _ in MISSING_ALONE])
def test_whatever_is_missing_alone_holds_and_is_named_alone(take_away: Callable[[World], None], said: str) -> None:
    world = climbing()
    take_away(world)
    world.run(200)
    assert (world.percent, world.status.waiting_for) == (10, said)
    world.readings.clear()
    world.samples["errors"] = 50.0
    world.policy = policy(raw_gate("uptime"))
    world.edit(paused=False)
    world.set_steps(10, 50, 100)
    world.run_until(lambda it: it.percent == 50, 25)
