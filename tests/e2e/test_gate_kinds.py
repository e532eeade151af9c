"""Gates of every kind on the real Prometheus: what its functions get wrong, and what Tidegate makes of the same series."""

import time

import pytest

from tests.e2e.support.api import Json, eventually
from tests.e2e.support.flow import Flow, flowing
from tests.e2e.support.world import HELD, QUICK, World

ERRORS = "violations_total"
BUCKET = "seconds_bucket"


def violations(world: World, at_least: int = 1, **count: str) -> Json:
    counter = {"counter": world.selector(ERRORS, job="pods")} | count
    return {"name": "violations", "count": counter, "rollback": {"gte": at_least}, "startsEmpty": True}


async def counts(world: World, value: float, total: float, **labels: str) -> None:
    """The counter gets to a value, and the operator shows so many events."""
    await world.set(ERRORS, value, **labels)
    await world.shown("violations", total)


# count


async def test_a_counter_born_at_one_counts(world: World) -> None:
    """increase() can't see this event: before it there was no series."""
    await world.policy()
    async with world.traced() as trace:
        await world.rollout(canary=HELD, gates=[violations(world)])
        await world.until(percent=10)
        await world.shown("violations", 0)  # no series at all, but the job's targets are up
        await world.set(ERRORS, 1)
        await world.rolled_back(pending=None)
    assert trace.percents == [0, 10, 0]
    assert await world.instant(f"increase({world.selector(ERRORS)}[1m])") in (None, 0.0), "what increase() says of it"
    assert "gate violations: 1 " in (await world.told("RolledBack"))["message"]


@pytest.mark.parametrize("case", ["the process begins anew", "two pods during a rolling update"])
async def test_what_a_counter_was_before_is_not_counted_and_what_follows_is(world: World, case: str) -> None:
    await world.policy()
    await world.measured(ERRORS, 1000, replica="old")
    await world.rollout(canary=HELD, gates=[violations(world, 5)])
    await world.until(percent=10)
    await world.shown("violations", 0)
    await counts(world, 1002, 2, replica="old")
    replica = "old"
    if case != "the process begins anew":
        replica = "new"
        await world.set(ERRORS, 0, replica="new")
        await world.unset(ERRORS, replica="old")
    await counts(world, 1, 3, replica=replica)
    await counts(world, 2, 4, replica=replica)
    assert (await world.status())["state"] == "ROLLING_OUT"
    await world.set(ERRORS, 3, replica=replica)
    await world.rolled_back()


async def test_a_count_since_the_step_begins_anew_with_each_step(world: World) -> None:
    await world.policy()
    await world.measured(ERRORS, 5)
    await world.rollout(canary={"percents": [10, 50, 100], "dwell": "8s"}, gates=[violations(world, 3, since="step")])
    await world.until(percent=10)
    await counts(world, 7, 2)
    await world.until(percent=50)
    await world.shown("violations", 0)
    await counts(world, 9, 2)
    assert (await world.status())["state"] == "ROLLING_OUT"


# latency


async def test_a_histogram_with_coarse_buckets_can_still_be_in_breach(world: World) -> None:
    """Nine in ten requests take longer than the last bucket; histogram_quantile says 5 at most, so `> 5` would never be true."""
    await world.policy()
    latency = {"histogram": world.selector(BUCKET), "quantile": 0.95, "over": "6s"}
    gate = {"name": "slow", "latency": latency, "advance": {"lt": 2}, "rollback": {"gt": 5}, "samples": {"min": 50}}
    async with flowing(world, BUCKET) as flow, world.traced() as trace:
        await in_buckets(world, flow, 98, 100)
        await world.rollout(canary=QUICK, gates=[gate])
        await world.until(percent=50)  # 2 % are slower than 2: p95 is below
        flow.at(5, le="2")
        flow.at(10, le="5")
        await world.rolled_back()
        quantile = await world.instant(f"histogram_quantile(0.95, sum by (le) (rate({world.selector(BUCKET)}[6s])))")
    assert quantile is not None
    assert quantile <= 5, "what histogram_quantile says of it"
    assert trace.percents == [0, 10, 50, 0]


