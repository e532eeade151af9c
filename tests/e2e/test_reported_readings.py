"""Readings that users of comparable tools had trouble with, on the real Prometheus."""

import pytest

from tests.e2e.support.flow import flowing
from tests.e2e.support.world import BAND, HELD, QUICK, World

LATER = {"percents": [10, 50, 100], "dwell": "8s"}


@pytest.mark.parametrize("labels", [{"exporter": "ksm-2"}, {"exporter": "ksm-2", "node": "b"}], ids=["exporter", "exporter and another"])
async def test_a_counter_that_goes_on_under_another_exporter_counts_nothing_twice(world: World, labels: dict[str, str]) -> None:
    """kube-state-metrics is replaced: the same restarts under a new label are no new restarts."""
    kept = {label: "a" for label in labels if label == "node"}
    await world.measured("restarts_total", 7, exporter="ksm-1", **kept)
    await world.policy()
    gate = {"name": "restarts", "count": {"counter": world.selector("restarts_total", job="pods")}, "rollback": {"gte": 1}}
    await world.rollout(canary=LATER, gates=[gate])
    await world.until(percent=10)
    await world.shown("restarts", 0)
    await world.unset("restarts_total", exporter="ksm-1", **kept)
    await world.measured("restarts_total", 7, **(labels | kept))
    await world.shown("restarts", 0)
    await world.set("restarts_total", 8, **(labels | kept))
    await world.rolled_back(pending=None)
    assert (await world.told("RolledBack"))["message"].startswith("gate restarts: 1 ")


@pytest.mark.parametrize("others_base", [None, 0.0], ids=["none", "zero"])
async def test_one_route_without_a_base_silences_no_other(world: World, others_base: float | None) -> None:
    """Case 06: route b has nothing to be compared with; route a is ten times as bad as its base."""
    await world.measured("ratio", 1, route="a", variant="on")
    await world.measured("ratio", 0.5, route="b", variant="on")
    await world.measured("ratio", 0.1, route="a", variant="off")
    if others_base is not None:
        await world.measured("ratio", others_base, route="b", variant="off")
    on, off = (f"max by (route) ({world.selector('ratio', variant=variant)})" for variant in ("on", "off"))
    await world.policy()
    gate = {"name": "errors", "query": on, "relativeTo": {"query": off}, "advance": {"lt": 0.2}, "rollback": {"gt": 1}}
    await world.rollout(canary=HELD, gates=[gate])
    await world.rolled_back(pending=None)
    assert (await world.told("RolledBack"))["message"].startswith("gate errors: 9 ")


async def test_a_route_without_a_base_advances_nothing(world: World) -> None:
    await world.measured("ratio", 0.1, route="a", variant="on")
    await world.measured("ratio", 0.5, route="b", variant="on")
    await world.measured("ratio", 0.1, route="a", variant="off")
    on, off = (f"max by (route) ({world.selector('ratio', variant=variant)})" for variant in ("on", "off"))
    await world.policy()
    gate = {"name": "errors", "query": on, "relativeTo": {"query": off}, "advance": {"lt": 0.2}, "rollback": {"gt": 1}}
    await world.rollout(canary=QUICK, gates=[gate])
    found = await world.gate_until("errors", verdict="NO_DATA", noDataReason="BaselineMissing")
    assert 'route="b"' in found["message"]
    assert (await world.until(percent=10))["phase"] == "Progressing"


async def test_equal_bounds_in_two_spellings_are_one(world: World) -> None:
    """Case 19: two versions of a client library during a deployment."""
    await world.policy()
    async with flowing(world, "seconds_bucket") as flow:
        for le in ("1", "1.0"):
            flow.at(50, le=le)
        flow.at(100, le="+Inf")
        latency = {"histogram": world.selector("seconds_bucket"), "quantile": 0.95, "over": "5s"}
        gate = {"name": "slow", "latency": latency, "advance": {"lt": 1}, "rollback": {"gt": 1}}
        await world.rollout(canary=LATER, gates=[gate], bake="0s")
        await world.succeeded()


async def test_a_revision_that_there_is_none_of_is_refused_by_its_field(world: World) -> None:
    """Case 05: `version=""` would select the series without the label."""
    await world.measured("errors", 0)
    await world.measured("errors", 0.9, version="v2")
    await world.policy()
    gate = {"name": "errors", "query": f"max({world.selector('errors', version='$revision')})"} | BAND
    await world.rollout(canary=QUICK, gates=[gate])
    told = await world.condition("feature", "Stalled", "InvalidQuery")
    assert "set spec.revision" in told["message"]
    assert (await world.status()).get("percent", 0) == 0
    await world.edit(revision="v2")
    await world.rolled_back(pending=None)


@pytest.mark.parametrize("exists", [True, False], ids=["another tenant's", "nobody's"])
async def test_a_confined_rollout_learns_nothing_of_other_tenants_metrics(world: World, exists: bool) -> None:
    """Case 41: whether the metric exists elsewhere must make no difference."""
    if exists:
        await world.measured("theirs", 0, team="another-tenant")
    await world.policy(enforceNamespaceLabel="team")
    gate = {"name": "errors", "query": f"max({world.selector('theirs')})"} | BAND
    await world.rollout(canary=QUICK, gates=[gate])
    told = await world.condition("feature", "Stalled", "NoSuchSeries")
    assert "theirs" in told["message"]
    assert (await world.status())["phase"] == "Pending"
