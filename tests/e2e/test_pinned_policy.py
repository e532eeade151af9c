"""The policy under which an attempt first exposed anybody is its own until it ends: another name counts from the next attempt on."""

from tests.e2e.support.api import Json
from tests.e2e.support.fake import FakePrometheus
from tests.e2e.support.world import HELD, World

FLOOR: Json = {"rollback": {"lt": 0.5, "confirm": 1}}


async def two_policies(world: World) -> tuple[str, str]:
    """Names of two policies with a guard each, `uptime` and `latency`."""
    old, new = f"{world.namespace}-old", f"{world.namespace}-new"
    for policy, metric in ((old, "uptime"), (new, "latency")):
        await world.measured(metric, 1)
        await world.policy(policy, guards=[world.gate(metric, **FLOOR)])
    return old, new


async def test_another_policy_counts_from_the_next_attempt_on(world: World, fake: FakePrometheus) -> None:
    old, new = await two_policies(world)
    async with world.traced() as trace:
        await world.rollout(policyRef={"name": old}, canary=HELD, bake="1h", revision="v1")
        before = await world.until(percent=10, pending=None)
        status = await world.edited(policyRef={"name": new})
        assert status["policy"] == before["policy"]
        assert status["policy"]["name"] == old

        await world.set("latency", 0)  # a breach for the new policy's guard, of which the old one knows nothing
        await fake.evaluated(world.selector("uptime"), 5)
        status = await world.status()
        assert (status["state"], status["percent"]) == ("ROLLING_OUT", 10)
        assert [(gate["source"], gate["name"]) for gate in status["gates"]] == [("policy", "uptime")]

        await world.set("uptime", 0)
        await world.rolled_back(pending=None)
        told = await world.told("RolledBack")
        assert told["message"].startswith("guard uptime: 0 (rollback < 0.5")
        assert told["readings"][0]["source"] == "policy"
        assert trace.percents == [0, 10, 0]

        await world.measured("latency", 1)
        await world.edit(revision="v2")
        status = await world.until(percent=10, attempt=2, pending=None)
        assert status["policy"]["name"] == new
        await world.until(phase="Progressing")
        assert trace.percents == [0, 10, 0, 10], "the old policy's guard is still in breach, and counts no more"
        assert [gate["name"] for gate in (await world.status())["gates"]] == ["latency"]
        await world.set("latency", 0)
        await world.rolled_back(pending=None)
    assert (await world.told("RolledBack"))["message"].startswith("guard latency: 0 (")


async def test_an_edit_of_the_pinned_policy_counts_at_once_and_is_recorded(world: World) -> None:
    old, new = await two_policies(world)
    await world.rollout(policyRef={"name": old}, canary=HELD, bake="1h")
    await world.until(percent=10, pending=None)
    await world.edited(policyRef={"name": new})
    await world.edit_policy(old, guards=[world.gate("latency", **FLOOR)])
    await world.set("latency", 0)
    await world.rolled_back(pending=None)
    assert f"RolloutPolicy {old} changed" in (await world.told("PolicyEdited"))["message"]
    assert (await world.told("RolledBack"))["message"].startswith("guard latency: 0 (")


async def test_a_policy_that_is_deleted_on_the_way_and_made_again_is_on_record(world: World) -> None:
    """Meanwhile nothing is judged, and nothing rises."""
    status = await world.exposed()
    async with world.traced() as trace:
        await world.api.delete("rolloutpolicies", "", world.namespace)
        await world.condition("feature", "Stalled", "PolicyMissing")
        await world.hasten()
        await world.set("errors", 0.9)
        await world.answers(world.selector("errors"), 0.9)
        await world.until(pending=None)
        told = (await world.told("PolicyUnusable"))["message"]
        assert told.startswith("PolicyMissing, held at 10 % without gates: ")
        assert f"uid {status['policy']['uid']}" in told
        await world.policy()
        await world.rolled_back(pending=None)
    assert trace.percents == [10, 0]
    made = (await world.api.get("rolloutpolicies", "", world.namespace))["metadata"]["uid"]
    assert (
        f"deleted and made again: uid {status['policy']['uid']} → {made}, generation 1 → 1" in (await world.told("PolicyEdited"))["message"]
    )
    assert (await world.transitions()).count("PolicyUsable") == 1
