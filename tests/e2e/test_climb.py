"""The way up: step by step, never sooner than the dwell, never without the gates, as clients and records show it."""

import itertools

from tests.e2e.support.api import Json, eventually
from tests.e2e.support.audit import dwells, shortest_dwell
from tests.e2e.support.fake import FakePrometheus
from tests.e2e.support.pace import paced
from tests.e2e.support.records import record_of, seconds, transitions
from tests.e2e.support.world import World

INTERVAL = 1.0
PERCENTS = [10, 50, 100]
DWELL = 3.0
BAND: Json = {"advance": {"lt": 0.1}, "rollback": {"gt": 0.5}}


async def test_climbs_to_enabled_through_every_step_and_dwells_at_each(world: World) -> None:
    await world.policy()
    await world.set("errors", 0.01)
    await world.queryable("errors", 0.01)
    async with world.traced() as trace, paced(world) as pace:
        await world.rollout(canary={"percents": PERCENTS, "dwell": "3s"}, gates=[world.gate("errors", **BAND)])
        status = await world.until(phase="Succeeded", state="ENABLED", percent=100, pending=None)
    assert trace.percents == [0, *PERCENTS]

    records = await world.records()
    entered = [trace.first(percent) for percent in PERCENTS] + [seconds(record_of(records, "Enabled")["time"])]
    stays = [after - before for before, after in itertools.pairwise(entered)]
    told = ", ".join(f"{percent} %: {stay:.2f} s" for percent, stay in zip(PERCENTS, stays, strict=True))
    print(f"\ndwell {DWELL:g} s; stayed at {told}; slack of this machine: {pace.slack:.2f} s")
    for percent, stay in zip(PERCENTS, stays, strict=True):
        assert stay <= DWELL + 2 * INTERVAL + 1 + pace.slack, f"stayed at {percent} % for {stay:.2f} s"
    assert len(dwells(records)) == len(PERCENTS)
    assert shortest_dwell(records) >= DWELL, "by the operator's own clock: a watch may tell of a step late, and of the next one soon"

    steps = [one for percent in PERCENTS for one in (("StepDecided", percent), ("StepEffective", percent))]
    assert [(one["transition"], one["toPercent"]) for one in records] == [
        ("AttemptStarted", 0),
        *steps,
        ("Enabled", 100),
        ("Succeeded", 100),
    ]
    assert [one["seq"] for one in records] == list(range(1, len(records) + 1))
    decisions = [one for one in records if one["transition"] in ("StepDecided", "Enabled")]
    assert [[reading["value"] for reading in one.get("readings", [])] for one in decisions] == [[], ["0.01"], ["0.01"], ["0.01"]]
    conditions = {one["type"]: one["status"] for one in status["conditions"]}
    assert conditions == {"Ready": "True", "Completed": "True"}, "nothing is asked any more, so nothing is said of the source"


async def test_every_step_has_its_own_dwell(world: World) -> None:
    await world.policy()
    wanted = {10: 1, 50: 4, 100: 2}
    async with world.traced() as trace, paced(world) as pace:
        await world.rollout(canary={"steps": [{"percent": percent, "dwell": f"{dwell}s"} for percent, dwell in wanted.items()]})
        await world.until(phase="Baking", pending=None)
    records = await world.records()
    entered = [trace.first(percent) for percent in wanted] + [seconds(record_of(records, "Enabled")["time"])]
    for dwell, lasted, (before, after) in zip(wanted.values(), dwells(records), itertools.pairwise(entered), strict=True):
        assert lasted >= dwell
        assert after - before <= dwell + 2 * INTERVAL + 1 + pace.slack


async def test_a_range_that_reaches_back_before_the_step_does_not_advance_it(world: World) -> None:
    """Nine tenths of what a long range shows right after a step is the step before."""
    await world.policy()
    await world.set("errors", 0.01)
    await world.queryable("errors", 0.01)
    average = {"name": "errors", "query": f"avg_over_time({world.selector('errors')}[6s])", "advance": {"lt": 0.1}}
    async with world.traced() as trace, paced(world) as pace:
        await world.rollout(canary={"percents": [10, 50, 100], "dwell": "1s"}, gates=[average])
        await world.until(percent=100)
        await world.until(pending=None)
    assert min(dwells(await world.records())[:2]) >= 6
    for before, after in ((10, 50), (50, 100)):
        stay = trace.first(after) - trace.first(before)
        assert stay <= 6 + 2 * INTERVAL + 1 + pace.slack, f"stayed at {before} % for {stay:.2f} s, with a range of 6 s"


