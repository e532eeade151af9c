"""Answers that nobody may act on: none of them advances a rollout, none of a failing source rolls one back, and none outlasts its cause."""

import asyncio

import pytest

from tests.e2e.support.api import Json, eventually
from tests.e2e.support.exposure import Trace
from tests.e2e.support.fake import FakePrometheus
from tests.e2e.support.records import transitions
from tests.e2e.support.world import World

EVALUATIONS = 6
LOWER: Json = {"advance": {"lt": 0.5}, "rollback": {"gt": 0.9, "confirm": 1}}
HIGHER: Json = {"advance": {"gt": 0.5}, "rollback": {"lt": 0.1, "confirm": 1}}
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
REPRESENTATIVE = ("nan", "500-series", "warning", "hang")


def cases(modes: dict[str, str]) -> pytest.MarkDecorator:
    """The others are tried by `make proof`."""
    named = [pytest.param(*one, id=one[0], marks=[] if one[0] in REPRESENTATIVE else pytest.mark.proof) for one in modes.items()]
    return pytest.mark.parametrize(("mode", "reason"), named)


async def two_rollouts(world: World, fake: FakePrometheus, **spec: object) -> None:
    """One that wants its number low and one that wants it high, both at 10 % and healthy, so that no odd number can suit both."""
    await world.policy(url=fake.url, timeout="1s")
    await world.set("low", 0.01)
    await world.set("high", 0.99)
    await world.queryable("high", 0.99)
    canary = {"percents": [10, 100], "dwell": "1h"}
    await world.rollout("low", canary=canary, gates=[world.gate("low", **LOWER)], bake="1h", **spec)
    await world.rollout("high", canary=canary, gates=[world.gate("high", **HIGHER)], bake="1h", **spec)
    for name in ("low", "high"):
        await world.until(name, percent=10)


async def is_held(world: World, fake: FakePrometheus, name: str, reason: str) -> None:
    """The rollout sees no data, and stays where it is however often it looks, also once its dwell is over."""

    async def unread() -> bool:
        gate = await world.gate_status(name, name)
        return (gate.get("verdict"), gate.get("noDataReason")) == ("NO_DATA", reason)

    await eventually(f"{name} has no data because {reason}", unread)
    await world.hasten(name, percents=(10, 100))
    await (fake.tried(4) if reason == "PrometheusTimeout" else fake.evaluated(world.selector(name), EVALUATIONS))
    status = await world.status(name)
    assert (status["state"], status["percent"]) == ("ROLLING_OUT", 10)
    assert f"gate {name} (no data" in status["waitingFor"]


async def neighbour_climbs(world: World) -> None:
    """A rollout under another policy, at the same time."""
    policy = f"{world.namespace}-neighbour"
    await world.policy(policy)
    canary = {"percents": [10, 100], "dwell": "1s"}
    await world.rollout("neighbour", canary=canary, policyRef={"name": policy}, gates=[world.gate("low", **LOWER)])
    await world.until("neighbour", state="ENABLED", percent=100)


async def goes_on_with_the_real_answers(world: World, fake: FakePrometheus, traces: dict[str, Trace]) -> None:
    await fake.answer("pass")
    for name, trace in traces.items():
        await world.until(name, state="ENABLED", percent=100)
        assert trace.percents == [10, 100]
        assert "RolledBack" not in transitions(await world.records(name))


@cases(OF_THE_SERIES)
async def test_series_that_are_no_data_hold(world: World, mode: str, reason: str) -> None:
    fake = FakePrometheus.of(world)
    await two_rollouts(world, fake)
    async with world.traced("low") as low, world.traced("high") as high:
        await fake.answer(mode)
        await asyncio.gather(is_held(world, fake, "low", reason), is_held(world, fake, "high", reason), neighbour_climbs(world))
        await goes_on_with_the_real_answers(world, fake, {"low": low, "high": high})


@cases(OF_THE_SOURCE)
async def test_a_source_that_fails_holds_beyond_the_deadline(world: World, mode: str, reason: str) -> None:
    fake = FakePrometheus.of(world)
    await two_rollouts(world, fake, noData={"deadline": "1s", "then": "rollback"})
    async with world.traced("low") as low, world.traced("high") as high:
        await fake.answer(mode)
        await asyncio.gather(is_held(world, fake, "low", reason), is_held(world, fake, "high", reason), neighbour_climbs(world))
        told = await world.condition("low", "MetricsAvailable", reason)
        assert told["status"] == "False"
        assert "noDataSince" not in await world.gate_status("low", "low"), "the deadline's clock stands still"
        await goes_on_with_the_real_answers(world, fake, {"low": low, "high": high})
        assert (await world.condition("low", "MetricsAvailable", "Answering"))["status"] == "True"


async def test_one_odd_series_among_good_ones_holds(world: World) -> None:
    await world.policy()
    await world.set("errors", 0.01, replica="a")
    await world.set("errors", "NaN", replica="b")
    await world.rollout(canary={"percents": [10, 100], "dwell": "1s"}, gates=[world.gate("errors", **LOWER)])
    await world.until(percent=10)

    async def unread() -> bool:
        return (await world.gate_status("errors")).get("noDataReason") == "NotANumber"

    await eventually("NaN of one replica is no data", unread)
    await world.set("errors", 0.95, replica="a")
    await world.until(state="ROLLBACK", percent=0)
