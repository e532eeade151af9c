"""The way back: what rolls back and how soon, what doesn't, and what stays rejected."""

import time

import pytest

from tests.e2e.support.api import Json, eventually
from tests.e2e.support.fake import FakePrometheus
from tests.e2e.support.pace import paced
from tests.e2e.support.world import HELD, QUICK, World, one_sample

INTERVAL = 1.0


async def first_bad_sample(world: World, metric: str, above: float) -> float:
    """The time of the first sample above a bound, as Prometheus stored it."""

    async def check() -> float | None:
        return await world.instant(f"min(timestamp({world.selector(metric)} > {above}))")

    return float(await eventually(f"{metric} is above {above} in Prometheus", check, 30, every=0.05))


async def test_a_breach_that_lasts_rolls_back(world: World) -> None:
    await world.exposed(gates=[world.errors(**{"for": "4s"})], flag_fields={"allow": ["alice"]})
    assert await world.sees("alice")
    async with world.traced() as trace, paced(world) as pace:
        await world.set("errors", 0.9)
        since = await first_bad_sample(world, "errors", 0.5)
        await world.rolled_back(step=0, pending=None)
    lasted = trace.first(0) - since
    print(f"\nrolled back {lasted:.2f} s after the first bad sample (for: 4s)")
    assert 4 <= lasted <= 4 + 2 * INTERVAL + 1 + pace.slack
    assert trace.percents == [10, 0]
    assert not await world.sees("alice"), "nobody sees a feature that was rolled back, the allow list included"
    told = await world.told("RolledBack")
    assert told["message"].startswith("gate errors: 0.9 (advance < 0.1, rollback > 0.5 for 4s) since ")
    assert (told["fromPercent"], told["toPercent"]) == (10, 0)
    assert [(one["value"], one["verdict"]) for one in told["readings"]] == [("0.9", "ROLLBACK")]
    assert [(one["type"], one["note"]) for one in await world.events("RolledBack")] == [("Warning", told["message"])]


async def test_one_burst_under_a_long_range_does_not_count(world: World) -> None:
    await world.policy()
    await world.measured("failures_total", 0)
    rate = f"rate({world.selector('failures_total')}[8s])"
    gate = {"name": "failures", "query": rate, "advance": {"lt": 0.1}, "rollback": {"gt": 0.5, "for": "12s"}}
    async with world.traced() as trace:
        await world.rollout(canary=QUICK, gates=[gate])
        await world.until(percent=10)
        await world.set("failures_total", 1000)
        burst = "has three samples in breach because of one burst"
        status = await world.when(burst, lambda status: any(gate.get("breachedSamples", 0) >= 3 for gate in status.get("gates", [])))
        assert status["percent"] == 10
        await world.until(state="ENABLED", percent=100, attempt=1)
    assert trace.percents == [0, 10, 50, 100]
    assert "RolledBack" not in await world.transitions()


@pytest.mark.parametrize(("rule", "needed"), [({}, 2), ({"confirm": 1}, 1), ({"confirm": 3}, 3)], ids=["default", "one", "three"])
async def test_an_immediate_breach_rolls_back_on_distinct_samples(world: World, fake: FakePrometheus, rule: Json, needed: int) -> None:
    await world.policy(staleness="1m")
    await world.measured("errors", one_sample(0.01))
    gate = world.errors(**rule)
    await world.rollout(canary=HELD, gates=[gate])
    await world.until(percent=10)
    async with world.traced() as trace, paced(world) as pace:
        for number in range(1, needed):
            await world.set("errors", one_sample(0.9 + number / 100))
            await world.shown("errors", 0.9 + number / 100)
            await fake.evaluated(gate["query"], 3)
            held = await world.gate_status("errors")
            assert (held["verdict"], held["breachedSamples"]) == ("HOLD", number), "a sample counts once, however often it is read"
            assert trace.percents == [10]
        await world.set("errors", one_sample(0.99))
        seen = await first_bad_sample(world, "errors", 0.98)
        queryable = time.time()
        await world.rolled_back(pending=None)
    print(f"\n0 % was written {trace.first(0) - queryable:.2f} s after the deciding sample (of {seen:.3f}) was queryable")
    assert trace.first(0) - queryable <= 2 * INTERVAL + 1 + pace.slack
    assert trace.percents == [10, 0]
    assert f"in breach on {needed} of {needed} samples" in (await world.told("RolledBack"))["message"]


async def test_a_breach_from_before_the_first_exposure_is_not_the_features_fault(world: World, fake: FakePrometheus) -> None:
    await world.policy(staleness="1m")
    await world.measured("errors", one_sample(0.9))
    async with world.traced() as trace:
        await world.rollout(canary=QUICK, gates=[world.errors(confirm=1)])
        await world.until(percent=10)
        await fake.evaluated(world.selector("errors"), 5)
        assert trace.percents == [0, 10]
        await world.set("errors", 0.01)
        await world.until(percent=100)
    assert trace.percents == [0, 10, 50, 100]


async def test_a_bake_that_is_over_is_over(world: World, fake: FakePrometheus) -> None:
    """After the bake the numbers belong to other instruments: a healthy feature isn't taken back for an incident of next month."""
    await world.policy()
    await world.measured("errors", 0.01)
    gate = world.errors(confirm=1)
    await world.rollout("done", canary=QUICK, gates=[gate], bake="0s")
    await world.succeeded("done")
    await world.set("errors", 0.9)
    await first_bad_sample(world, "errors", 0.5)
    asked = await fake.evaluations(gate["query"])
    await world.rollout("later", canary=QUICK, gates=[gate])
    await world.until("later", state="ROLLBACK")
    assert await fake.evaluations(gate["query"]) > asked
    assert (await world.status("done"))["phase"] == "Succeeded"
    assert await world.exposure("done") == 100


async def test_without_a_new_revision_it_stays_rejected_and_with_one_it_starts_over(world: World) -> None:
    async with world.traced() as trace:
        await world.exposed(canary=HELD, gates=[world.errors(confirm=1)], revision="v1")
        await world.set("errors", 0.9)
        await world.rolled_back(rejectedRevision="v1")
        for kind, status in (("Ready", "False"), ("Stalled", "True"), ("Finished", "True")):
            assert (await world.condition("feature", kind, "RolledBack"))["status"] == status
        remedy = "Set spec.revision to a new value, or raise spec.retry to try again: revision v1 stays rejected"
        stalled = await world.condition("feature", "Stalled", "RolledBack")
        assert stalled["message"].startswith("gate errors: 0.9 (advance < ")
        assert stalled["message"].endswith(remedy)
        assert (await world.status())["waitingFor"] == stalled["message"]
        await world.measured("errors", 0.01)
        await world.hasten()

        edits: list[Json] = [{"bake": "5s"}, {"paused": True}, {"paused": False}, {"enabled": False}, {"enabled": True}, {"gates": []}]
        for edit in edits:
            found = await world.edited(**edit)
            assert (found["attempt"], found["percent"]) == (1, 0), f"after {edit}"
        await world.rolled_back(rejectedRevision="v1")
        assert trace.percents == [0, 10, 0]

        await world.edit(revision="v2")
        found = await world.succeeded(attempt=2, revision="v2")
    assert "rejectedRevision" not in found
    assert "Stalled" not in {one["type"] for one in found["conditions"]}
    assert trace.percents == [0, 10, 0, 10, 50, 100]
    runs = {run["spec"]["attempt"]: run for run in await world.api.list("rolloutruns", world.namespace)}
    assert (runs[1]["status"]["rejected"], runs[2]["status"].get("rejected", False)) == (True, False)
