"""The table: each fault, and for how long."""

from collections.abc import Sequence
from dataclasses import dataclass

from faults.outages import Fault, Stopped
from faults.plant import API_SERVER
from faults.trial import MOMENTS


@dataclass(frozen=True)
class Row:
    """A fault that lasts for some seconds."""

    name: str
    fault: Fault
    seconds: float
    moments: Sequence[str] = MOMENTS


ROWS = (Row("API server stopped for 20 s", Stopped(API_SERVER), 20),)
