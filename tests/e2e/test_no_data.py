"""Series that are gone, and the deadline that tells a moment from a fault. (Sources that are gone: test_sources.)"""

import time

from tests.e2e.support.fake import FakePrometheus
from tests.e2e.support.pace import paced
from tests.e2e.support.world import HELD, World


async def test_missing_series_roll_back_at_the_deadline_where_that_is_asked_for(world: World, fake: FakePrometheus) -> None:
    await world.policy()
    await world.measured("errors", 0.01)
    gates = [world.errors()]
    await world.rollout("goes", canary=HELD, gates=gates, noData={"deadline": "4s", "then": "rollback"})
    await world.rollout("stays", canary=HELD, gates=gates, noData={"deadline": "4s", "then": "hold"})
    await world.rollout("full", canary={"percents": [100], "dwell": "1h"}, gates=gates, noData={"deadline": "4s", "then": "rollback"})
    for name in ("goes", "stays"):
        await world.until(name, percent=10)
    await world.until("full", percent=100)
    async with world.traced("goes") as goes, world.traced("stays") as stays, world.traced("full") as full, paced(world) as pace:
        await world.unset("errors")
        await world.answers(world.selector("errors"), None, every=0.05)
        since = time.time()
        await world.rolled_back("goes", pending=None)
        lasted = goes.first(0) - since
        print(f"\nrolled back {lasted:.2f} s after the series were gone (deadline: 4s)")
        assert 4 - 1 <= lasted <= 4 + 3 + pace.slack, "the clock starts at the first reconcile without data, within an interval"
        await fake.evaluated(gates[0]["query"], 3)
        assert (stays.percents, full.percents) == ([10], [100])
    assert "longer than noData.deadline" in (await world.told("RolledBack", "goes"))["message"]
    assert "past noData.deadline, held" in (await world.told("NoDataDeadline", "stays"))["message"]
    assert "NoDataDeadline" not in await world.transitions("full"), "at 100 % the clock stands still"


async def test_series_that_come_back_in_time_change_nothing(world: World) -> None:
    await world.exposed(canary={"percents": [10, 100], "dwell": "6s"}, noData={"deadline": "30s", "then": "rollback"})
    await world.unset("errors")
    await world.when("misses the series", lambda status: any("noDataSince" in gate for gate in status.get("gates", [])))
    await world.set("errors", 0.02)
    await world.until(state="ENABLED", percent=100)
    assert "noDataSince" not in await world.gate_status("errors")
