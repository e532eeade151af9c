"""The dead-man lease of a lever: when it should end, when it is due, and what clients have once it expired. Pure."""

from dataclasses import replace
from datetime import datetime, timedelta

from tidegate.domain.exposure import Reading


def renewed_every(seconds: int) -> timedelta:
    """A third of the lease: two renewals may fail before anybody notices."""
    return timedelta(seconds=seconds // 3)


def lease_end(seconds: int, now: datetime, live: int | None) -> int:
    """When a lease should end that is written or kept now, in Unix seconds.

    It follows from the clock alone, in whole thirds, so that all levers with equal leases are due at the same moment and share a write. A
    live lease is kept while it is not due and not too far away; another replica's clock may be a little ahead.
    """
    third = seconds // 3
    fresh = int(now.timestamp()) // third * third + seconds
    return live if live is not None and fresh <= live <= fresh + third else fresh


def in_force(reading: Reading, now: datetime) -> Reading:
    """The reading as clients have it: behind an expired lease nobody sees the feature."""
    return replace(reading, percent=0) if reading.is_expired(now) else reading
