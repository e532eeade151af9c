"""What people can do to a rollout while it runs: pause, resume, switch off and on, delete, change who is allowed and denied."""

import time
from collections.abc import Callable

import pytest

from tests.e2e.support.api import Json, eventually
from tests.e2e.support.exposure import USERS
from tests.e2e.support.fake import FakePrometheus
from tests.e2e.support.pace import paced
from tests.e2e.support.records import record_of, transitions
from tests.e2e.support.world import World

INTERVAL = 1.0
BAND: Json = {"advance": {"lt": 0.1}, "rollback": {"gt": 0.5, "confirm": 1}}
HELD: Json = {"percents": [10, 50, 100], "dwell": "1h"}


async def gone(world: World, name: str = "feature") -> None:
    async def check() -> bool:
        return await world.api.find("featurerollouts", world.namespace, name) is None

    await eventually(f"{name} is gone", check)


async def test_pause_holds_the_step_and_resume_goes_on(world: World) -> None:
    """The dwell goes by while it is paused: it is time under observation, and the gates go on being read."""
    fake = FakePrometheus.of(world)
    await world.policy(url=fake.url)
    await world.set("errors", 0.01)
    await world.queryable("errors", 0.01)
    gate = world.gate("errors", **BAND)
    async with world.traced() as trace, paced(world) as pace:
        await world.rollout(canary={"percents": [10, 50, 100], "dwell": "5s"}, gates=[gate])
        await world.until(percent=10)
        await world.edit(paused=True)
        status = await world.until(phase="Paused", state="ROLLING_OUT")
        assert "spec.paused is true" in status["waitingFor"]
        await fake.evaluated(gate["query"], 7)
        assert trace.percents == [0, 10], "held for longer than the dwell"
        resumed = time.time()
        await world.edit(paused=False)
        await world.until(percent=50)
        went_on = trace.first(50) - resumed
        print(f"\nwent on {went_on:.2f} s after it was resumed")
        assert went_on <= 2 * INTERVAL + 1 + pace.slack
        await world.until(state="ENABLED", percent=100)
    told = transitions(await world.records())
    assert [one for one in told if one in ("Paused", "Resumed")] == ["Paused", "Resumed"]


async def test_rolls_back_while_it_is_paused(world: World) -> None:
    await world.policy()
    await world.set("errors", 0.01)
    await world.queryable("errors", 0.01)
    await world.rollout(canary=HELD, gates=[world.gate("errors", **BAND)])
    await world.until(percent=10)
    await world.edit(paused=True)
    await world.until(phase="Paused")
    await world.set("errors", 0.9)
    await world.until(state="ROLLBACK", phase="RolledBack", percent=0)


async def test_paused_from_the_start_exposes_nobody(world: World) -> None:
    fake = FakePrometheus.of(world)
    guard = world.gate("uptime", advance={"gt": 0.9})
    await world.set("uptime", 1)
    await world.policy(url=fake.url, guards=[guard])
    async with world.traced() as trace:
        await world.rollout(paused=True)
        await fake.evaluated(guard["query"], 5)
        assert trace.highest() == 0
        assert (await world.status())["state"] == "DISABLED"
        await world.edit(paused=False)
        await world.until(state="ENABLED", percent=100)


@pytest.mark.parametrize("phase", ["Progressing", "Paused", "Baking"])
async def test_disabling_takes_everything_off_at_once_and_enabling_is_a_new_attempt(world: World, phase: str) -> None:
    await world.policy()
    canary = {"percents": [50, 100], "dwell": "1h"} if phase != "Baking" else {"percents": [100], "dwell": "1s"}
    async with world.traced() as trace, paced(world) as pace:
        await world.rollout(canary=canary, bake="1h", flag_fields={"allow": ["alice"]})
        await world.until(percent=canary["percents"][0])
        await world.edit(paused=phase == "Paused")
        await world.until(phase=phase)
        assert await world.sees("alice")
        switched = time.time()
        await world.edit(enabled=False)
        status = await world.until(phase="Disabled", state="DISABLED", percent=0)
        off = next(at for at, percent in trace.points if percent == 0 and at > switched) - switched
        print(f"\nswitched off {off:.2f} s after spec.enabled was set to false")
        assert off <= INTERVAL + pace.slack
        assert not await world.sees("alice"), "the allow list doesn't see a feature that is disabled"
        assert status["attempt"] == 1
        assert record_of(await world.records(), "Disabled")["toPercent"] == 0

        await world.edit(enabled=True, paused=False, strategy={"canary": {"percents": [10, 100], "dwell": "2s"}})
        status = await world.until(state="ENABLED", percent=100)
    assert status["attempt"] == 2
    assert trace.percents == [0, canary["percents"][0], 0, 10, 100]


