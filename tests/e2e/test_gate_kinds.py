"""Gates of every kind on the real Prometheus: what its functions get wrong, and what Tidegate makes of the same series."""

import time
from typing import Any

from tests.e2e.support.api import Json, eventually
from tests.e2e.support.flow import flowing
from tests.e2e.support.records import record_of, transitions
from tests.e2e.support.world import World

HELD: Json = {"percents": [10, 50, 100], "dwell": "1h"}
QUICK: Json = {"percents": [10, 50, 100], "dwell": "2s"}


def violations(world: World, at_least: int = 1, **labels: str) -> Json:
    selector = world.selector("violations_total", job="pods", **labels)
    return {"name": "violations", "count": {"counter": selector}, "rollback": {"gte": at_least}, "startsEmpty": True}


async def counted(world: World, total: float) -> None:
    """Waits until the operator shows this many events."""
    await world.shown("violations", total)


# count


async def test_a_counter_born_at_one_counts(world: World) -> None:
    """increase() can't see this event: before it there was no series."""
    await world.policy()
    async with world.traced() as trace:
        await world.rollout(canary=HELD, gates=[violations(world)])
        await world.until(percent=10)
        await counted(world, 0)  # no series at all, but the job's targets are up
        await world.set("violations_total", 1)
        await world.until(state="ROLLBACK", phase="RolledBack", percent=0)
    assert trace.percents == [0, 10, 0]
    assert await world.instant(f"increase({world.selector('violations_total')}[1m])") in (None, 0.0), "what increase() says of it"
    assert "gate violations: 1 " in record_of(await world.records(), "RolledBack")["message"]


async def test_a_counter_that_is_reset_goes_on_counting_and_its_past_is_not_counted(world: World) -> None:
    await world.policy()
    await world.set("violations_total", 40)
    await world.queryable("violations_total", 40)
    await world.rollout(canary=HELD, gates=[violations(world, 5)])
    await world.until(percent=10)
    await counted(world, 0)
    await world.set("violations_total", 42)
    await counted(world, 2)
    await world.set("violations_total", 1)  # the process began anew
    await counted(world, 3)
    await world.set("violations_total", 2)
    await counted(world, 4)
    assert (await world.status())["state"] == "ROLLING_OUT"
    await world.set("violations_total", 3)
    await world.until(state="ROLLBACK", phase="RolledBack", percent=0)


async def test_two_pods_during_a_rolling_update_are_counted_together(world: World) -> None:
    await world.policy()
    await world.set("violations_total", 1000, replica="old")
    await world.queryable("violations_total", 1000)
    await world.rollout(canary=HELD, gates=[violations(world, 3)])
    await world.until(percent=10)
    await counted(world, 0)
    await world.set("violations_total", 1001, replica="old")
    await counted(world, 1)
    await world.set("violations_total", 0, replica="new")
    await world.unset("violations_total", replica="old")
    await world.set("violations_total", 1, replica="new")
    await counted(world, 2)
    assert (await world.status())["state"] == "ROLLING_OUT"
    await world.set("violations_total", 2, replica="new")
    await world.until(state="ROLLBACK", phase="RolledBack", percent=0)


async def test_a_count_since_the_step_begins_anew_with_each_step(world: World) -> None:
    await world.policy()
    await world.set("violations_total", 5)
    await world.queryable("violations_total", 5)
    gate = {"name": "violations", "count": {"counter": world.selector("violations_total"), "since": "step"}, "rollback": {"gte": 3}}
    await world.rollout(canary={"percents": [10, 50, 100], "dwell": "8s"}, gates=[gate])
    await world.until(percent=10)
    await world.set("violations_total", 7)
    await counted(world, 2)
    await world.until(percent=50)
    await counted(world, 0)
    await world.set("violations_total", 9)
    await counted(world, 2)
    assert (await world.status())["state"] == "ROLLING_OUT"


# latency


