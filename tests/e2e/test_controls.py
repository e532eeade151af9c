"""What people can do to a rollout while it runs: pause, resume, switch off and on, delete, change who is allowed and denied."""

import time
from collections.abc import Callable

import pytest

from tests.e2e.support.api import Json, eventually
from tests.e2e.support.exposure import USERS
from tests.e2e.support.fake import FakePrometheus
from tests.e2e.support.pace import paced
from tests.e2e.support.world import QUICK, World

INTERVAL = 1.0
HALF: Json = {"percents": [50, 100], "dwell": "1h"}
WHOLE: Json = {"percents": [100], "dwell": "1s"}


async def test_pause_holds_the_step_and_resume_goes_on(world: World, fake: FakePrometheus) -> None:
    """The dwell goes by while it is paused: it is time under observation, and the gates go on being read."""
    async with world.traced() as trace, paced(world) as pace:
        await world.exposed(canary={"percents": [10, 50, 100], "dwell": "5s"})
        await world.edit(paused=True)
        status = await world.until(phase="Paused", state="ROLLING_OUT")
        assert "paused by spec.paused" in status["waitingFor"]
        await fake.evaluated(world.selector("errors"), 7)
        assert trace.percents == [0, 10], "held for longer than the dwell"
        resumed = time.time()
        await world.edit(paused=False)
        await world.until(percent=50)
        went_on = trace.first(50) - resumed
        print(f"\nwent on {went_on:.2f} s after it was resumed")
        assert went_on <= 2 * INTERVAL + 1 + pace.slack
        await world.until(state="ENABLED", percent=100)
    assert [one for one in await world.transitions() if one in ("Paused", "Resumed")] == ["Paused", "Resumed"]


async def test_rolls_back_while_it_is_paused(world: World) -> None:
    await world.exposed()
    await world.edit(paused=True)
    await world.until(phase="Paused")
    await world.set("errors", 0.9)
    await world.rolled_back()


async def test_paused_from_the_start_exposes_nobody(world: World, fake: FakePrometheus) -> None:
    await world.set("uptime", 1)
    await world.policy(guards=[world.gate("uptime", advance={"gt": 0.9})])
    async with world.traced() as trace:
        await world.rollout(paused=True)
        await fake.evaluated(world.selector("uptime"), 5)
        assert trace.highest() == 0
        assert (await world.status())["state"] == "DISABLED"
        await world.edit(paused=False)
        await world.until(state="ENABLED", percent=100)


@pytest.mark.parametrize(("phase", "canary"), [("Progressing", HALF), ("Paused", HALF), ("Baking", WHOLE)])
async def test_disabling_takes_everything_off_at_once_and_enabling_is_a_new_attempt(world: World, phase: str, canary: Json) -> None:
    async with world.traced() as trace, paced(world) as pace:
        await world.exposed(canary=canary, bake="1h", flag_fields={"allow": ["alice"]})
        await world.edit(paused=phase == "Paused")
        await world.until(phase=phase)
        assert await world.sees("alice")
        switched = time.time()
        await world.edit(enabled=False)
        status = await world.until(phase="Disabled", state="DISABLED", percent=0, pending=None)
        off = next(at for at, percent in trace.points if percent == 0 and at > switched) - switched
        print(f"\nswitched off {off:.2f} s after spec.enabled was set to false")
        assert off <= INTERVAL + pace.slack
        assert not await world.sees("alice"), "the allow list doesn't see a feature that is disabled"
        assert status["attempt"] == 1
        assert (await world.told("Disabled"))["toPercent"] == 0

        await world.edit(enabled=True, paused=False, strategy={"canary": {"percents": [10, 100], "dwell": "2s"}})
        status = await world.until(state="ENABLED", percent=100)
    assert status["attempt"] == 2
    assert trace.percents == [0, canary["percents"][0], 0, 10, 100]


@pytest.mark.parametrize("canary", [HALF, WHOLE], ids=["mid-run", "enabled"])
@pytest.mark.parametrize("policy", [None, "Off", "Keep"])
async def test_deleting_does_what_the_policy_says(world: World, policy: str | None, canary: Json) -> None:
    """And leaves no lease behind, which nobody would renew."""
    await world.exposed(canary=canary, bake="1h", deletionPolicy=policy, flag_fields={"allow": ["alice"], "leaseSeconds": 60})
    if canary is WHOLE:
        await world.until(state="ENABLED", phase="Baking", pending=None)
    else:
        assert await world.lease() is not None
    saw = await world.audience()
    await world.delete()
    kept = policy == "Keep" or (policy is None and canary is WHOLE)
    assert await world.audience() == (saw if kept else frozenset())
    assert await world.sees("alice") is kept
    assert await world.lease() is None


async def test_a_namespace_can_be_deleted_mid_run(world: World) -> None:
    await world.exposed()
    await world.api.delete("namespaces", "", world.namespace)
    await world.gone()


async def test_allow_and_deny_take_effect_without_a_new_step(world: World) -> None:
    async with world.traced() as trace:
        before = await world.exposed(gates=[])
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
    assert (await world.transitions()).count("StepDecided") == 1


async def test_a_new_revision_of_what_is_enabled_keeps_its_percent_and_is_judged_again(world: World) -> None:
    await world.policy()
    await world.measured("errors", 0.01)
    async with world.traced() as trace:
        await world.rollout(revision="v1", canary=QUICK, gates=[world.errors()])
        await world.succeeded()
        await world.edit(revision="v2")
        await world.succeeded(revision="v2", attempt=2)
        assert trace.percents == [0, 10, 50, 100]
        await world.edit(revision="v3", bake="1h")
        await world.until(phase="Baking", revision="v3", attempt=3)
        await world.set("errors", 0.9)
        await world.rolled_back(rejectedRevision="v3")
    assert trace.percents == [0, 10, 50, 100, 0]


async def test_a_new_revision_mid_run_starts_over(world: World) -> None:
    await world.policy()
    async with world.traced() as trace:
        await world.rollout(revision="v1", canary={"percents": [10, 50, 100], "dwell": "2s"})
        await world.until(percent=50)
        await world.edit(revision="v2")
        status = await world.until(state="ENABLED", percent=100, attempt=2)
    assert status["revision"] == "v2"
    assert trace.percents == [0, 10, 50, 0, 10, 50, 100]


async def test_a_loop_that_patches_the_revision_begins_ten_attempts(world: World) -> None:
    """The tenth is held where it is, with its rollback rules armed; what lowers waits for nothing."""
    await world.exposed(revision="r1")
    for number in range(2, 11):
        await world.edit(revision=f"r{number}")
        await world.until(attempt=number)
    await world.until(percent=10, pending=None)
    for number in range(164):
        await world.edit(revision=f"more-{number}")
    told = "the attempt that spec.revision more-163 asks for begins at "
    status = await world.when("says what waits", lambda status: told in (status.get("waitingFor") or ""))
    assert (status["attempt"], status["percent"]) == (10, 10)
    assert (await world.condition("feature", "Stalled", "TooManyAttempts"))["message"].startswith(told)
    assert await world.events("TooManyAttempts")
    await world.set("errors", 0.9)
    status = await world.rolled_back(pending=None)
    assert (status["attempt"], status["revision"]) == (10, "r10")
    await world.edit(enabled=False)
    await world.until(phase="Disabled", pending=None)
    runs = await world.api.list("rolloutruns", world.namespace)
    assert len({run["spec"]["attempt"] for run in runs}) == 10
