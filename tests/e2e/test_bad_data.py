"""Answers that nobody may act on: none of them advances a rollout, none of a failing source rolls one back, and none outlasts its cause."""

import asyncio

import pytest

from tests.e2e.support import witness
from tests.e2e.support.api import Json
from tests.e2e.support.exposure import Trace
from tests.e2e.support.fake import FakePrometheus
from tests.e2e.support.world import HELD, QUICK, World

EVALUATIONS = 6
BOUNDS: dict[str, Json] = {
    "low": {"advance": {"lt": 0.5}, "rollback": {"gt": 0.9, "confirm": 1}},
    "high": {"advance": {"gt": 0.5}, "rollback": {"lt": 0.1, "confirm": 1}},
}
"""Rollouts: one wants its number low and one wants it high, so that no odd number can suit both."""
OF_THE_SERIES = {
    "nan": "NotANumber",
    "inf": "Infinite",
    "minus-inf": "Infinite",
    "empty": "Empty",
    "500-series": "TooManySeries",
    "10000-series": "TooManySeries",
    "string": "WrongType",
}
OF_THE_SOURCE = {
    "warning": "PrometheusWarning",
    "http-500": "PrometheusError",
    "error-200": "PrometheusError",
    "garbage": "PrometheusError",
    "hang": "PrometheusTimeout",
    "slow-drip": "PrometheusTimeout",
    "redirect": "PrometheusError",
    "huge": "PrometheusError",
    "100000-series": "PrometheusError",
}
REPRESENTATIVE = ("nan", "500-series", "warning", "http-500", "hang")


def cases(modes: dict[str, str]) -> pytest.MarkDecorator:
    """The others are tried by `make proof`."""
    named = [pytest.param(*one, id=one[0], marks=[] if one[0] in REPRESENTATIVE else pytest.mark.proof) for one in modes.items()]
    return pytest.mark.parametrize(("mode", "reason"), named)


async def two_rollouts(world: World, **spec: object) -> None:
    """Both at 10 % and healthy."""
    await world.policy(timeout="1s")
    await world.set("low", 0.01)
    await world.measured("high", 0.99)
    for name, bounds in BOUNDS.items():
        await world.rollout(name, canary=HELD, gates=[world.gate(name, **bounds)], bake="1h", **spec)
    for name in BOUNDS:
        await world.until(name, percent=10)


async def is_held(world: World, fake: FakePrometheus, name: str, reason: str) -> None:
    """The rollout sees no data, and stays where it is however often it looks, also once its dwell is over."""
    await world.gate_until(name, name, verdict="NO_DATA", noDataReason=reason)
    await world.hasten(name)
    await (fake.tried(4) if reason == "PrometheusTimeout" else fake.evaluated(world.selector(name), EVALUATIONS))
    status = await world.status(name)
    assert (status["state"], status["percent"]) == ("ROLLING_OUT", 10)
    assert f"gate {name} has no data (" in status["waitingFor"]


async def goes_on_with_the_real_answers(world: World, fake: FakePrometheus, *traces: Trace) -> None:
    await fake.answer("pass")
    for trace in traces:
        await world.until(trace.key, state="ENABLED", percent=100)
        assert trace.percents == [10, 50, 100]
        assert "RolledBack" not in await world.transitions(trace.key)


@cases(OF_THE_SERIES)
async def test_series_that_are_no_data_hold(world: World, fake: FakePrometheus, mode: str, reason: str) -> None:
    await two_rollouts(world)
    async with world.traced("low") as low, world.traced("high") as high:
        await fake.answer(mode)
        await asyncio.gather(*(is_held(world, fake, name, reason) for name in BOUNDS), witness.climbs(world))
        await goes_on_with_the_real_answers(world, fake, low, high)


@cases(OF_THE_SOURCE)
async def test_a_source_that_fails_holds_beyond_the_deadline(world: World, fake: FakePrometheus, mode: str, reason: str) -> None:
    await two_rollouts(world, noData={"deadline": "1s", "then": "rollback"})
    async with world.traced("low") as low, world.traced("high") as high:
        await fake.answer(mode)
        await asyncio.gather(*(is_held(world, fake, name, reason) for name in BOUNDS), witness.climbs(world))
        told = await world.condition("low", "MetricsAvailable", reason)
        assert told["status"] == "False"
        assert "noDataSince" not in await world.gate_status("low", "low"), "the deadline's clock stands still"
        await goes_on_with_the_real_answers(world, fake, low, high)
        assert (await world.condition("low", "MetricsAvailable", "Answering"))["status"] == "True"


async def test_one_odd_series_among_good_ones_holds(world: World) -> None:
    await world.policy()
    await world.set("errors", 0.01, replica="a")
    await world.set("errors", "NaN", replica="b")
    await world.rollout(canary=QUICK, gates=[world.errors()])
    await world.until(percent=10)
    await world.gate_until("errors", noDataReason="NotANumber")
    await world.set("errors", 0.95, replica="a")
    await world.rolled_back()