async def test_a_histogram_with_coarse_buckets_can_still_be_in_breach(world: World) -> None:
    """Nine in ten requests take longer than the last bucket; histogram_quantile says 5 at most, so `> 5` would never be true."""
    await world.policy()
    selector = world.selector("seconds_bucket")
    gate = {"name": "slow", "latency": {"histogram": selector, "quantile": 0.95, "over": "6s"}, "advance": {"lt": 2}, "rollback": {"gt": 5}}
    async with flowing(world, "seconds_bucket") as flow, world.traced() as trace:
        for bound, rate in (("2", 98), ("5", 100), ("+Inf", 100)):
            flow.at(rate, le=bound)
        await reached(world, selector)
        await world.rollout(canary={"percents": [10, 50, 100], "dwell": "1s"}, gates=[gate | {"samples": {"min": 50}}])
        await world.until(percent=50)  # 2 % are slower than 2: p95 is below
        flow.at(5, le="2")
        flow.at(10, le="5")
        await world.until(state="ROLLBACK", phase="RolledBack", percent=0)
        quantile = await world.instant(f"histogram_quantile(0.95, sum by (le) (rate({selector}[6s])))")
    assert quantile is not None
    assert quantile <= 5, "what histogram_quantile says of it"
    assert trace.percents == [0, 10, 50, 0]


async def reached(world: World, selector: str) -> float:
    """Waits until all buckets are in Prometheus; the largest value."""

    async def check() -> float | None:
        return await world.instant(f"max({selector}) and (count({selector}) == 3)")

    return float(await eventually("three buckets", check, 30))


async def test_a_bound_that_is_no_bucket_is_named(world: World) -> None:
    await world.policy()
    selector = world.selector("seconds_bucket")
    gate = {"name": "slow", "latency": {"histogram": selector, "over": "6s"}, "advance": {"lt": 3}, "rollback": {"gt": 5}}
    async with flowing(world, "seconds_bucket") as flow:
        for bound in ("2", "5", "+Inf"):
            flow.at(100, le=bound)
        await reached(world, selector)
        await world.rollout(canary=QUICK, gates=[gate])
        await world.until(percent=10)

        async def named() -> bool:
            return (await world.gate_status("slow")).get("noDataReason") == "NoSuchBucket"

        await eventually("the gate says why", named)
        assert (await world.gate_status("slow"))["message"] == "3 is no bound of a bucket; there are 2, 5"
        assert (await world.status())["percent"] == 10


# relativeTo


async def test_the_worst_of_eight_regimes_rolls_back(world: World) -> None:
    """The mean over all regimes has even improved."""
    await world.policy()
    regimes = [f"regime-{number}" for number in range(8)]
    for regime in regimes:
        await world.set("accuracy", 0.8, regime=regime, variant="off")
        await world.set("accuracy", 0.88, regime=regime, variant="on")
    await world.queryable("accuracy", 0.8)
    on, off = (f"max by (regime) ({world.selector('accuracy', variant=variant)})" for variant in ("on", "off"))
    gate = {"name": "accuracy", "query": on, "relativeTo": {"query": off}, "advance": {"gte": 0}, "rollback": {"lt": -0.1}}
    async with world.traced() as trace:
        await world.rollout(canary={"percents": [10, 100], "dwell": "2s"}, gates=[gate], paused=True)
        await world.edit(paused=False)
        await world.until(percent=10)
        await world.set("accuracy", 0.7, regime="regime-5", variant="on")
        await world.until(state="ROLLBACK", phase="RolledBack", percent=0)
    assert 100 not in trace.percents
    status = record_of(await world.records(), "RolledBack")
    assert status["message"].startswith("gate accuracy: -0.125 ")


