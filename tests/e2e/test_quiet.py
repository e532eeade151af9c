"""Rollouts that have nothing to do are watched without a single write."""

import time

from tests.e2e.support.api import eventually
from tests.e2e.support.faults import is_about_a_policy
from tests.e2e.support.host_operator import Host
from tests.e2e.support.world import BAND

EVALUATIONS = 30


async def test_no_writes_once_converged(host: Host) -> None:
    """One holds inside the band, one bakes, one was rolled back, one has succeeded. The held gate's value moves all the while."""
    world = host.world
    operator = await host.leading()
    await world.policy()
    for metric, value in (("held", 0.2), ("bad", 0), ("good", 0)):
        await world.measured(metric, value)
    full = {"percents": [100], "dwell": "1s"}
    await world.rollout("held", gates=[world.gate("held", **BAND)])
    await world.rollout("baking", canary=full, bake="1h", gates=[world.gate("good", **BAND)])
    await world.rollout("fallen", canary=full, bake="1h", gates=[world.gate("bad", **BAND)])
    await world.rollout("done", canary=full, bake="1s", gates=[world.gate("good", **BAND)])
    await world.until("fallen", percent=100)
    await world.set("bad", 1)
    await world.until("held", percent=25, pending=None)
    for name, phase in (("baking", "Baking"), ("fallen", "RolledBack"), ("done", "Succeeded")):
        await world.until(name, phase=phase, pending=None)
    query = world.selector("held")

    def evaluated(since: float) -> int:
        return sum(at > since and asked == query for at, asked in operator.proxy.queries)

    settled = time.time()
    # Verdicts of the last step, and a finalizer, may still be written.
    await eventually("the last writes are made", lambda: evaluated(settled) >= 3, 30)
    began = time.time()
    values = (0.2, 0.3, 0.4)

    async def often_enough() -> bool:
        await world.set("held", values[evaluated(began) % len(values)])
        return evaluated(began) >= EVALUATIONS

    await eventually(f"{EVALUATIONS} evaluations", often_enough, 120, every=0.5)
    everything = operator.proxy.writes(began)
    written = [call for call in everything if not is_about_a_policy(call)]
    print(f"{evaluated(began)} evaluations in {time.time() - began:.0f} s: {len(written)} writes for rollouts")
    assert [(call.method, call.kind, call.name) for call in written] == []
    # The installed Tidegate can't reach this test's Prometheus and says so once a minute, and so does this one: no more often than that.
    of_the_policy = [call for call in everything if call.name == world.namespace]
    assert len(of_the_policy) <= 1 + (time.time() - began) / 60
    assert (await world.status("held"))["percent"] == 25
