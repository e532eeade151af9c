"""Guards of the platform's policy, and who may use a policy at all."""

import secrets
import time

from tests.e2e.support.api import Json, eventually
from tests.e2e.support.fake import FakePrometheus
from tests.e2e.support.world import HELD, QUICK, World

DEFAULT = "tidegate.io/is-default-policy"
UPTIME: Json = {"advance": {"gte": 0.99}, "rollback": {"lt": 0.99, "confirm": 1}}


async def test_a_guard_in_breach_before_the_start_holds_the_start_and_lets_go(world: World, fake: FakePrometheus) -> None:
    await world.measured("uptime", 0.5)
    await world.policy(guards=[world.gate("uptime", **UPTIME)])
    async with world.traced() as trace:
        await world.rollout(canary=QUICK, flag_fields={"allow": ["alice"]})
        await fake.evaluated(world.selector("uptime"), 5)
        status = await world.until(phase="Waiting", state="DISABLED", percent=0)
        assert "guard uptime is in breach (" in status["waitingFor"]
        assert await world.sees("alice"), "the allow list sees the feature while it waits"
        assert trace.percents == [0]
        ready = {one["type"]: one for one in status["conditions"]}["Ready"]
        assert (ready["status"], ready["reason"]) == ("True", "Waiting")
        await world.set("uptime", 1)
        await world.succeeded()
    assert trace.percents == [0, 10, 50, 100]
    assert "RolledBack" not in await world.transitions()


async def test_a_guard_reaches_only_what_rose_a_short_while_ago(world: World, fake: FakePrometheus) -> None:
    """An old feature didn't cause today's incident. The reach is the guard's own, or else the rollout's bake or dwell."""
    short, default = world.gate("uptime", reach="4s", **UPTIME), world.gate("latency", rollback={"gt": 2, "confirm": 1})
    await world.set("uptime", 1)
    await world.measured("latency", 1)
    await world.policy(guards=[short, default])
    held = world.gate("latency", advance={"lt": 0})  # a dwell longer than the bake would be the reach
    await world.rollout("brief", canary=HELD | {"dwell": "4s"}, bake="4s", gates=[held])
    await world.rollout("long", canary=HELD, bake="1h")
    for name in ("brief", "long"):
        await world.until(name, percent=10)
    risen = time.time()
    async with world.traced("brief") as brief, world.traced("long") as long:
        await eventually("both rose longer ago than 4 s", lambda: time.time() > risen + 4)
        await world.set("uptime", 0.5)
        for name in ("brief", "long"):
            told = await recorded(world, name, "GuardBreached", "policy uptime")
            assert "guard's reach (4s): held, not rolled back" in told
        await fake.evaluated(short["query"], 4)
        assert (await world.status("long"))["waitingFor"].count("guard uptime is in breach (") == 1
        await world.set("uptime", 1)
        await world.set("latency", 3)
        await world.until("long", state="ROLLBACK", percent=0)
        assert "guard's reach (4s): held, not rolled back" in await recorded(world, "brief", "GuardBreached", "policy latency")
        await fake.evaluated(default["query"], 3)
        assert (brief.percents, long.percents) == ([10], [10, 0])


async def recorded(world: World, name: str, transition: str, about: str) -> str:
    """The message of the record of a transition that begins with `about`, once there is one."""

    async def check() -> str | None:
        found = [one["message"] for one in await world.records(name) if one["transition"] == transition]
        return next((message for message in found if message.startswith(about)), None)

    return str(await eventually(f"{name} has a record {transition} of {about}", check, 30))


async def test_a_policy_refuses_namespaces_that_it_does_not_select(world: World) -> None:
    await world.policy(selector={"team": "search"})
    await world.rollout(canary=QUICK)
    told = await world.condition("feature", "Stalled", "PolicyNotAllowed")
    assert f"namespace {world.namespace}" in told["message"]
    assert "team=search" in told["message"]
    status = await world.until(phase="Pending", state="DISABLED")
    assert not status.get("percent")
    await world.api.patch("namespaces", "", world.namespace, {"metadata": {"labels": {"team": "search"}}})
    await world.until(state="ENABLED", percent=100)


async def test_two_default_policies_are_ambiguous(world: World) -> None:
    names = [f"{world.namespace}-{secrets.token_hex(2)}" for _ in range(2)]
    body = world.rollout_body(canary=QUICK)
    del body["spec"]["policyRef"]
    await world.api.create("featurerollouts", body)
    assert "annotate one with" in (await world.condition("feature", "Stalled", "PolicyMissing"))["message"]
    for name in names:
        await world.policy(name, annotations={DEFAULT: "true"})
    body["metadata"]["name"] = body["spec"]["target"]["flag"]["key"] = "late"
    await world.api.create("featurerollouts", body)
    told = await world.condition("late", "Stalled", "AmbiguousDefault")
    assert all(name in told["message"] for name in names)
    status = await world.until("late", phase="Pending", state="DISABLED")
    assert not status.get("percent")
    await world.api.patch("rolloutpolicies", "", names[1], {"metadata": {"annotations": {DEFAULT: None}}})
    for flag in ("late", "feature"):
        status = await world.until(flag, state="ENABLED", percent=100)
        assert status["policy"]["name"] in names
