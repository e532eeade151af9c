"""Every example is accepted by the API server as it stands; those that a test can drive are applied for real, in the test's namespace."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.docs.blocks import fences
from tests.e2e.support.api import Json
from tests.e2e.support.exposure import DOCUMENT, lease_of, nearest_percent, share_on
from tests.e2e.support.installation import ROOT, Cluster
from tests.e2e.support.world import World

FILES = sorted((ROOT / "examples").glob("*.yaml"))
APPLY = ("apply", "--validate=strict", "--warnings-as-errors")


def placed(world: World, path: Path) -> list[Json]:
    """The objects of an example as written, but for a clock of seconds, the namespace, and the policy, which are the test's own."""
    objects: list[Json] = [body for body in yaml.safe_load_all(path.read_text()) if body["kind"] != "Namespace"]
    for body in objects:
        if "namespace" in body["metadata"]:
            assert body["metadata"]["namespace"] == "shop"
            body["metadata"]["namespace"] = world.namespace
        if body["kind"] == "RolloutPolicy":
            body["metadata"] |= {"name": world.namespace, "labels": {"test": world.namespace}}
        if body["kind"] == "FeatureRollout":
            body["spec"]["policyRef"] = {"name": world.namespace}
            body["spec"]["strategy"]["canary"]["dwell"] = "2s"
            for gate in body["spec"].get("gates", []):
                gate["query"] = gate["query"].replace("{", f'{{test="{world.namespace}",')
    return objects


async def apply(cluster: Cluster, objects: list[Json]) -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    await asyncio.to_thread(cluster.run, cluster.kubectl, *APPLY, "-f", "-", text=text)


def test_examples_are_numbered_from_one_without_a_gap() -> None:
    assert [path.name[:3] for path in FILES] == [f"{number:02d}-" for number in range(1, len(FILES) + 1)]


@pytest.fixture
def shop(cluster: Cluster) -> Iterator[None]:
    """The examples' namespace, made by the first of them. The installed operator looks after others only."""
    there = cluster.run(cluster.kubectl, "get", "namespace", "shop", "--ignore-not-found")
    namespace = next(body for body in yaml.safe_load_all(FILES[0].read_text()) if body["kind"] == "Namespace")
    cluster.run(cluster.kubectl, *APPLY, "-f", "-", text=json.dumps(namespace))
    yield
    if not there:
        cluster.run(cluster.kubectl, "delete", "namespace", "shop", "--timeout=90s")


@pytest.mark.usefixtures("shop")
def test_the_examples_are_accepted_as_they_stand(cluster: Cluster) -> None:
    for path in FILES:
        said = cluster.run(cluster.kubectl, *APPLY, "--dry-run=server", "-f", str(path))
        assert said.count("(server dry run)") == len(list(yaml.safe_load_all(path.read_text()))), said


@pytest.mark.usefixtures("shop")
def test_the_manifests_of_the_documents_are_accepted(cluster: Cluster) -> None:
    bodies = [body for block in fences() if block.language == "yaml" for body in yaml.safe_load_all(block.text)]
    ours = [body for body in bodies if isinstance(body, dict) and str(body.get("apiVersion")).startswith("tidegate.io/")]
    assert len(ours) > 2
    for body in ours:
        said = cluster.run(cluster.kubectl, *APPLY, "--dry-run=server", "-f", "-", text=json.dumps(body))
        assert "(server dry run)" in said


async def test_the_first_rollout_climbs_and_falls(world: World, cluster: Cluster) -> None:
    await world.measured("search_error_ratio", 0.001, variant="on")
    policy, rollout = placed(world, ROOT / "examples/01-first-rollout.yaml")
    policy["spec"]["prometheus"]["interval"] = "1s"
    async with world.traced("new-search", "shop-flags") as trace:
        await apply(cluster, [policy, rollout])
        await world.until("new-search", phase="Baking", state="ENABLED", percent=100)
        await world.set("search_error_ratio", 0.5, variant="on")
        await world.rolled_back("new-search")
    assert trace.percents == [0, 10, 50, 100, 0]


async def test_a_segment_with_a_lease_climbs_to_its_control_group(world: World, cluster: Cluster) -> None:
    await world.policy()
    await world.measured("checkout_error_ratio", 0.001, variant="on")
    user = {"tier": "enterprise", "country": "NO"}
    async with world.traced("quick-checkout", "shop-flags") as trace:
        await apply(cluster, placed(world, ROOT / "examples/10-segment-lease-holdback.yaml"))
        await world.until("quick-checkout", phase="Baking", state="ENABLED", percent=95)
    seen = [share_on(body["data"][DOCUMENT], "quick-checkout", user, at=at) for at, body in trace.versions]
    assert list(dict.fromkeys(nearest_percent(share, (0, 10, 50, 95, 100)) for share in seen)) == [0, 10, 50, 95]
    assert set(trace.percents) <= {None, 0}, "outside the segment nobody sees it"
    leases = [lease_of(body["data"][DOCUMENT], "quick-checkout") for _, body in trace.versions]
    assert any(leases)
    assert leases[-1] is None


async def test_a_live_feature_is_never_turned_off(world: World, cluster: Cluster) -> None:
    await world.policy()
    async with world.traced("recommendations", "shop-flags") as trace:
        await apply(cluster, placed(world, ROOT / "examples/04-live-feature.yaml"))
        await world.until("recommendations", phase="Baking", state="ENABLED", percent=100)
        await world.delete("recommendations")
    assert trace.percents == [100]


async def test_an_example_can_be_applied_again_while_its_rollout_climbs(world: World, cluster: Cluster) -> None:
    await world.policy()
    objects = placed(world, ROOT / "examples/08-flag-set.yaml")
    async with world.traced("new-menu", "menu-flags") as trace:
        await apply(cluster, objects)
        await world.until("new-menu", percent=50)
        await apply(cluster, objects)
        await world.until("new-menu", phase="Baking", state="ENABLED", percent=100)
    assert trace.percents == [0, 10, 50, 100]
    assert not {"Drifted", "LoweredElsewhere"} & set(await world.transitions("new-menu"))
    assert await world.document("web-flags") == json.loads(objects[0]["data"][DOCUMENT])