async def test_a_season_is_compared_with_the_one_before(world: World) -> None:
    """The value has doubled since a while ago; a fixed bound that knew the season's height could not see it."""
    await world.policy()
    await world.set("load", 100)
    await world.queryable("load", 100)
    gate = world.gate("load", relativeTo={"offset": "15s"}, advance={"lt": 0.2}, rollback={"gt": 0.5, "confirm": 1})

    async def old_enough() -> bool:
        return await world.instant(f"{world.selector('load')} offset 15s") == 100

    await eventually("a sample of 15 seconds ago", old_enough, 40)
    await world.rollout(canary=HELD, gates=[gate])
    await world.until(percent=10)
    await world.shown("load", 0)
    await world.set("load", 110)
    await world.shown("load", 0.1)
    assert (await world.status())["state"] == "ROLLING_OUT"
    await world.set("load", 200)
    await world.until(state="ROLLBACK", phase="RolledBack", percent=0)


async def test_a_baseline_ratchets_unless_the_policy_freezes_it(world: World) -> None:
    """Three attempts, each a third slower than the one before: beside its own start none is out of bounds, beside the frozen one it is."""
    await world.set("latency", 1)
    await world.queryable("latency", 1)
    await world.policy(baselines=[{"name": "normal", "query": world.selector("latency"), "over": "3s"}])

    async def measured() -> bool:
        found.append((await world.api.get("rolloutpolicies", "", world.namespace)).get("status") or {})
        return bool(found[-1].get("baselines"))

    found: list[Json] = []
    try:
        await eventually("the policy has measured its baseline", measured)
    except AssertionError as error:
        raise AssertionError(f"{error}; its status: {found[-1]}") from None
    bounds: Json = {"advance": {"lt": 0.4}, "rollback": {"gt": 0.5}}
    gates = {
        "ratchets": world.gate("latency", relativeTo={"start": {"over": "3s"}}) | bounds,
        "frozen": world.gate("latency", relativeTo={"baseline": "normal"}) | bounds,
    }
    for name, gate in gates.items():
        await world.rollout(name, canary={"percents": [10, 100], "dwell": "1s"}, gates=[gate], revision="r0")
        await world.until(name, phase="Succeeded")
    for number, value in enumerate((1.33, 1.77), start=1):
        for name in gates:
            await world.edit(name, revision=f"r{number}", enabled=False)
            await world.until(name, phase="Disabled", percent=0)
        await world.set("latency", value)

        async def settled(value: float = value) -> bool:
            return await world.instant(f"min_over_time({world.selector('latency')}[4s])") == value

        await eventually("the new value fills the range of the medians", settled, 40)
        for name in gates:
            await world.edit(name, enabled=True)
        await world.until("ratchets", phase="Succeeded", revision=f"r{number}")
    await world.until("frozen", state="ROLLBACK")
    assert "RolledBack" not in transitions(await world.records("ratchets"))
    renewed = [{"name": "normal", "query": world.selector("latency"), "over": "3s", "renewal": "2"}]
    await world.api.patch("rolloutpolicies", "", world.namespace, {"spec": {"baselines": renewed}})

    async def anew() -> bool:
        found = (await world.api.get("rolloutpolicies", "", world.namespace))["status"]["baselines"]
        return bool(found and float(found[0]["value"]) > 1.7)

    await eventually("the baseline is measured anew on request", anew)


# when, templates, names


async def test_while_the_market_is_closed_a_gate_does_not_apply(world: World) -> None:
    await world.policy()
    await world.set("market_open", 0)
    await world.set("errors", 0.9)
    await world.queryable("errors", 0.9)
    gate = world.gate("errors", when=world.selector("market_open"), advance={"lt": 0.1}, rollback={"gt": 0.5})
    async with world.traced() as trace:
        await world.rollout(canary={"percents": [10, 50], "dwell": "2s"} | {"percents": [10, 50, 100]}, gates=[gate], bake="1h")
        await world.until(percent=50)
        assert (await world.gate_status("errors"))["verdict"] == "NOT_APPLICABLE"
        await world.set("market_open", 1)
        await world.until(state="ROLLBACK", phase="RolledBack", percent=0)
    assert trace.percents[-1] == 0


