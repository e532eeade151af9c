"""Answers that look well and are old: the age is that of the oldest thing that was read, however new the answer is stamped."""

import time

from tests.e2e.support import own_pods
from tests.e2e.support.api import Json
from tests.e2e.support.fake import FakePrometheus
from tests.e2e.support.installation import Cluster
from tests.e2e.support.world import BAND, HELD, QUICK, World, one_sample

STALENESS = 10.0
AHEAD = 40.0


async def stale_it_stays(world: World, fake: FakePrometheus, gate: Json, value: float) -> None:
    """However often the gate is evaluated with this good answer, it stays at 10 %."""
    await world.gate_until(gate["name"], verdict="NO_DATA", noDataReason="Stale")
    await world.hasten()
    for _ in range(4):
        assert await world.instant(gate["query"]) == value, "the answer itself must be tempting"
        await fake.evaluated(gate["query"], 1)
    status = await world.status()
    assert (status["state"], status["percent"]) == ("ROLLING_OUT", 10)
    assert f"gate {gate['name']} has no data (" in status["waitingFor"]


async def test_a_ratio_with_one_old_side_never_advances(world: World, fake: FakePrometheus) -> None:
    """Its errors are new, its requests were last exported before it began: a quotient of the two says nothing of now."""
    await world.policy(staleness="10s")
    await world.set("requests", one_sample(100, age=2 * STALENESS))
    await world.measured("errors", 1)
    await world.answers(world.selector("requests"), 100)
    ratio = {"name": "ratio", "query": f"sum({world.selector('errors')}) / sum({world.selector('requests')})"} | BAND
    async with world.traced() as trace:
        await world.rollout(canary=QUICK, gates=[ratio])
        await world.until(percent=10)
        await stale_it_stays(world, fake, ratio, 0.01)
        assert trace.percents == [0, 10]
        await world.set("requests", 100)
        await world.until(state="ENABLED", percent=100)
    assert trace.percents == [0, 10, 50, 100]


async def test_a_ratio_over_two_exporters_one_of_which_is_dead_never_advances(world: World, fake: FakePrometheus, cluster: Cluster) -> None:
    """A range goes on answering for the dead one: both numbers are there, and only one of them is news."""
    await own_pods.exporters(world, cluster, "exporter")
    requests = await own_pods.exports(world, "requests", 100)
    await world.policy(staleness="10s")
    await world.measured("errors", 1)
    ratio = {"name": "ratio", "query": f"sum(avg_over_time({world.selector('errors')}[30s])) / sum(avg_over_time({requests}[30s]))"} | BAND
    async with world.traced() as trace:
        await world.rollout(canary=HELD, gates=[ratio])
        await world.until(percent=10)
        await own_pods.scaled(world, "exporter", 0)
        await stale_it_stays(world, fake, ratio, 0.01)
        assert trace.percents == [0, 10]
        await own_pods.scaled(world, "exporter", 1)
        await own_pods.exports(world, "requests", 100)
        await world.until(percent=50, seconds=90)


async def test_a_gauge_that_outlives_the_staleness_never_advances(world: World, fake: FakePrometheus) -> None:
    """Exported with a timestamp of its own, it is neither renewed nor marked as gone: Prometheus gives it for five minutes."""
    await world.policy(staleness="10s")
    await world.measured("errors", one_sample(0.01))
    async with world.traced() as trace:
        await world.rollout(canary=HELD, gates=[world.errors()])
        await world.until(percent=10)
        await world.set("errors", one_sample(0.02))
        written = time.time()
        await world.shown("errors", 0.02)
        await world.gate_until("errors", seconds=STALENESS, verdict="ADVANCE")  # while it is fresh
        await world.gate_until("errors", noDataReason="Stale")
        assert time.time() - written > STALENESS - 1, "not before its time"
        await stale_it_stays(world, fake, world.errors(), 0.02)
        assert trace.percents == [0, 10]
        await world.set("errors", 0.03)
        await world.until(state="ENABLED", percent=100)
    assert trace.percents == [0, 10, 50, 100]


async def test_samples_stamped_ahead_never_advance_and_hold_until_later_ones_come(world: World, fake: FakePrometheus) -> None:
    """Prometheus drops what comes meanwhile as out of order, and when their time has come it takes these numbers for the present ones."""
    await world.policy(staleness="30s")
    await world.measured("errors", 0.01)
    async with world.traced() as trace:
        await world.rollout(canary=HELD, gates=[world.errors()])
        await world.until(percent=10)
        due = time.time() + AHEAD
        await world.set("errors", one_sample(0.02, age=-AHEAD))
        told = await world.gate_until("errors", verdict="NO_DATA", noDataReason="StampedAhead")
        assert world.selector("errors") in told["message"]
        await world.hasten()
        await world.set("errors", 0.9)
        await world.answers(world.selector("errors"), 0.01)
        await fake.evaluated(world.selector("errors"), 4)
        await world.set("errors", one_sample(0.02, age=-(due - time.time())))
        await world.answers(f"timestamp({world.selector('errors')}) - {due - 2} > bool 0", 1, seconds=2 * AHEAD)
        assert await world.instant(world.selector("errors")) == 0.02, "the answer itself must be tempting"
        await fake.evaluated(world.selector("errors"), 4)
        await world.gate_until("errors", noDataReason="StampedAhead")
        assert trace.percents == [0, 10]
        await world.set("errors", 0.03)
        await world.until(state="ENABLED", percent=100, seconds=120)
    assert trace.percents == [0, 10, 50, 100]


async def test_what_turned_bad_behind_samples_stamped_ahead_rolls_back_once_it_shows(world: World) -> None:
    await world.policy()
    await world.measured("errors", 0.01)
    async with world.traced() as trace:
        await world.rollout(canary=HELD, gates=[world.errors()])
        await world.until(percent=10)
        await world.set("errors", one_sample(0.02, age=-AHEAD / 2))
        await world.gate_until("errors", noDataReason="StampedAhead")
        await world.hasten()
        await world.set("errors", 0.9)
        await world.rolled_back()
    assert trace.percents == [0, 10, 0]
