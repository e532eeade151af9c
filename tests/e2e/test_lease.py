"""The dead-man lease on the real cluster: renewed while an operator runs, over by the clients' own clock when none does."""

import asyncio
import json
import time

from tests.e2e.support.api import eventually
from tests.e2e.support.audit import audited, shortest_dwell
from tests.e2e.support.exposure import DOCUMENT, lease_of, sees
from tests.e2e.support.faults import Call, answers, flag_to, is_about_a_policy, on
from tests.e2e.support.host_operator import Host
from tests.e2e.support.leases import CLIMB, LEASE, held_at_half, leased
from tests.e2e.support.world import World

THIRD = 20
DWELL = 15.0
BACK = ["LeaseExpired 0", "StepDecided 50", "StepEffective 50"]
ON = 40.0
"""At 50 % at least this share of the clients sees the feature."""


async def renewed(world: World, after: int | None, flag: str = "feature", seconds: float = THIRD + 15) -> int:
    """The end of the lease, once it is a later one."""

    async def check() -> int | None:
        end = await world.lease(flag)
        return end if end is not None and end > (after or 0) else None

    end: int = await eventually(f"the lease of {flag} is renewed", check, seconds)
    return end


async def off_by_itself(world: World) -> float:
    """When no client saw the feature any more, by the evaluator's real clock; the document must not change until then."""
    before = await world.flag_set()
    await world.exposes(0, seconds=LEASE + 15, every=0.2)
    off = time.time()
    assert await world.exposure() == 0
    assert await world.flag_set() == before, "nobody wrote anything"
    return off


async def test_a_killed_operator_leaves_nothing_on(host: Host) -> None:
    """And who comes after it raises by a decision: recorded, from 0 %, with a dwell that counts anew."""
    world = host.world
    operator = await held_at_half(host, canary={"percents": [50, 100], "dwell": f"{DWELL:g}s"}, flag_fields={"allow": ["alice"]})
    await world.edit(paused=True)
    await world.until(phase="Paused", percent=50, pending=None)
    killed = operator.kill()
    document = await world.text()
    end = lease_of(document, "feature")
    assert end is not None
    assert LEASE * 2 / 3 - 2 <= end - killed <= LEASE
    assert await world.exposure() > ON  # type: ignore[operator]
    off = await off_by_itself(world)
    print(f"killed; the lease had {end - killed:.1f} s left; off {off - end:+.2f} s from its end")
    assert end <= off < end + 3
    assert not sees(document, "feature", "alice"), "the allow list goes with the lease"

    await host.led_again(operator)
    stalled = await world.until(percent=0, stepPercent=50, state="ROLLING_OUT", phase="Paused", pending=None)
    assert "effectiveAt" not in stalled
    assert await world.exposure() == 0, "paused: nothing rises"
    await world.edit(paused=False)
    await world.until(phase="Succeeded", percent=100, pending=None)
    told = [line for line in await audited(world, "feature") if not line.startswith(("Paused", "Resumed", "SpecEdited"))]
    assert told == [*CLIMB, *BACK, "StepDecided 100", "StepEffective 100", "Enabled 100", "Succeeded 100"]
    assert shortest_dwell(await world.records()) >= DWELL
    assert [event["type"] for event in await world.events("LeaseExpired")] == ["Warning"]
    assert await world.lease() is None


async def test_a_lease_is_renewed_at_each_third_and_many_flags_share_a_write(host: Host) -> None:
    world, names = host.world, [f"feature-{number}" for number in range(5)]
    operator = await host.leading()
    await world.policy()
    for name in names:
        await leased(world, name)
    for name in names:
        await world.until(name, percent=50, pending=None)
    first = await renewed(world, await world.lease(names[0]), names[0])
    began = time.time()
    for _ in range(2):
        first = await renewed(world, first, names[0])
    await asyncio.gather(*(renewed(world, first - 1, name) for name in names))
    written = operator.proxy.writes(began)
    flag_sets = [call for call in written if call.kind == "configmaps"]
    ticks = {end for call in flag_sets for end in _ends(call, names)}
    print(f"{len(names)} leases were renewed {len(ticks)} times by {len(flag_sets)} writes")
    assert len(flag_sets) <= 2 * len(ticks) < len(names) * len(ticks)
    assert {call.kind for call in written if not is_about_a_policy(call)} == {"configmaps"}, "nothing else is written for it"
    for name in names:
        assert await world.exposure(name) > ON  # type: ignore[operator]
        assert await world.transitions(name) == ["AttemptStarted", "StepDecided", "StepEffective"]


