"""The operator is killed (SIGKILL) at every write of a climb, and of a rollback, in three moments of each, and started again.

Whatever the moment, the end is that of an undisturbed rollout, and the records tell the same story, without a gap or a repetition. On the
way up every step is seen once, in order, for its whole dwell; on the way down the flag falls to 0 and stays there.
"""

import time
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from tests.e2e.support.api import Json, eventually
from tests.e2e.support.audit import dwells_begun_anew, shortest_dwell
from tests.e2e.support.ends import differences, end_of
from tests.e2e.support.exposure import Trace
from tests.e2e.support.host_operator import Host, HostOperator
from tests.e2e.support.kill_points import FLAG, Death, KillPoint, die_at, flag_set_of, in_batches, one_of_each_kind, points_of, writes_for
from tests.e2e.support.world import BAND, World

DWELL = 1.0
LAG = 0.5
"""How late the watch of a busy test process may notice a version, in seconds; the records are held to the whole dwell."""
PARTS = 4


class Climb:
    """From the creation of rollouts to the end of their bake."""

    shown: tuple[int, ...] = (0, 25, 50, 100)

    async def prepare(self, world: World, names: list[str]) -> None:
        """What comes before the first write that is looked at."""

    async def begin(self, world: World, names: list[str]) -> None:
        for name in names:
            await self.create(world, name, canary={"percents": [25, 50, 100], "dwell": "1s"}, bake="1s")

    async def create(self, world: World, name: str, **spec: object) -> None:
        await world.rollout(name, flag=FLAG, flag_fields={"configMap": flag_set_of(name)}, **spec)

    async def ended(self, world: World, name: str) -> None:
        await world.until(name, phase="Succeeded", pending=None)
        await released(world, name)


class Fall(Climb):
    """From the first sample in breach, at 50 %, to the end."""

    shown = (50, 0)

    async def prepare(self, world: World, names: list[str]) -> None:
        await world.set("errors", 0, batch=names[0])
        gate = {"name": "errors", "query": world.selector("errors", batch=names[0])} | BAND
        for name in names:
            await self.create(world, name, canary={"percents": [50, 100], "dwell": "1h"}, gates=[gate])
        for name in names:
            await world.until(name, percent=50)
            await world.gate_until("errors", name, verdict="ADVANCE")

    async def begin(self, world: World, names: list[str]) -> None:
        await world.set("errors", 1, batch=names[0])

    async def ended(self, world: World, name: str) -> None:
        await world.rolled_back(name, pending=None)
        await released(world, name)


async def released(world: World, name: str) -> None:
    """The finalizer goes last."""

    async def check() -> bool:
        return not (await world.api.get("featurerollouts", world.namespace, name))["metadata"].get("finalizers")

    await eventually(f"{name} is released", check)


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


async def live_through(
    host: Host, operator: HostOperator, way: Climb, points: dict[str, KillPoint], expected: Json
) -> tuple[list[str], Death]:
    """Rollouts side by side, each at its own kill point when the operator dies."""
    world, names = host.world, list(points)
    await way.prepare(world, names)
    async with AsyncExitStack() as stack:
        traces = {name: await stack.enter_async_context(world.traced(FLAG, flag_set_of(name))) for name in names}
        versions = {name: await stack.enter_async_context(world.followed(name)) for name in names}
        death = await die_at(points, host, operator, lambda: way.begin(world, names))
        for name in names:
            await way.ended(world, name)
    faults = []
    for name, point in points.items():
        found = differences(await end_of(world, name, flag_set_of(name), FLAG), expected)
        shown = [percent for percent in traces[name].percents if percent is not None]
        if shown != list(way.shown):
            found.append(f"the flag showed {shown}")
        elif not isinstance(way, Fall):
            records = await world.records(name)
            found += dwell_faults(traces[name], death.back) + dwells_begun_anew(versions[name], records)
            if (shortest := shortest_dwell(records)) < DWELL:
                found.append(f"by its records a step lasted {shortest:.3f} s")
        faults += [f"{point}: {fault}" for fault in found]
    return faults, death


async def survives(host: Host, way: Climb, chosen: Callable[[list[str]], list[KillPoint]]) -> None:
    """Goes the way once in peace, and then to each kill point that is chosen of the writes it took."""
    operator = await host.leading()
    await host.world.policy()
    await way.prepare(host.world, ["calm"])
    before = time.time()
    await way.begin(host.world, ["calm"])
    await way.ended(host.world, "calm")
    expected = await end_of(host.world, "calm", flag_set_of("calm"), FLAG)
    points = chosen(writes_for(operator, "calm", before))
    print(f"{len(points)} kill points: {[str(point) for point in points[::3]]}")
    assert await in_batches(points, lambda some: live_through(host, operator, way, some, expected)) == []


async def test_killed_at_each_kind_of_write_of_a_climb(host: Host) -> None:
    await survives(host, Climb(), lambda writes: points_of(one_of_each_kind(writes)))


@pytest.mark.proof
@pytest.mark.parametrize("part", range(PARTS))
async def test_killed_at_every_write_of_a_climb(host: Host, part: int) -> None:
    def chosen(writes: list[str]) -> list[KillPoint]:
        points = points_of(writes)
        assert len(points) > 100, "a climb of three steps has some forty writes"
        return points[len(points) * part // PARTS : len(points) * (part + 1) // PARTS]

    await survives(host, Climb(), chosen)


async def test_killed_at_every_write_of_a_rollback(host: Host) -> None:
    def chosen(writes: list[str]) -> list[KillPoint]:
        points = points_of(writes)
        assert len(points) > 15, "a rollback has some eight writes"
        return points

    await survives(host, Fall(), chosen)
