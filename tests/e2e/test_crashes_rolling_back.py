"""The operator is killed (SIGKILL) at every write of a rollback, from the first sample in breach to the end, and started again.

Whatever the moment: the flag falls to 0 and stays there, the revision is rejected once, and the records tell the same story.
"""

import time
from contextlib import AsyncExitStack
from typing import Any

from tests.e2e.support.api import Json, eventually
from tests.e2e.support.ends import differences, end_of
from tests.e2e.support.host_operator import Host, HostOperator
from tests.e2e.support.kill_points import FLAG, Death, KillPoint, die_at, flag_set_of, in_batches, points_of, writes_for


def rollout(host: Host, name: str, batch: str) -> Json:
    gate = {"name": "errors", "query": host.world.selector("errors", batch=batch), "advance": {"lt": 0.1}, "rollback": {"gt": 0.5}}
    where = {"configMap": flag_set_of(name)}
    return host.world.rollout_body(name, flag=FLAG, flag_fields=where, canary={"percents": [50, 100], "dwell": "1h"}, gates=[gate])


async def half_way(host: Host, names: list[str], batch: str) -> None:
    """Rollouts that stand at 50 % with a healthy gate."""
    await host.world.set("errors", 0, batch=batch)
    for name in names:
        await host.api.create("featurerollouts", rollout(host, name, batch))

    async def healthy() -> bool:
        found = [await host.world.status(name) for name in names]
        return all(one.get("percent") == 50 and [gate["verdict"] for gate in one["gates"]] == ["ADVANCE"] for one in found)

    await eventually("all stand at 50 %, healthy", healthy, 60)


async def fallen(host: Host, name: str) -> dict[str, Any]:
    """The end, once nothing is left to be done: the finalizer goes last."""

    async def check() -> bool:
        found = await host.api.get("featurerollouts", host.world.namespace, name)
        status = found["status"]
        return status["phase"] == "RolledBack" and "pending" not in status and not found["metadata"].get("finalizers")

    await eventually(f"{name} is rolled back, recorded and released", check, 60)
    return await end_of(host.world, name, flag_set_of(name), FLAG)


async def fall_through(
    host: Host, operator: HostOperator, points: dict[str, KillPoint], expected: dict[str, Any]
) -> tuple[list[str], Death]:
    """Rollbacks side by side, each at its own kill point when the operator dies."""
    batch = next(iter(points))
    await half_way(host, list(points), batch)
    async with AsyncExitStack() as stack:
        traces = {name: await stack.enter_async_context(host.world.traced(FLAG, flag_set_of(name))) for name in points}
        death = await die_at(points, host, operator, lambda: host.world.set("errors", 1, batch=batch))
        ends = {name: await fallen(host, name) for name in points}
    faults = []
    for name, point in points.items():
        found = differences(ends[name], expected)
        if traces[name].percents != [50, 0]:
            found.append(f"the flag showed {traces[name].percents}")
        faults += [f"{point}: {fault}" for fault in found]
    return faults, death


async def test_killed_at_every_write_of_a_rollback(host: Host) -> None:
    operator = await host.operator()
    await host.policy(operator)
    operator.start()
    await host.led_by(operator)
    await half_way(host, ["calm"], "calm")
    before = time.time()
    await host.world.set("errors", 1, batch="calm")
    expected = await fallen(host, "calm")
    assert expected["flag"]["defaultVariant"] == "off"
    assert expected["status"]["rejectedRevision"] == ""
    points = points_of(writes_for(operator, "calm", before))
    print(f"{len(points)} kill points: {[str(point) for point in points[::3]]}")
    assert len(points) > 15, "a rollback has some eight writes"
    assert await in_batches(points, lambda chosen: fall_through(host, operator, chosen, expected)) == []
