"""The way up: step by step, never sooner than the dwell, never without the gates, as clients and records show it."""

import itertools
from datetime import datetime

from tests.e2e.support.audit import chain_faults, dwells
from tests.e2e.support.fake import FakePrometheus
from tests.e2e.support.pace import paced
from tests.e2e.support.world import QUICK, World

INTERVAL = 1.0


async def test_climbs_to_enabled_through_every_step_and_dwells_at_each(world: World) -> None:
    await world.policy()
    await world.measured("errors", 0.01)
    wanted = {10: 1, 50: 4, 100: 2}
    async with world.traced() as trace, paced(world) as pace:
        steps = [{"percent": percent, "dwell": f"{dwell}s"} for percent, dwell in wanted.items()]
        await world.rollout(canary={"steps": steps}, gates=[world.errors()])
        status = await world.succeeded(pending=None)
    assert trace.percents == [0, *wanted]

    records = await world.records()
    enabled = datetime.fromisoformat((await world.told("Enabled"))["time"]).timestamp()
    entered = [trace.first(percent) for percent in wanted] + [enabled]
    stays = [after - before for before, after in itertools.pairwise(entered)]
    print(f"\ndwells by percent: {wanted} s; stayed {[round(stay, 2) for stay in stays]} s; slack of this machine: {pace.slack:.2f} s")
    for dwell, lasted, stay in zip(wanted.values(), dwells(records), stays, strict=True):
        assert lasted >= dwell, "by the operator's own clock: a watch may tell of a step late, and of the next one soon"
        assert stay <= dwell + 2 * INTERVAL + 1 + pace.slack

    decided = [one for percent in wanted for one in (("StepDecided", percent), ("StepEffective", percent))]
    told = [("AttemptStarted", 0), *decided, ("Enabled", 100), ("Succeeded", 100)]
    assert [(one["transition"], one["toPercent"]) for one in records] == told
    assert chain_faults(records) == []
    decisions = [one for one in records if one["transition"] in ("StepDecided", "Enabled")]
    assert [[reading["value"] for reading in one.get("readings", [])] for one in decisions] == [[], ["0.01"], ["0.01"], ["0.01"]]
    conditions = {one["type"]: one["status"] for one in status["conditions"]}
    assert conditions == {"Ready": "True", "Finished": "True"}, "nothing is asked any more, so nothing is said of the source"


async def test_a_range_that_reaches_back_before_the_step_does_not_advance_it(world: World) -> None:
    """Nine tenths of what a long range shows right after a step is the step before."""
    await world.policy()
    await world.measured("errors", 0.01)
    average = {"name": "errors", "query": f"avg_over_time({world.selector('errors')}[6s])", "advance": {"lt": 0.1}}
    async with world.traced() as trace, paced(world) as pace:
        await world.rollout(canary=QUICK, gates=[average])
        await world.until(percent=100)
        await world.until(pending=None)
    assert min(dwells(await world.records())[:2]) >= 6
    for before, after in ((10, 50), (50, 100)):
        stay = trace.first(after) - trace.first(before)
        assert stay <= 6 + 2 * INTERVAL + 1 + pace.slack, f"stayed at {before} % for {stay:.2f} s, with a range of 6 s"


async def test_too_few_samples_hold_both_verdicts(world: World, fake: FakePrometheus) -> None:
    await world.policy()
    success = {"advance": {"gt": 0.6}, "rollback": {"lt": 0.5, "confirm": 1}}
    for name, value in (("good", 0.9), ("bad", 0.2)):
        await world.set(f"{name}_success", value)
        await world.set(f"{name}_trades", 49)
        gate = world.gate("success", metric=f"{name}_success", samples={"count": world.selector(f"{name}_trades"), "min": 50}, **success)
        await world.rollout(name, canary=QUICK, gates=[gate])
    for name in ("good", "bad"):
        await world.until(name, percent=10)
        await fake.evaluated(world.selector(f"{name}_success"), 5)
        assert (await world.status(name))["percent"] == 10
        assert (await world.gate_status("success", name))["verdict"] == "HOLD"
    await world.set("good_trades", 50)
    await world.until("good", percent=100)
    assert (await world.status("bad"))["state"] == "ROLLING_OUT"
    await world.set("bad_trades", 50)
    await world.rolled_back("bad")


async def test_steps_edited_mid_run_keep_the_percent_and_go_on_above_it(world: World) -> None:
    async with world.traced() as trace:
        before = await world.exposed()
        assert (before["step"], before["steps"]) == (1, 3)
        await world.hasten(percents=(5, 25, 60, 100), dwell="5s")
        after = await world.until(steps=4)
        assert (after["percent"], after["step"], after["effectiveAt"]) == (10, 1, before["effectiveAt"])
        await world.succeeded(step=4)
    assert trace.percents == [0, 10, 25, 60, 100]
    assert "SpecEdited" in await world.transitions()
