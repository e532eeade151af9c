"""One fault, lived through by several rollouts whose applications turn bad at different moments of it."""

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.e2e.support.api import eventually
from tests.e2e.support.audit import chain_faults, dwells
from tests.e2e.support.flag_sets import FLAG_SET

from faults.exporter import BAD
from faults.fault import Fault
from faults.figures import Reading, Span, exposure, rises, zero_at
from faults.lanes import DWELL, FLAG, PERCENTS, Lane, lanes
from faults.moments import turns_bad
from faults.rows import Row
from faults.scene import PATIENCE, Scene

LEAD_SECONDS = 2.0
"""From when all is ready to the fault's beginning, so that something may happen before it."""


@dataclass(frozen=True)
class Outcome:
    """What each lane lived through, and what else is to be said."""

    readings: tuple[Reading, ...]
    told: str


async def tried(scene: Scene, row: Row) -> Outcome:
    """The fault once."""
    await row.fault.prepare(scene)
    async with lanes(scene, row.moments, row.others) as found:
        await asyncio.sleep(random.uniform(0, 1.5))  # noqa: S311 - no secret
        span = await lived_through(scene, row, found)
        with contextlib.suppress(AssertionError):  # the table says so
            await eventually("all is over", lambda: all_settled(scene, found, row.fault, span[1]), PATIENCE, every=0.1)
        readings = tuple([await read(scene, lane, row.fault, span) for lane in found])
        return Outcome(readings, await row.fault.told(scene, found, span[0]))


async def lived_through(scene: Scene, row: Row, found: Sequence[Lane]) -> Span:
    """When the fault began and ended; applications turned bad meanwhile."""
    planned = time.time() + LEAD_SECONDS
    turning = [asyncio.create_task(turn(lane, planned, row.seconds)) for lane in found]
    await asyncio.sleep(max(0.0, planned - time.time()))
    began = time.time()
    await row.fault.begin(scene, found)
    await asyncio.sleep(max(0.0, began + row.seconds - time.time()))
    ended = await row.fault.end(scene, found)
    await asyncio.gather(*turning)
    return began, ended


async def turn(lane: Lane, began: float, seconds: float) -> None:
    """Makes its application bad when its time has come."""
    after = turns_bad(lane.moment, seconds)
    if after is not None:
        await asyncio.sleep(max(0.0, began + after - time.time()))
        lane.measured.value = BAD
        lane.bad = time.time()


def all_settled(scene: Scene, found: Sequence[Lane], fault: Fault, ended: float) -> bool:
    return not fault.falls or all(is_settled(scene, lane, ended) for lane in found)


def is_settled(scene: Scene, lane: Lane, ended: float) -> bool:
    """At 0 % for every client; what stays good has climbed on, or to the top."""
    points = exposure(scene.stored.versions[lane.corner.namespace, FLAG_SET], FLAG)
    if lane.bad is None:
        return points[-1][1] == PERCENTS[-1] or any(at > ended for at, _ in rises(points))
    return zero_at(points) is not None and all(zero_at(exposure(one.versions, FLAG)) is not None for one in lane.pushed)


async def read(scene: Scene, lane: Lane, fault: Fault, span: Span) -> Reading:
    """All of it, with the records audited."""
    corner = lane.corner
    with contextlib.suppress(AssertionError):  # the table says so
        wanted = {"phase": "RolledBack"} if fault.falls and lane.bad is not None else {}
        await corner.until(FLAG, PATIENCE, pending=None, **wanted)
    records = await corner.records(FLAG)
    queryable = scene.queryable.get(corner.namespace)
    return Reading(
        moment=lane.moment,
        began=span[0],
        ended=span[1],
        stored=exposure(scene.stored.versions[corner.namespace, FLAG_SET], FLAG),
        pushed=tuple(exposure(one.versions, FLAG) for one in lane.pushed),
        bad=lane.bad if fault.falls else None,
        queryable=queryable,
        blind=(*fault.blind(*span), *([(queryable, float("inf"))] if queryable else [])),
        away=(span,) if fault.hinders else (),
        muted=(span,) if fault.mutes else (),
        dwell=DWELL,
        faults=(
            *chain_faults(records, records[0]["seq"] if records else 1),
            *(f"a dwell of {took:.2f} s" for took in dwells(records) if took < DWELL),
        ),
    )
