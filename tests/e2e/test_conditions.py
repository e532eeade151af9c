"""What only the operator can see to be wrong becomes a condition with a reason, holds this rollout, and harms no other."""

from tests.e2e.support import witness
from tests.e2e.support.api import Json
from tests.e2e.support.world import QUICK, World

FREEZE = {"name": "freeze", "query": "count(up)", "advance": {"lt": 0}}

UNUSABLE: dict[str, tuple[Json, str, str]] = {
    "syntax": ({"query": "sum(rate(errors_total[5m])"}, "query", "not valid PromQL"),
    "range": ({"query": "errors_total[5m]"}, "query", "gives a range or a string"),
    "no-metric": ({"query": "vector(1)"}, "query", "reads neither a metric nor the time"),
    "pinned": ({"query": "errors_total @ 0"}, "query", "@ pins a reading to one moment"),
    "future": ({"query": "errors_total offset -5m"}, "query", "reads the future"),
    "placeholder": ({"query": 'errors_total{pod="$pod"}'}, "query", "$pod is not a placeholder"),
    "unquoted": ({"query": "errors_total == $revision"}, "query", "$revision must stand inside a quoted string"),
    "samples": ({"query": "errors_total", "samples": {"count": "sum(", "min": 5}}, "samples.count", "not valid PromQL"),
}


async def test_each_query_that_can_not_be_used_is_named_by_its_field(world: World) -> None:
    await world.measured("good", 0)
    await world.policy()
    good = world.gate("good", advance={"lt": 1})
    for name, (fault, _, _) in UNUSABLE.items():
        await world.rollout(name, canary=QUICK, gates=[good, {"name": "bad", "advance": {"lt": 1}, **fault}])
    await world.rollout("sound", canary=QUICK, gates=[good])
    for name, (_, field, reason) in UNUSABLE.items():
        stalled = await world.condition(name, "Stalled", "InvalidQuery")
        assert stalled["status"] == "True"
        assert stalled["message"].startswith(f"spec.gates[1].{field} (gate bad): "), stalled["message"]
        assert reason in stalled["message"]
        ready = await world.condition(name, "Ready", "InvalidQuery")
        assert (ready["status"], ready["message"]) == ("False", stalled["message"])
        assert (await world.status(name))["phase"] == "Invalid"
    await world.until("sound", state="ENABLED", percent=100)
    for name in UNUSABLE:
        assert await world.exposure(name) is None, f"{name} was never valid, and nothing was written for it"
    await world.edit("syntax", gates=[good])
    await world.until("syntax", state="ENABLED", percent=100)


async def test_an_edit_that_can_not_be_followed_leaves_the_last_valid_rules_armed(world: World) -> None:
    await world.exposed()
    async with world.traced() as trace:
        await world.edit(gates=[world.errors() | {"query": "errors{"}])
        stalled = await world.condition("feature", "Stalled", "InvalidQuery")
        assert "spec.gates[0].query (gate errors)" in stalled["message"]
        status = await world.until(phase="Invalid", state="ROLLING_OUT", percent=10)
        assert status["observedGeneration"] == stalled["observedGeneration"] == await world.generation()
        await world.set("errors", 0.9)
        await world.rolled_back(pending=None)
    assert trace.percents == [10, 0]
    assert (await world.transitions())[-2:] == ["SpecInvalid", "RolledBack"]


async def test_switching_off_does_not_wait_for_a_valid_spec(world: World) -> None:
    await world.exposed()
    await world.edit(enabled=False, gates=[{"name": "bad", "query": "errors{", "advance": {"lt": 1}}])
    await world.until(state="DISABLED", percent=0)
    assert await world.exposure() == 0


async def test_a_missing_policy_is_waited_for(world: World) -> None:
    await witness.begin(world)
    await world.rollout(canary=QUICK, flag_fields={"allow": ["alice"]})
    stalled = await world.condition("feature", "Stalled", "PolicyMissing")
    assert stalled["status"] == "True"
    assert f"RolloutPolicy {world.namespace} does not exist" in stalled["message"]
    status = await world.until(phase="Pending", state="DISABLED")
    assert "does not exist" in status["waitingFor"]
    await world.succeeded("witness")
    assert (await world.status())["phase"] == "Pending"
    assert not await world.exposure()
    await world.policy()
    status = await world.succeeded()
    assert "Stalled" not in {one["type"] for one in status["conditions"]}


async def test_naming_another_policy_instead_of_a_missing_one_helps_while_nobody_is_exposed(world: World) -> None:
    await world.policy()
    await world.measured("uptime", 0)
    await world.policy(f"{world.namespace}-strict", guards=[world.gate("uptime", advance={"gt": 0.5})])
    await world.rollout(canary=QUICK, policyRef={"name": f"{world.namespace}-strict"})
    await world.until(phase="Waiting", pending=None)
    await world.api.delete("rolloutpolicies", "", f"{world.namespace}-strict")
    stalled = await world.condition("feature", "Stalled", "PolicyMissing")
    assert stalled["message"].endswith("create it, or name another in spec.policyRef.name")
    assert [event["type"] for event in await world.events("PolicyMissing")] == ["Warning"]
    await world.edit(policyRef={"name": world.namespace})
    await world.succeeded()


async def test_a_policy_that_disappears_on_the_way_holds_the_step(world: World) -> None:
    await world.exposed()
    async with world.traced() as trace:
        await world.api.delete("rolloutpolicies", "", world.namespace)
        stalled = await world.condition("feature", "Stalled", "PolicyMissing")
        assert stalled["message"].endswith("set spec.revision to a new value: this attempt keeps its policy")
        await world.hasten()
        await witness.climbs(world, "2s")
        status = await world.until(phase="Progressing", state="ROLLING_OUT", percent=10)
        assert "does not exist" in status["waitingFor"]
        await world.policy()
        await world.succeeded()
    assert trace.percents == [10, 50, 100]


async def test_a_policy_with_a_guard_that_can_not_be_used_says_so_itself(world: World) -> None:
    await witness.begin(world)
    await world.policy(guards=[{"name": "uptime", "query": "avg(up", "rollback": {"lt": 0.5}}])
    await world.rollout(canary=QUICK)
    stalled = await world.condition("feature", "Stalled", "PolicyInvalid")
    assert f"RolloutPolicy {world.namespace}: spec.guards[0].query (gate uptime): not valid PromQL" in stalled["message"]
    policy = await world.policy_condition("Stalled", "PolicyInvalid")
    assert policy["message"] == stalled["message"]
    assert (await world.policy_condition("Ready", "PolicyInvalid"))["status"] == "False"
    await world.succeeded("witness")
    assert (await world.status())["phase"] == "Pending"
    await world.set("good", 0)
    await world.edit_policy(guards=[world.gate("good", rollback={"gt": 1})])
    await world.succeeded()
    assert (await world.policy_condition("Ready", "Valid"))["status"] == "True"


async def test_a_guard_without_a_rollback_rule_freezes_and_takes_nothing_back(world: World) -> None:
    """What the operations guide tells people to do when everything shall stand still."""
    await world.exposed()
    async with world.traced() as trace:
        await world.edit_policy(guards=[FREEZE])
        frozen = "guard freeze holds (advance < 0)"
        await world.when("hears the guard", lambda status: frozen in status.get("waitingFor", ""))
        await world.hasten()
        await witness.climbs(world, "2s")
        status = await world.until(phase="Progressing", percent=10)
        assert status["waitingFor"] == frozen
        await world.edit_policy(guards=[])
        await world.succeeded()
    assert trace.percents == [10, 50, 100]