async def test_gates_come_from_the_policys_templates(world: World) -> None:
    await world.set("errors", 0.01)
    await world.queryable("errors", 0.01)
    template = world.gate("error-rate", metric="errors", advance={"lt": 0.1}, rollback={"gt": 0.5, "confirm": 1})
    await world.policy(templates=[template])
    await world.rollout(canary=HELD, gates=[{"use": "error-rate"}])
    await world.rollout("misspelt", canary=HELD, gates=[{"use": "error-rat"}])
    await world.until(percent=10)
    missing = await world.condition("misspelt", "Stalled", "TemplateMissing")
    assert "gate error-rat uses template error-rat, which the RolloutPolicy doesn't have (it has error-rate)" in missing["message"]
    assert (await world.status("misspelt"))["phase"] == "Pending"
    await world.set("errors", 0.9)
    await world.until(state="ROLLBACK", phase="RolledBack", percent=0)


async def test_a_misspelt_metric_exposes_nobody(world: World) -> None:
    await world.policy()
    gate = world.gate("errors", advance={"lt": 0.1}, rollback={"gt": 0.5})
    misspelt = gate | {"query": world.selector("errors") + f" + {world.selector('errros_of_nobody')}"}
    await world.set("errors", 0.01)
    await world.queryable("errors", 0.01)
    async with world.traced("misspelt") as trace:
        await world.rollout("misspelt", canary=QUICK, gates=[misspelt])
        stalled = await world.condition("misspelt", "Stalled", "NoSuchSeries")
        await world.rollout("fine", canary=QUICK, gates=[gate])
        await world.until("fine", percent=50)
    assert "no series of errros_of_nobody{} within 7 days" in stalled["message"]
    assert trace.percents == [0]


async def test_a_query_that_only_prometheus_can_refuse_stalls_and_harms_nobody_else(world: World) -> None:
    await world.policy()
    for side in ("a", "b"):
        await world.set("left", 1, side=side)
        await world.set("right", 1, side=side)
    await world.set("errors", 0.01)
    await world.queryable("errors", 0.01)
    joined = {"name": "joined", "query": f"{world.selector('left')} / on (test) {world.selector('right')}", "advance": {"lt": 2}}
    fine: dict[str, Any] = world.gate("errors", advance={"lt": 0.1})
    await world.rollout("joined", canary=QUICK, gates=[joined])
    await world.rollout("fine", canary=QUICK, gates=[fine])
    await world.until("joined", percent=10)
    stalled = await world.condition("joined", "Stalled", "QueryRefused")
    assert "gate joined: Prometheus refuses its query" in stalled["message"]
    await world.condition("joined", "MetricsAvailable", "Answering")
    await world.until("fine", phase="Succeeded")
    assert (await world.status("joined"))["percent"] == 10


async def test_a_namespace_matcher_keeps_a_gate_to_its_own_series(world: World) -> None:
    """The exporter's series are of another namespace: with the matcher enforced a rollout can't be steered by them."""
    await world.set("errors", 0.01)
    await world.queryable("errors", 0.01)
    await world.policy(enforceNamespaceLabel="namespace")
    gate = world.gate("errors", advance={"lt": 0.1}, startsEmpty=True)
    template = world.gate("errors", advance={"lt": 0.1})
    await world.rollout("own", canary=QUICK, gates=[gate])
    await world.until("own", percent=10)

    async def nothing_found() -> bool:
        return (await world.gate_status("errors", "own")).get("noDataReason") in ("Empty", "Stale")

    await eventually("the gate finds nothing in its own namespace", nothing_found)
    since = time.time()
    await world.api.patch("rolloutpolicies", "", world.namespace, {"spec": {"gateTemplates": [template]}})
    await world.rollout("template", canary=QUICK, gates=[{"use": "errors"}])
    await world.until("template", phase="Succeeded")
    print(f"\nthe template, which is the platform team's, went through in {time.time() - since:.1f} s")
    assert (await world.status("own"))["percent"] == 10
