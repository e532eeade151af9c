"""The policy that an attempt began under is its own until it ends: another name in the spec counts from the next attempt on."""

from typing import Any

from tests.e2e.support.api import Json
from tests.e2e.support.fake import FakePrometheus
from tests.e2e.support.records import record_of, transitions
from tests.e2e.support.world import World

HELD: Json = {"percents": [10, 50, 100], "dwell": "1h"}
FLOOR: Json = {"rollback": {"lt": 0.5, "confirm": 1}}


async def two_policies(world: World) -> tuple[str, str, FakePrometheus]:
    """Names of two policies with a guard each, `uptime` and `latency`, and the source of the first."""
    fake = FakePrometheus.of(world)
    for metric in ("uptime", "latency"):
        await world.set(metric, 1)
        await world.queryable(metric, 1)
    old, new = f"{world.namespace}-old", f"{world.namespace}-new"
    await world.policy(old, url=fake.url, guards=[world.gate("uptime", **FLOOR)])
    await world.policy(new, guards=[world.gate("latency", **FLOOR)])
    return old, new, fake


async def edited(world: World, **spec: Any) -> Json:
    """The status once it is about the edited spec."""
    await world.edit(**spec)
    generation = (await world.api.get("featurerollouts", world.namespace, "feature"))["metadata"]["generation"]
    return await world.until(observedGeneration=generation, pending=None)


async def test_another_policy_counts_from_the_next_attempt_on(world: World) -> None:
    old, new, fake = await two_policies(world)
    async with world.traced() as trace:
        await world.rollout(policyRef={"name": old}, canary=HELD, bake="1h", revision="v1")
        before = await world.until(percent=10, pending=None)
        status = await edited(world, policyRef={"name": new})
        assert status["policy"] == before["policy"]
        assert status["policy"]["name"] == old

        await world.set("latency", 0)  # a breach for the new policy's guard, of which the old one knows nothing
        await fake.evaluated(world.selector("uptime"), 5)
        status = await world.status()
        assert (status["state"], status["percent"]) == ("ROLLING_OUT", 10)
        assert [(gate["source"], gate["name"]) for gate in status["gates"]] == [("policy", "uptime")]

        await world.set("uptime", 0)
        await world.until(state="ROLLBACK", phase="RolledBack", percent=0, pending=None)
        told = record_of(await world.records(), "RolledBack")
        assert told["message"].startswith("guard uptime: 0 (")
        assert trace.percents == [0, 10, 0]

        await world.set("latency", 1)
        await world.queryable("latency", 1)
        await edited(world, revision="v2")
        status = await world.until(percent=10, attempt=2, pending=None)
        assert status["policy"]["name"] == new
        await world.until(phase="Progressing")
        assert trace.percents == [0, 10, 0, 10], "the old policy's guard is still in breach, and counts no more"
        assert [gate["name"] for gate in (await world.status())["gates"]] == ["latency"]
        await world.set("latency", 0)
        await world.until(state="ROLLBACK", phase="RolledBack", percent=0, pending=None)
    assert record_of(await world.records(), "RolledBack")["message"].startswith("guard latency: 0 (")


async def test_an_edit_of_the_pinned_policy_counts_at_once_and_is_recorded(world: World) -> None:
    old, new, _ = await two_policies(world)
    await world.rollout(policyRef={"name": old}, canary=HELD, bake="1h")
    await world.until(percent=10, pending=None)
    await edited(world, policyRef={"name": new})
    await world.api.patch("rolloutpolicies", "", old, {"spec": {"guards": [world.gate("latency", **FLOOR)]}})
    await world.set("latency", 0)
    await world.until(state="ROLLBACK", phase="RolledBack", percent=0, pending=None)
    records = await world.records()
    assert "PolicyEdited" in transitions(records)
    assert f"RolloutPolicy {old} changed" in record_of(records, "PolicyEdited")["message"]
    assert record_of(records, "RolledBack")["message"].startswith("guard latency: 0 (")