async def in_buckets(world: World, flow: Flow, up_to_two: float, up_to_five: float) -> None:
    """A hundred requests a second, as many of them in these buckets; waits until all three are in Prometheus."""
    for bound, rate in (("2", up_to_two), ("5", up_to_five), ("+Inf", 100)):
        flow.at(rate, le=bound)
    await world.answers(f"count({world.selector(BUCKET)})", 3)


async def test_a_bound_that_is_no_bucket_is_named(world: World) -> None:
    await world.policy()
    latency = {"histogram": world.selector(BUCKET), "over": "6s"}
    async with flowing(world, BUCKET) as flow:
        await in_buckets(world, flow, 100, 100)
        await world.answers(f"count(count by (le) (rate({latency['histogram']}[6s] offset 2s)))", 3)  # at the last tick too
        await world.rollout(canary=QUICK, gates=[{"name": "slow", "latency": latency, "advance": {"lt": 3}, "rollback": {"gt": 5}}])
        ready = await world.condition("feature", "Ready", "QueryRefused")
        assert ready["message"] == "gate slow can never be judged: 3 is no bound of a bucket; there are 2, 5"
        assert (await world.status())["percent"] == 0, "what can't be judged exposes nobody"


# relativeTo


async def test_the_worst_of_eight_regimes_rolls_back(world: World) -> None:
    """The mean over all regimes has even improved."""
    await world.policy()
    for number in range(8):
        for variant, value in (("off", 0.8), ("on", 0.88)):
            world.stage("accuracy", value, regime=f"regime-{number}", variant=variant)
    await world.export()
    await world.answers(f"count({world.selector('accuracy')})", 16)
    on, off = (f"max by (regime) ({world.selector('accuracy', variant=variant)})" for variant in ("on", "off"))
    gate = {"name": "accuracy", "query": on, "relativeTo": {"query": off}, "advance": {"gte": 0}, "rollback": {"lt": -0.1}}
    async with world.traced() as trace:
        await world.rollout(canary=HELD, gates=[gate])
        await world.until(percent=10)
        await world.set("accuracy", 0.7, regime="regime-5", variant="on")
        status = await world.rolled_back(pending=None)
    assert trace.percents == [0, 10, 0]
    told = (await world.told("RolledBack"))["message"]
    assert told.startswith("gate accuracy: -0.125 ")
    assert told.endswith('of 2 samples, at regime="regime-5"')
    assert 'regime="regime-5"' in status["gates"][0]["worstSeries"]


async def test_a_season_is_compared_with_the_one_before(world: World) -> None:
    """The value has doubled since a while ago; a fixed bound that knew the season's height could not see it."""
    await world.policy()
    await world.measured("load", 100)
    gate = world.gate("load", relativeTo={"offset": "15s"}, advance={"lt": 0.2}, rollback={"gt": 0.5, "confirm": 1})
    await world.answers(f"{world.selector('load')} offset 15s", 100, 40)
    await world.rollout(canary=HELD, gates=[gate])
    await world.until(percent=10)
    await world.shown("load", 0)
    await world.set("load", 110)
    await world.shown("load", 0.1)
    assert (await world.status())["state"] == "ROLLING_OUT"
    await world.set("load", 200)
    await world.rolled_back()


async def test_a_baseline_ratchets_unless_the_policy_freezes_it(world: World) -> None:
    """Three attempts, each a third slower than the one before: beside its own start none is out of bounds, beside the frozen one it is."""
    await world.measured("latency", 1)
    normal = {"name": "normal", "query": world.selector("latency"), "over": "3s"}
    await world.policy(baselines=[normal])
    await baseline_is_above(world, 0.9)
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
        await world.answers(f"min_over_time({world.selector('latency')}[4s])", value, 40)  # it fills the range of the medians
        for name in gates:
            await world.edit(name, enabled=True)
        await world.until("ratchets", phase="Succeeded", revision=f"r{number}")
    await world.until("frozen", state="ROLLBACK")
    assert "RolledBack" not in await world.transitions("ratchets")
    await world.edit_policy(baselines=[normal | {"renewal": "2"}])
    await baseline_is_above(world, 1.7)


