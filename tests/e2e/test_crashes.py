"""The operator is killed (SIGKILL) at every write of a climb, in three moments of each, and started again.

Whatever the moment: every step is seen once, in order, for its whole dwell; the flag is never lowered; the end is that of an
undisturbed climb; and the records tell the same story, without a gap or a repetition.
"""

import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.e2e.support.api import Json, eventually
from tests.e2e.support.audit import dwells_begun_anew, shortest_dwell
from tests.e2e.support.ends import differences, end_of
from tests.e2e.support.exposure import Trace
from tests.e2e.support.host_operator import Host, HostOperator
from tests.e2e.support.kill_points import (
    FLAG,
    MOMENTS,
    Death,
    KillPoint,
    die_at,
    flag_set_of,
    in_batches,
    one_of_each_kind,
    points_of,
    writes_for,
)

DWELL = 1.0
LAG = 0.5
"""How late the watch of a busy test process may notice a version, in seconds; the records are held to the whole dwell."""
PARTS = 4


def climb(host: Host, name: str) -> Json:
    where = {"configMap": flag_set_of(name)}
    return host.world.rollout_body(name, flag=FLAG, flag_fields=where, canary={"percents": [25, 50, 100], "dwell": "1s"}, bake="1s")


async def ended(host: Host, name: str) -> dict[str, Any]:
    await host.world.until(name, 60, phase="Succeeded", pending=None)
    return await end_of(host.world, name, flag_set_of(name), FLAG)


def dwell_faults(trace: Trace, back: float) -> list[str]:
    """Where a step was shorter than its dwell, or was left by nobody; `back` is when the operator was there again. That no dwell is
    counted anew is told by status: a dwell this short can't be told from the time that a busy machine takes to come back."""
    faults = []
    for below, above in ((25, 50), (50, 100)):
        entered, left = trace.first(below), trace.first(above)
        if left - entered < DWELL - LAG:
            faults.append(f"{below} % lasted {left - entered:.2f} s")
        if left > max(entered + DWELL, back) + 30:
            faults.append(f"{below} % was left {left - max(entered + DWELL, back):.1f} s late")
    return faults


async def climb_through(
    host: Host, operator: HostOperator, points: dict[str, KillPoint], expected: dict[str, Any]
) -> tuple[list[str], Death]:
    """Climbs side by side, each at its own kill point when the operator dies."""

    async def begin() -> None:
        for name in points:
            await host.api.create("featurerollouts", climb(host, name))

    async with AsyncExitStack() as stack:
        traces = {name: await stack.enter_async_context(host.world.traced(FLAG, flag_set_of(name))) for name in points}
        versions = {name: await stack.enter_async_context(host.world.followed(name)) for name in points}
        death = await die_at(points, host, operator, begin)
        ends = {name: await ended(host, name) for name in points}
    faults = []
    for name, point in points.items():
        found = differences(ends[name], expected)
        records = await host.world.records(name)
        if (shortest := shortest_dwell(records)) < DWELL:
            found.append(f"by its records a step lasted {shortest:.3f} s")
        found += dwells_begun_anew(versions[name], records)
        shown = [percent for percent in traces[name].percents if percent is not None]
        found += dwell_faults(traces[name], death.back) if shown == [0, 25, 50, 100] else [f"the flag showed {shown}"]
        faults += [f"{point}: {fault}" for fault in found]
    return faults, death


async def survives(host: Host, chosen: Callable[[list[str]], list[KillPoint]]) -> None:
    """Climbs once in peace, and then to each kill point that is chosen of the writes it took."""
    operator = await host.leading()
    await host.policy(operator)
    await host.api.create("featurerollouts", climb(host, "calm"))
    expected = await ended(host, "calm")
    points = chosen(writes_for(operator, "calm"))
    print(f"{len(points)} kill points: {[str(point) for point in points[:: len(MOMENTS)]]}")
    assert await in_batches(points, lambda some: climb_through(host, operator, some, expected)) == []


async def test_killed_at_each_kind_of_write_of_a_climb(host: Host) -> None:
    await survives(host, lambda writes: points_of(one_of_each_kind(writes)))


@pytest.mark.proof
@pytest.mark.parametrize("part", range(PARTS))
async def test_killed_at_every_write_of_a_climb(host: Host, part: int) -> None:
    def chosen(writes: list[str]) -> list[KillPoint]:
        points = points_of(writes)
        assert len(points) > 100, "a climb of three steps has some forty writes"
        return points[len(points) * part // PARTS : len(points) * (part + 1) // PARTS]

    await survives(host, chosen)


async def test_killed_in_the_middle_of_a_dwell(host: Host) -> None:
    """What is left of the dwell is waited for: neither none of it, nor all of it again."""
    dwell = 12.0
    operator = await host.operator()
    await host.policy(operator)
    operator.start()
    await host.led_by(operator)
    async with host.world.traced(FLAG) as trace, host.world.followed(FLAG) as versions:
        await host.world.rollout(FLAG, canary={"percents": [50, 100], "dwell": f"{dwell:g}s"})
        before = await host.world.until(FLAG, percent=50, pending=None)

        async def half_over() -> bool:
            return time.time() > trace.first(50) + dwell / 2

        await eventually("half of the dwell is over", half_over, dwell)
        operator.kill()
        await host.expire_lease()
        operator.start()
        await host.led_by(operator)
        back = time.time()
        assert (await host.world.status(FLAG))["effectiveAt"] == before["effectiveAt"]
        await host.world.until(FLAG, percent=100, pending=None)
    lasted, late = trace.first(100) - trace.first(50), trace.first(100) - max(trace.first(50) + dwell, back)
    print(
        f"a dwell of {dwell:g} s with a death in its middle lasted {lasted:.2f} s (the operator was back at {back - trace.first(50):.2f} s)"
    )
    assert trace.percents[-3:] == [0, 50, 100]
    assert dwell - LAG <= lasted
    assert late < dwell / 2, "begun anew, it would end a whole dwell after the operator was back"
    records = await host.world.records(FLAG)
    assert shortest_dwell(records) >= dwell
    assert dwells_begun_anew(versions, records) == []
