"""The table: each fault, and for how long."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.e2e.support.flag_sets import FLAG_SET

from faults.fault import Fault
from faults.figures import USUAL, Bounds
from faults.lanes import FLAG
from faults.moments import IN_ITS_MIDDLE, MOMENTS, NEVER
from faults.objects import OTHERS, FlagSetDeleted, LeaseDeleted, PolicyDeleted, RunDeleted, Storm
from faults.outages import LEADER, Killed, Restarted, Stopped
from faults.plant import API_SERVER, ETCD, FLAG_SERVERS, OPERATORS, PROMETHEUS
from faults.refusals import CONFIG_MAPS, RUNS, STATUS, Refused
from faults.samples import Ahead, AheadForLong, Behind, Gone

LENGTHS = (5, 6, 20, 30)
AT_ONCE_SECONDS = 3
"""What is over at once is looked at for so long, while rollouts turn bad."""
STORMY = (IN_ITS_MIDDLE, NEVER)
"""Few, or the storm would be one of many objects."""
TAKEOVER = Bounds(after_end=None, after_both=12)
"""A leader that is lost is replaced within its Lease of 10 s, and 2 s."""
UNHINDERED = Bounds(step=2)
"""A due step is decided within an interval and a second."""


@dataclass(frozen=True)
class Row:
    """A fault that lasts for some seconds. `others`: further flags of each flag set. `times`: how often it takes for three readings."""

    name: str
    fault: Fault
    seconds: float
    moments: Sequence[str] = MOMENTS
    others: Sequence[str] = ()
    bounds: Bounds = USUAL
    times: int = 1


def _rows() -> Iterator[Row]:
    yield from _outages("API server", API_SERVER)
    yield from _outages("etcd", ETCD)
    yield from _outages("Prometheus", PROMETHEUS)
    yield from _outages("leader", LEADER, bounds=TAKEOVER)
    yield Row("leader killed, started again at once", Restarted(LEADER), AT_ONCE_SECONDS)
    yield from _outages("both operators", *OPERATORS)
    yield Row("both operators killed, started again at once", Restarted(*OPERATORS), AT_ONCE_SECONDS)
    yield from _outages("both flag servers", *FLAG_SERVERS, bounds=UNHINDERED)
    yield Row("flag set deleted", FlagSetDeleted(), AT_ONCE_SECONDS, others=OTHERS, bounds=UNHINDERED)
    yield Row("RolloutRun deleted", RunDeleted(), AT_ONCE_SECONDS, bounds=UNHINDERED)
    yield Row("Lease deleted", LeaseDeleted(), AT_ONCE_SECONDS, bounds=TAKEOVER)
    yield Row("policy deleted, made again after 5 s", PolicyDeleted(), 5)
    yield Row("policy deleted, made again after 20 s", PolicyDeleted(), 20)
    yield Row("RolloutRuns refused for 15 s", Refused(RUNS), 15)
    yield Row("status refused for 15 s", Refused(STATUS), 15)
    yield Row("ConfigMap refused for 15 s", Refused(CONFIG_MAPS), 15)
    for what, kind, name in (("FeatureRollout", "featurerollouts", FLAG), ("flag set", "configmaps", FLAG_SET)):
        yield Row(f"{what} written 20 times a second for 12 s", Storm(kind, name), 12, STORMY, bounds=UNHINDERED, times=3)
    yield Row("series gone for 20 s", Gone(), 20)
    yield Row("samples stamped 5 s behind for 20 s", Behind(5), 20)
    yield Row("samples stamped 30 s behind for 20 s", Behind(30), 20)
    yield Row("samples stamped 20 s ahead for 5 s", Ahead(20, 5), 25)
    yield Row("samples stamped 5 min ahead for 5 s", AheadForLong(300, 5), 25)
    yield Row("samples stamped 5 min ahead for 25 s", AheadForLong(300, 25), 25)


def _outages(what: str, *names: str, bounds: Bounds = USUAL) -> Iterator[Row]:
    for seconds in LENGTHS:
        yield Row(f"{what} stopped for {seconds} s", Stopped(*names), seconds, bounds=bounds)
    for seconds in LENGTHS:
        yield Row(f"{what} killed, dead for {seconds} s", Killed(*names), seconds, bounds=bounds)


ROWS = tuple(_rows())