async def baseline_is_above(world: World, least: float) -> None:
    """Once the policy has measured it, or measured it anew."""

    async def check() -> bool:
        status = (await world.api.get("rolloutpolicies", "", world.namespace)).get("status") or {}
        return any(float(one["value"]) > least for one in status.get("baselines") or [])

    await eventually(f"the policy's baseline is above {least}", check)


# when, templates, names


async def test_while_the_market_is_closed_a_gate_does_not_apply(world: World) -> None:
    await world.policy()
    await world.set("market_open", 0)
    await world.measured("errors", 0.9)
    async with world.traced() as trace:
        await world.rollout(canary=QUICK, gates=[world.errors() | {"when": world.selector("market_open")}], bake="1h")
        await world.until(percent=50)
        assert (await world.gate_status("errors"))["verdict"] == "NOT_APPLICABLE"
        await world.set("market_open", 1)
        await world.rolled_back()
    assert trace.percents[-1] == 0


async def test_gates_come_from_the_policys_templates(world: World) -> None:
    await world.exposed(policy={"templates": [world.errors() | {"name": "error-rate"}]}, gates=[{"use": "error-rate"}])
    await world.rollout("misspelt", canary=HELD, gates=[{"use": "error-rat"}])
    missing = await world.condition("misspelt", "Stalled", "TemplateMissing")
    assert "gate error-rat uses template error-rat, which the RolloutPolicy doesn't have (it has error-rate)" in missing["message"]
    assert (await world.status("misspelt"))["phase"] == "Pending"
    await world.set("errors", 0.9)
    await world.rolled_back()


async def test_a_misspelt_metric_exposes_nobody(world: World) -> None:
    await world.policy()
    misspelt = world.errors() | {"query": world.selector("errors") + f" + {world.selector('errros_of_nobody')}"}
    await world.measured("errors", 0.01)
    async with world.traced("misspelt") as trace:
        await world.rollout("misspelt", canary=QUICK, gates=[misspelt])
        await world.rollout("fine", canary=QUICK, gates=[world.errors()])
        await world.until("fine", percent=50)
        stalled = await world.condition("misspelt", "Stalled", "NoSuchSeries")
    assert f"no series of {world.selector('errros_of_nobody')} within 7 days" in stalled["message"]
    assert [one for one in trace.percents if one is not None] == [0]  # None: the other's flag made the document before


async def test_a_query_that_only_prometheus_can_refuse_stalls_and_harms_nobody_else(world: World) -> None:
    await world.policy()
    for side in ("a", "b"):
        await world.set("left", 1, side=side)
        await world.set("right", 1, side=side)
    await world.set("errors", 0.01)
    await world.answers(f"{world.errors()['query']} offset 1s", 0.01)  # gates are asked at the last tick of the interval
    joined = {"name": "joined", "query": f"{world.selector('left')} / on (test) {world.selector('right')}", "advance": {"lt": 2}}
    await world.rollout("joined", canary=QUICK, gates=[joined])
    await world.rollout("fine", canary=QUICK, gates=[world.errors()])
    stalled = await world.condition("joined", "Stalled", "QueryRefused")
    assert stalled["message"].startswith("gate joined can never be judged: execution: ")
    await world.condition("joined", "MetricsAvailable", "Answering")
    await world.until("fine", phase="Succeeded")
    assert (await world.status("joined"))["percent"] == 0
    joined["query"] = world.selector("left", side="a")
    await world.edit("joined", gates=[joined])
    await world.until("joined", phase="Succeeded")


async def test_a_namespace_matcher_keeps_a_gate_to_its_own_series(world: World) -> None:
    """The exporter's series are of another namespace: with the matcher enforced a rollout can't be steered by them."""
    await world.exposed("own", policy={"enforceNamespaceLabel": "namespace"}, canary=QUICK, gates=[world.errors() | {"startsEmpty": True}])
    await world.gate_until("errors", "own", verdict="NO_DATA")
    since = time.time()
    await world.edit_policy(gateTemplates=[world.errors()])
    await world.rollout("template", canary=QUICK, gates=[{"use": "errors"}])
    await world.until("template", phase="Succeeded")
    print(f"\nthe template, which is the platform team's, went through in {time.time() - since:.1f} s")
    assert (await world.status("own"))["percent"] == 10
