"""How often attempts at one target begin (docs/adr/0029): so many one after the other, and then one in a while. One time says all of it,
when another one may begin. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta

AT_ONCE = 10
EVERY = timedelta(minutes=6)


def next_after(next_at: datetime | None, begun: datetime) -> datetime:
    """When another attempt may begin once one has; `next_at` is when that one might have. One that began without waiting makes the next one
    wait for no longer than any other."""
    earliest = begun - (AT_ONCE - 1) * EVERY
    return min(earliest if next_at is None else max(next_at, earliest), begun) + EVERY


def next_of(begun: Iterable[datetime]) -> datetime | None:
    """When another attempt may begin, by when all before it did; None where there was none."""
    next_at = None
    for one in sorted(begun):
        next_at = next_after(next_at, one)
    return next_at


def due(next_at: datetime | None, now: datetime) -> datetime | None:
    """Until when one has to wait; None where it may begin. What lies further ahead than anything waits says that the clock was set back."""
    return next_at if next_at is not None and now < next_at <= now + EVERY else None