@pytest.mark.parametrize(("policy", "left"), [(None, 0), ("Off", 0), ("Keep", 50)])
async def test_deleting_mid_run_does_what_the_policy_says(world: World, policy: str | None, left: int) -> None:
    await world.policy()
    async with world.traced() as trace:
        await world.rollout(canary={"percents": [50, 100], "dwell": "1h"}, deletionPolicy=policy, flag_fields={"allow": ["alice"]})
        await world.until(percent=50)
        await world.api.delete("featurerollouts", world.namespace, "feature")
        await gone(world)
        assert await world.sees("alice") is (left > 0)
        assert await world.exposure() == pytest.approx(left, abs=8)
    assert trace.percents == ([0, 50] if left else [0, 50, 0])


@pytest.mark.parametrize(("policy", "left"), [(None, 100), ("Keep", 100), ("Off", 0)])
async def test_deleting_what_is_enabled_does_what_the_policy_says(world: World, policy: str | None, left: int) -> None:
    await world.policy()
    await world.rollout(canary={"percents": [100], "dwell": "1s"}, deletionPolicy=policy, bake="1h")
    await world.until(state="ENABLED", phase="Baking", percent=100)
    await world.api.delete("featurerollouts", world.namespace, "feature")
    await gone(world)
    assert await world.exposure() == left


async def test_a_namespace_can_be_deleted_mid_run(world: World) -> None:
    await world.policy()
    await world.rollout(canary=HELD)
    await world.until(percent=10)
    await world.api.delete("namespaces", "", world.namespace)
    await gone(world)


async def test_allow_and_deny_take_effect_without_a_new_step(world: World) -> None:
    await world.policy()
    async with world.traced() as trace:
        await world.rollout(canary=HELD)
        before = await world.until(percent=10)
        seeing = await world.audience()
        inside, outside = min(seeing), min(set(USERS) - seeing)

        async def lists(allow: list[str], deny: list[str], then: Callable[[bool, bool], bool]) -> None:
            await world.edit(target={"flag": {"allow": allow, "deny": deny}})

            async def check() -> bool:
                return then(await world.sees(outside), await world.sees(inside))

            await eventually(f"allow {allow} and deny {deny} are in force", check, 10)

        await lists([outside], [], lambda first, second: first and second)
        await lists([outside], [inside], lambda first, second: first and not second)
        await lists([], [inside], lambda first, second: not first and not second)
        await lists([], [], lambda first, second: not first and second)
        after = await world.status()
    for field in ("percent", "step", "attempt", "stepEnteredAt", "effectiveAt", "raisedAt"):
        assert after[field] == before[field], field
    assert trace.percents == [0, 10]
    assert transitions(await world.records()).count("StepDecided") == 1


async def test_a_new_revision_of_what_is_enabled_keeps_its_percent_and_is_judged_again(world: World) -> None:
    await world.policy()
    await world.set("errors", 0.01)
    await world.queryable("errors", 0.01)
    async with world.traced() as trace:
        await world.rollout(revision="v1", canary={"percents": [50, 100], "dwell": "1s"}, gates=[world.gate("errors", **BAND)])
        await world.until(phase="Succeeded", percent=100)
        await world.edit(revision="v2")
        await world.until(phase="Succeeded", state="ENABLED", percent=100, revision="v2", attempt=2)
        assert trace.percents == [0, 50, 100]
        await world.edit(revision="v3", bake="1h")
        await world.until(phase="Baking", revision="v3", attempt=3)
        await world.set("errors", 0.9)
        await world.until(state="ROLLBACK", percent=0, rejectedRevision="v3")
    assert trace.percents == [0, 50, 100, 0]


async def test_a_new_revision_mid_run_starts_over(world: World) -> None:
    await world.policy()
    async with world.traced() as trace:
        await world.rollout(revision="v1", canary={"percents": [10, 50, 100], "dwell": "2s"})
        await world.until(percent=50)
        await world.edit(revision="v2")
        status = await world.until(state="ENABLED", percent=100, attempt=2)
    assert status["revision"] == "v2"
    assert trace.percents == [0, 10, 50, 0, 10, 50, 100]
