"""What many rollouts share costs once: one write for the flags that move together, one question for all who ask the same."""

import asyncio
import itertools
from collections import Counter

from tests.e2e.support.fake import FakePrometheus
from tests.e2e.support.world import World

ROLLOUTS = 20


async def test_rollouts_of_one_flag_set_that_move_together_cost_few_writes(world: World) -> None:
    await world.set("uptime", 1)
    await world.queryable("uptime", 1)
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


async def test_identical_queries_are_asked_once_per_interval(world: World) -> None:
    fake = FakePrometheus.of(world)
    await world.policy(url=fake.url)
    await world.set("errors", 0.3)
    await world.queryable("errors", 0.3)
    names = [f"feature-{number}" for number in range(10)]
    gate = world.gate("errors", advance={"lt": 0.1}, rollback={"gt": 0.5})
    await asyncio.gather(*(world.rollout(name, canary={"percents": [10, 100], "dwell": "1s"}, gates=[gate]) for name in names))
    for name in names:
        await world.until(name, percent=10)
    before = {one.time for one in await fake.asked("errors{")}
    await fake.evaluated(gate["query"], 6)
    asked = Counter((one.query, one.time) for one in await fake.asked("errors{") if one.time not in before)
    values = [(time, count) for (query, time), count in asked.items() if query == gate["query"]]
    ages = [(time, count) for (query, time), count in asked.items() if query != gate["query"]]
    assert [count for _, count in values] == [1] * len(values), "the value is asked once per interval, for all ten"
    assert [count for _, count in ages] == [1] * len(ages), "and so is its age"
    times = sorted(time for time, _ in values)
    assert all(time == round(time) for time in times), "everybody asks at the same ticks"
    assert all(later - earlier >= 1 for earlier, later in itertools.pairwise(times))
    for name in names:
        assert (await world.gate_status("errors", name))["verdict"] == "HOLD"
    await world.set("errors", 0.9)
    for name in names:
        await world.until(name, state="ROLLBACK", percent=0)
