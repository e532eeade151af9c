"""The dead-man lease of a flag: until when it should stand, when it is due, and what clients see once it ran out. Pure."""

from dataclasses import replace
from datetime import datetime, timedelta

from tidegate.domain.snapshot import FlagReading


def renewed_every(seconds: int) -> timedelta:
    """A third of the lease: two renewals may fail before anybody notices."""
    return timedelta(seconds=seconds // 3)


def lease_end(seconds: int, now: datetime, live: int | None) -> int:
    """When a lease should end that is written or kept now, in Unix seconds.

    It follows from the clock alone, in whole thirds, so that all flags with equal leases are due at the same moment and share a write. A
    live lease is kept while it is not due and not too far away; another replica's clock may be a little ahead.
    """
    third = seconds // 3
    fresh = int(now.timestamp()) // third * third + seconds
    return live if live is not None and fresh <= live <= fresh + third else fresh


def is_over(flag: FlagReading, now: datetime) -> bool:
    """Whether clients have turned the feature off by themselves."""
    return flag.lease is not None and now.timestamp() >= flag.lease


def in_force(flag: FlagReading, now: datetime) -> FlagReading:
    """The reading as clients have it: behind a lease that ran out nobody sees the feature."""
    return replace(flag, percent=0) if is_over(flag, now) else flag