async def test_holds_inside_the_band_and_goes_on_measuring(world: World) -> None:
    await world.policy()
    await world.set("latency", 0.3)
    await world.queryable("latency", 0.3)
    await world.rollout(canary={"percents": [10, 100], "dwell": "1s"}, gates=[world.gate("latency", **BAND)])
    await world.until(percent=10)
    async with world.traced() as trace:
        for value in (0.11, 0.2, 0.35, 0.5):
            await world.set("latency", value)
            await world.shown("latency", value)
        status = await world.status()
        assert status["state"] == "ROLLING_OUT"
        assert "gate latency (holds; advance < 0.1" in status["waitingFor"]
        assert trace.percents == [10]
        await world.set("latency", 0.05)
        await world.until(percent=100)
    assert trace.percents == [10, 100]


async def test_the_worst_series_decides(world: World) -> None:
    await world.policy()
    for pod, value in (("a", 0.01), ("b", 0.3), ("c", 0.02)):
        await world.set("latency", value, replica=pod)
    await world.rollout(canary={"percents": [10, 100], "dwell": "1s"}, gates=[world.gate("latency", **BAND)])
    await world.until(percent=10)
    await world.shown("latency", 0.3)
    held = await world.gate_status("latency")
    assert held["verdict"] == "HOLD"
    assert 'replica="b"' in held["worstSeries"]
    assert await world.exposure() < 20  # type: ignore[operator]
    await world.set("latency", 0.03, replica="b")
    await world.until(percent=100)


async def test_too_few_samples_hold_both_verdicts(world: World) -> None:
    fake = FakePrometheus.of(world)
    await world.policy(url=fake.url)
    success = {"advance": {"gt": 0.6}, "rollback": {"lt": 0.5, "confirm": 1}}
    for name, value in (("good", 0.9), ("bad", 0.2)):
        await world.set(f"{name}_success", value)
        await world.set(f"{name}_trades", 49)
        gate = world.gate("success", metric=f"{name}_success", samples={"count": world.selector(f"{name}_trades"), "min": 50}, **success)
        await world.rollout(name, canary={"percents": [10, 100], "dwell": "1s"}, gates=[gate])
    for name in ("good", "bad"):
        await world.until(name, percent=10)
        await fake.evaluated(world.selector(f"{name}_success"), 5)
        assert (await world.status(name))["percent"] == 10
        assert (await world.gate_status("success", name))["verdict"] == "HOLD"
    await world.set("good_trades", 50)
    await world.until("good", percent=100)
    assert (await world.status("bad"))["state"] == "ROLLING_OUT"
    await world.set("bad_trades", 50)
    await world.until("bad", state="ROLLBACK", percent=0)


async def test_steps_edited_mid_run_keep_the_percent_and_go_on_above_it(world: World) -> None:
    await world.policy()
    async with world.traced() as trace:
        await world.rollout(canary={"percents": [10, 50, 100], "dwell": "1h"})
        before = await world.until(percent=10, step=1, steps=3)
        await world.edit(strategy={"canary": {"percents": [5, 25, 60, 100], "dwell": "2s"}})
        after = await world.until(steps=4)
        assert (after["percent"], after["step"], after["effectiveAt"]) == (10, 1, before["effectiveAt"])
        await world.until(phase="Succeeded", percent=100, step=4)
    assert trace.percents == [0, 10, 25, 60, 100]
    assert "SpecEdited" in transitions(await world.records())


async def test_the_band_is_open_or_closed_as_it_is_written(world: World) -> None:
    await world.policy()
    await world.set("load", 0.5)
    for name, advance in (("open", {"lt": 0.5}), ("closed", {"lte": 0.5})):
        await world.rollout(name, canary={"percents": [10, 100], "dwell": "1s"}, gates=[world.gate("load", advance=advance)])
    await world.until("closed", percent=100)

    async def held() -> bool:
        return (await world.gate_status("load", "open")).get("verdict") == "HOLD"

    await eventually("the open gate was read", held)
    assert (await world.status("open"))["percent"] == 10
