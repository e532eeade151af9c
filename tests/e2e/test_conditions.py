"""What only the operator can see to be wrong becomes a condition with a reason, holds this rollout, and harms no other."""

from tests.e2e.support.api import Json, eventually
from tests.e2e.support.witness import Witness
from tests.e2e.support.world import World

QUICK = {"percents": [25, 100], "dwell": "1s"}
HELD = {"percents": [25, 100], "dwell": "1h"}

FREEZE = {"name": "freeze", "query": "count(up)", "advance": {"lt": 0}}

UNUSABLE: dict[str, tuple[Json, str, str]] = {
    "syntax": ({"query": "sum(rate(errors_total[5m])"}, "spec.gates[1].query", "not valid PromQL"),
    "range": ({"query": "errors_total[5m]"}, "spec.gates[1].query", "gives a range or a string"),
    "no-metric": ({"query": "vector(1)"}, "spec.gates[1].query", "reads no metric"),
    "pinned": ({"query": "errors_total @ 0"}, "spec.gates[1].query", "@ pins a reading to one moment"),
    "future": ({"query": "errors_total offset -5m"}, "spec.gates[1].query", "reads the future"),
    "placeholder": ({"query": 'errors_total{pod="$pod"}'}, "spec.gates[1].query", "$pod is not a placeholder"),
    "unquoted": ({"query": "errors_total == $revision"}, "spec.gates[1].query", "$revision must stand inside a quoted string"),
    "samples": ({"query": "errors_total", "samples": {"count": "sum(", "min": 5}}, "spec.gates[1].samples.count", "not valid PromQL"),
}


def unusable_gates(world: World, fault: Json) -> list[Json]:
    """A good gate, and a bad one after it."""
    return [world.gate("good", advance={"lt": 1}), {"name": "bad", "advance": {"lt": 1}, **fault}]


async def test_each_query_that_can_not_be_used_is_named_by_its_field(world: World) -> None:
    await world.set("good", 0)
    await world.queryable("good", 0)
    await world.policy()
    for name, (fault, _, _) in UNUSABLE.items():
        await world.rollout(name, canary=QUICK, gates=unusable_gates(world, fault))
    await world.rollout("sound", canary=QUICK, gates=[world.gate("good", advance={"lt": 1})])
    for name, (_, field, reason) in UNUSABLE.items():
        stalled = await world.condition(name, "Stalled", "InvalidQuery")
        assert stalled["status"] == "True"
        assert stalled["message"].startswith(f"{field} (gate bad): "), stalled["message"]
        assert reason in stalled["message"]
        ready = await world.condition(name, "Ready", "InvalidQuery")
        assert (ready["status"], ready["message"]) == ("False", stalled["message"])
        assert (await world.status(name))["phase"] == "Invalid"
    await world.until("sound", state="ENABLED", percent=100)
    for name in UNUSABLE:
        assert await world.exposure(name) is None, f"{name} was never valid, and nothing was written for it"
    name, (fault, _, _) = next(iter(UNUSABLE.items()))
    await world.edit(name, gates=unusable_gates(world, fault)[:1])
    await world.until(name, state="ENABLED", percent=100)


async def test_an_edit_that_can_not_be_followed_leaves_the_last_valid_rules_armed(world: World) -> None:
    await world.set("errors", 0.01)
    await world.queryable("errors", 0.01)
    await world.policy()
    good = world.gate("errors", advance={"lt": 0.1}, rollback={"gt": 0.5})
    await world.rollout(canary=HELD, gates=[good])
    await world.until(percent=25)
    async with world.traced() as trace:
        await world.edit(gates=[good | {"query": "errors{"}])
        stalled = await world.condition("feature", "Stalled", "InvalidQuery")
        assert "spec.gates[0].query (gate errors)" in stalled["message"]
        status = await world.until(phase="Invalid", state="ROLLING_OUT", percent=25)
        generation = (await world.api.get("featurerollouts", world.namespace, "feature"))["metadata"]["generation"]
        assert status["observedGeneration"] == stalled["observedGeneration"] == generation
        await world.set("errors", 0.9)
        await world.until(state="ROLLBACK", phase="RolledBack", percent=0)
    assert trace.percents == [25, 0]
    told = [record["transition"] for record in await world.records()]
    assert told[-2:] == ["SpecInvalid", "RolledBack"]


