"""What somebody else did to a flag of ours, as far as the flag set tells."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Writer:
    """Who wrote a field last, by the name that the API server keeps of its client. `at` is in whole seconds."""

    manager: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DriftNote:
    """Stands beside a flag from the moment in which it was put right, so that a process that is killed before it has written status
    loses no record: what was put right, whose it was, and when."""

    at: datetime
    manager: str
    difference: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """Whether a flag stands as Tidegate wrote it.

    `intact`: definition and marker are those of one of our writes. `percent`: what that write meant to expose. `writer`: who wrote the
    document since our last write; None where nobody did, or where the API server doesn't say. `around`: what is no longer ours in the
    ConfigMap itself, such as "label removed". `note`: what our last write put right.
    """

    intact: bool = True
    percent: int | None = None
    writer: Writer | None = None
    around: tuple[str, ...] = ()
    note: DriftNote | None = None
