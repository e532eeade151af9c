"""What many rollouts share costs once: one write for the flags that move together, one question for all who ask the same."""

import asyncio
import itertools
from collections import Counter

from tests.e2e.support.fake import FakePrometheus
from tests.e2e.support.flag_sets import EPOCH
from tests.e2e.support.world import QUICK, World

ROLLOUTS = 20


async def test_rollouts_of_one_flag_set_that_move_together_cost_few_writes(world: World) -> None:
    await world.measured("uptime", 1)
    await world.policy(guards=[world.gate("uptime", advance={"gt": 0.9})])
    names = [f"feature-{number}" for number in range(ROLLOUTS)]
    canary = {"percents": [10, 50, 100], "dwell": "2s"}
    async with world.traced(names[0]) as trace:
        await asyncio.gather(*(world.rollout(name, canary=canary) for name in names))
        for name in names:
            await world.until(name, state="ENABLED", percent=100)
        written = {body["metadata"]["resourceVersion"] for _, body in trace.versions}
    moves = ROLLOUTS * 5  # the rehearsal, three steps, and the end
    print(f"\n{moves} moves of {ROLLOUTS} flags took {len(written)} writes of the flag set")
    assert len(written) <= moves / 2
    for name in names:
        assert await world.exposure(name) == 100
    epochs = [flag["metadata"]["epoch"] for flag in (await world.document())["flags"].values()]
    assert max(epochs) <= int((await world.flag_set())["metadata"]["annotations"][EPOCH])


async def test_identical_queries_are_asked_once_per_interval(world: World, fake: FakePrometheus) -> None:
    await world.policy()
    await world.measured("errors", 0.3)
    names = [f"feature-{number}" for number in range(10)]
    await asyncio.gather(*(world.rollout(name, canary=QUICK, gates=[world.errors()]) for name in names))
    for name in names:
        await world.until(name, percent=10)
    times = await asked_once_per_tick(fake, world.selector("errors"), 6)
    assert all(time == round(time) for time in times), "everybody asks at the same ticks"
    assert all(later - earlier >= 1 for earlier, later in itertools.pairwise(times))
    for name in names:
        assert (await world.gate_status("errors", name))["verdict"] == "HOLD"
    await world.set("errors", 0.9)
    for name in names:
        await world.until(name, state="ROLLBACK", percent=0)


async def asked_once_per_tick(fake: FakePrometheus, query: str, ticks: int) -> list[float]:
    """The next ticks at which a query was asked, in order. At each its value was asked once and its age at most once, by all together."""
    before = {one.time for one in await fake.asked(query)}
    await fake.evaluated(query, ticks)
    asked = Counter((one.query, one.time) for one in await fake.asked(query) if one.time not in before)
    assert len({about for about, _ in asked}) == 2, "its value, and its age"
    assert [f"{about} at {time}: {count} times" for (about, time), count in asked.items() if count > 1] == []
    times = sorted(time for about, time in asked if about == query)
    assert len(times) >= ticks, "each question is about a tick of its own"
    return times


async def test_a_gate_that_equals_a_guard_is_asked_once_with_it(world: World, fake: FakePrometheus) -> None:
    await world.measured("errors", 0.3)
    guard = world.gate("guarded", metric="errors", advance={"lt": 0.4}, rollback={"gt": 0.5})
    gate = world.gate("errors", advance={"lt": 0.1}, rollback={"gt": 0.6})
    assert guard["query"] == gate["query"]
    await world.policy(guards=[guard])
    await world.rollout(canary=QUICK, gates=[gate], bake="1h")
    await world.until(percent=10)
    await asked_once_per_tick(fake, gate["query"], 6)
    verdicts = {one["name"]: one["verdict"] for one in (await world.status())["gates"]}
    assert verdicts == {"errors": "HOLD", "guarded": "ADVANCE"}, "one answer, judged by the rules of each"
    await world.set("errors", 0.55)
    status = await world.until(state="ROLLBACK", percent=0)
    assert {one["name"]: one["verdict"] for one in status["gates"]} == {"errors": "HOLD", "guarded": "ROLLBACK"}


async def test_a_gate_that_equals_anothers_count_of_samples_is_asked_once_with_it(world: World, fake: FakePrometheus) -> None:
    await world.set("success", 0.9)
    await world.measured("trades", 49)
    trades = world.gate("trades", advance={"gt": 10})
    success = world.gate("success", advance={"gt": 0.6}, samples={"count": trades["query"], "min": 50})
    await world.policy()
    await world.rollout(canary=QUICK, gates=[success, trades])
    await world.until(percent=10)
    await asked_once_per_tick(fake, trades["query"], 6)
    gates = {one["name"]: one for one in (await world.status())["gates"]}
    assert (gates["success"]["verdict"], gates["trades"]["verdict"]) == ("HOLD", "ADVANCE")
    await world.set("trades", 50)
    await world.until(percent=100)