def _ends(call: Call, names: list[str]) -> set[int]:
    document = call.body["data"][DOCUMENT]
    assert set(json.loads(document)["flags"]) == set(names)
    return {end for name in names if (end := lease_of(document, name)) is not None}


async def test_whatever_holds_a_rollout_its_lease_is_renewed(host: Host) -> None:
    world = host.world
    await held_at_half(host)
    await world.edit(paused=True)
    await world.until(phase="Paused")
    end = await renewed(world, await renewed(world, await world.lease()))
    await world.edit(gates=[{"name": "broken", "query": "rate(", "rollback": {"gt": 1}}])
    await world.condition("feature", "Stalled", "InvalidQuery")
    end = await renewed(world, end)
    await world.edit(gates=[], paused=False)
    await world.api.delete("rolloutpolicies", "", world.namespace)
    await world.condition("feature", "Stalled", "PolicyMissing")
    await renewed(world, end)
    assert (await world.status())["percent"] == 50
    assert await world.exposure() > ON  # type: ignore[operator]
    assert "LeaseExpired" not in await world.transitions()


async def test_another_replica_takes_over_in_time(host: Host) -> None:
    leader, standby = await held_at_half(host), await host.operator("b")
    standby.start()
    await eventually("the other replica stands by", lambda: any(call.kind == "leases" for call in standby.proxy.calls), 30)
    before = await host.world.lease()
    killed = leader.kill()
    lowest: list[float] = []

    async def check() -> bool:
        lowest.append(await host.world.exposure() or 0)
        end = await host.world.lease()
        return end is not None and end > (before or 0)

    await eventually("the other replica renews the lease", check, LEASE, every=0.2)
    print(f"renewed by the other replica {time.time() - killed:.1f} s after the kill")
    assert min(lowest) > ON
    assert await audited(host.world, "feature") == CLIMB


async def test_an_expiry_that_could_not_be_recorded_is_recorded_later_and_taken_for_no_manual_override(host: Host) -> None:
    """The flag is written at 0 % first. Killed before status says why, its successor finds what only an expiry writes."""
    world = host.world
    operator = await held_at_half(host)
    operator.kill()
    await off_by_itself(world)
    with operator.proxy.rule(on("PATCH", "featurerollouts/status"), before=answers(503)):
        with operator.proxy.rule(flag_to(0)) as lowered:
            await host.led_again(operator)
            await eventually("the expiry is written to the flag", lambda: any(call.applied for call in lowered.fired), 30)
        operator.kill()
    mark = (await world.flag())["metadata"]
    assert (mark["percent"], mark["state"]) == (0, "ROLLING_OUT")
    status = await world.status()
    assert (status["stepPercent"], "effectiveAt" in status) == (50, True), "status knows nothing of it yet"
    await host.led_again(operator)
    await world.exposes(50, seconds=30)
    await world.until(percent=50, stepPercent=50, pending=None)
    assert await audited(world, "feature") == CLIMB + BACK


async def test_only_what_moves_has_a_lease(world: World) -> None:
    await world.policy()
    await world.measured("errors", 0)
    async with world.traced() as trace:
        await leased(world, canary={"percents": [50, 100], "dwell": "2s"}, gates=[world.errors()], bake="1h")
        await world.until(phase="Baking", percent=100, pending=None)
    states: list[tuple[str, bool]] = []
    for _, body in trace.versions:
        document = body["data"][DOCUMENT]
        state = (json.loads(document)["flags"]["feature"]["metadata"]["state"], lease_of(document, "feature") is not None)
        states += [state] if states[-1:] != [state] else []
    assert states == [("DISABLED", False), ("ROLLING_OUT", True), ("ENABLED", False)]
    await world.set("errors", 1)
    await world.rolled_back()
    assert await world.lease() is None
