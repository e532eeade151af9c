"""One fault, lived through by several rollouts whose applications turn bad at different moments of it."""

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence

from tests.e2e.support.api import eventually
from tests.e2e.support.audit import chain_faults, dwells
from tests.e2e.support.flag_sets import FLAG_SET

from faults.exporter import BAD
from faults.figures import Reading, exposure, rises, zero_at
from faults.lanes import DWELL, FLAG, PERCENTS, Lane, lanes
from faults.outages import Fault
from faults.scene import PATIENCE, Scene

LEAD_SECONDS = 2.0
"""From when all is ready to the fault's beginning, so that something may happen before it."""
BEFORE, AT_ITS_START, IN_ITS_MIDDLE, AT_ITS_END, NEVER = "before", "at its start", "in its middle", "at its end", "never"
MOMENTS = (BEFORE, AT_ITS_START, IN_ITS_MIDDLE, AT_ITS_END, NEVER)


def turns_bad(moment: str, seconds: float) -> float | None:
    """Seconds after the fault's beginning. Before it: so that evidence is half gathered when it begins."""
    return {BEFORE: -1.5, AT_ITS_START: 0.0, IN_ITS_MIDDLE: seconds / 2, AT_ITS_END: max(0.0, seconds - 0.5), NEVER: None}[moment]


async def tried(found: Scene, fault: Fault, seconds: float, moments: Sequence[str] = MOMENTS) -> list[Reading]:
    """The fault once: what each lane lived through."""
    async with lanes(found, moments) as all_lanes:
        await asyncio.sleep(random.uniform(0, 1.5))  # noqa: S311 - no secret
        began = time.time() + LEAD_SECONDS
        turning = [asyncio.create_task(turn(lane, began, seconds)) for lane in all_lanes]
        await asyncio.sleep(max(0.0, began - time.time()))
        began = time.time()
        await fault.begin(found)
        await asyncio.sleep(max(0.0, began + seconds - time.time()))
        ended = await fault.end(found)
        await asyncio.gather(*turning)
        with contextlib.suppress(AssertionError):  # the table says so
            await eventually("all is over", lambda: all(settled(found, lane, ended) for lane in all_lanes), PATIENCE, every=0.1)
        return [await read(found, lane, began, ended, fault) for lane in all_lanes]


async def turn(lane: Lane, began: float, seconds: float) -> None:
    """Makes its application bad when its time has come."""
    after = turns_bad(lane.moment, seconds)
    if after is not None:
        await asyncio.sleep(max(0.0, began + after - time.time()))
        lane.measured.value = BAD
        lane.bad = time.time()


def settled(found: Scene, lane: Lane, ended: float) -> bool:
    """At 0 % for every client; what stays good has climbed on, or to the top."""
    points = exposure(found.stored.versions[lane.corner.namespace, FLAG_SET], FLAG)
    if lane.moment == NEVER:
        return points[-1][1] == PERCENTS[-1] or any(at > ended for at, _ in rises(points))
    return zero_at(points) is not None and all(zero_at(exposure(one.versions, FLAG)) is not None for one in lane.pushed)


async def read(found: Scene, lane: Lane, began: float, ended: float, fault: Fault) -> Reading:
    """All of it, with the records audited."""
    corner = lane.corner
    wanted = {} if lane.moment == NEVER else {"phase": "RolledBack"}
    await corner.until(FLAG, PATIENCE, pending=None, **wanted)
    records = await corner.records(FLAG)
    blind = [(began, ended)] if fault.blinds else []
    if lane.bad is not None:
        blind.append((lane.bad, float("inf")))
    return Reading(
        moment=lane.moment,
        began=began,
        ended=ended,
        stored=exposure(found.stored.versions[corner.namespace, FLAG_SET], FLAG),
        pushed=tuple(exposure(one.versions, FLAG) for one in lane.pushed),
        bad=lane.bad,
        queryable=found.queryable.get(corner.namespace),
        blind=tuple(blind),
        dwell=DWELL,
        chain=(*chain_faults(records), *(f"a dwell of {took:.2f} s" for took in dwells(records) if took < DWELL)),
    )