async def test_switching_off_does_not_wait_for_a_valid_spec(world: World) -> None:
    await world.policy()
    await world.rollout(canary=HELD)
    await world.until(percent=25)
    await world.edit(enabled=False, gates=[{"name": "bad", "query": "errors{", "advance": {"lt": 1}}])
    await world.until(state="DISABLED", percent=0)
    assert await world.exposure() == 0


async def test_a_missing_policy_is_waited_for(world: World) -> None:
    witness = await Witness.begin(world)
    await world.rollout(canary=QUICK, flag_fields={"allow": ["alice"]})
    stalled = await world.condition("feature", "Stalled", "PolicyMissing")
    assert stalled["status"] == "True"
    assert f"RolloutPolicy {world.namespace} does not exist" in stalled["message"]
    status = await world.until(phase="Pending", state="DISABLED")
    assert "does not exist" in status["waitingFor"]
    await witness.climbed()
    assert (await world.status())["phase"] == "Pending"
    assert not await world.exposure()
    await world.policy()
    await world.until(phase="Succeeded", state="ENABLED", percent=100)
    assert "Stalled" not in {one["type"] for one in (await world.status())["conditions"]}


async def test_a_policy_that_disappears_on_the_way_holds_the_step(world: World) -> None:
    await world.policy()
    gate = world.gate("good", advance={"lt": 1}, startsEmpty=True)
    await world.rollout(canary={"percents": [25, 50, 100], "dwell": "3s"}, gates=[gate])
    await world.until(percent=25)
    async with world.traced() as trace:
        await world.api.delete("rolloutpolicies", "", world.namespace)
        await world.condition("feature", "Stalled", "PolicyMissing")
        await world.set("good", 0)
        await world.queryable("good", 0)
        witness = await Witness.begin(world, dwell="2s")
        await witness.climbed()
        status = await world.until(phase="Progressing", state="ROLLING_OUT", percent=25)
        assert "does not exist" in status["waitingFor"]
        await world.policy()
        await world.until(phase="Succeeded", state="ENABLED", percent=100)
    assert trace.percents == [25, 50, 100]


async def test_a_policy_with_a_guard_that_can_not_be_used_says_so_itself(world: World) -> None:
    witness = await Witness.begin(world)
    await world.policy(guards=[{"name": "uptime", "query": "avg(up", "rollback": {"lt": 0.5}}])
    await world.rollout(canary=QUICK)
    stalled = await world.condition("feature", "Stalled", "PolicyInvalid")
    assert f"RolloutPolicy {world.namespace}: spec.guards[0].query (gate uptime): not valid PromQL" in stalled["message"]
    policy = await world.policy_condition("Stalled", "PolicyInvalid")
    assert policy["message"] == stalled["message"]
    assert (await world.policy_condition("Ready", "PolicyInvalid"))["status"] == "False"
    await witness.climbed()
    assert (await world.status())["phase"] == "Pending"
    guard = world.gate("good", rollback={"gt": 1})
    await world.set("good", 0)
    await world.api.patch("rolloutpolicies", "", world.namespace, {"spec": {"guards": [guard]}})
    await world.until(phase="Succeeded", state="ENABLED", percent=100)
    assert (await world.policy_condition("Ready", "Valid"))["status"] == "True"


async def test_a_guard_without_a_rollback_rule_freezes_and_takes_nothing_back(world: World) -> None:
    """What the operations guide tells people to do when everything shall stand still."""
    await world.policy()
    await world.rollout(canary=HELD)
    await world.until(percent=25)
    async with world.traced() as trace:
        await world.api.patch("rolloutpolicies", "", world.namespace, {"spec": {"guards": [FREEZE]}})

        async def frozen() -> bool:
            return "guard freeze (holds; advance < 0)" in (await world.status()).get("waitingFor", "")

        await eventually("the guard is heard", frozen)
        await world.hasten(percents=(25, 100))
        await (await Witness.begin(world, dwell="2s")).climbed()
        status = await world.until(phase="Progressing", percent=25)
        assert status["waitingFor"] == "the next step waits for guard freeze (holds; advance < 0)"
        await world.api.patch("rolloutpolicies", "", world.namespace, {"spec": {"guards": []}})
        await world.until(phase="Succeeded", percent=100)
    assert trace.percents == [25, 100]
