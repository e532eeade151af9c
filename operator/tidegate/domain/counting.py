"""Counting events from a counter's raw samples. PromQL's `increase` extrapolates, and misses the first event of a counter born at 1."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from tidegate.api.rollout_status import Counted

KEPT_FOR = 3600.0
"""Seconds for which a series that is gone is remembered: one that comes back goes on from its last value instead of from 0."""
MAX_SERIES = 100
_REMEMBERED = 200


@dataclass(frozen=True, slots=True)
class Track:
    """Raw samples of one series, oldest first: (Unix seconds, value). `series` stands for its labels."""

    series: str
    samples: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """Events counted after `since` and up to `until` (Unix seconds). `last`: the last value of each series, and when it was seen."""

    since: float
    until: float
    total: float = 0.0
    last: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def begun(since: float, values: Iterable[tuple[str, float]]) -> Tally:
    """A tally that knows what each series had come to when the count began, so that nothing of it is counted."""
    return Tally(since, since, 0.0, {series: (value, since) for series, value in values if math.isfinite(value)})


def counted_on(tally: Tally, until: float, tracks: Iterable[Track]) -> Tally:
    """The tally after the samples up to `until`, those that were seen before left out. A fall is a reset: what the counter shows after it
    is new. So is all that a series shows which was not known before. A sample from before the count began, which was there to be read only
    later, says what the series had come to."""
    total, last = tally.total, dict(tally.last)
    for track in tracks:
        value, seen = last.get(track.series, (0.0, tally.since))
        for at, sample in _unseen(track, seen, tally.since):
            if at > tally.since:
                total += sample - value if sample >= value else sample
            value, seen = sample, max(at, tally.since)
        last[track.series] = (value, seen)
    kept = {series: known for series, known in last.items() if known[1] > until - KEPT_FOR}
    if len(kept) > _REMEMBERED:
        kept = dict(sorted(kept.items(), key=lambda item: item[1][1])[-_REMEMBERED:])
    return replace(tally, until=until, total=total, last=kept)


def _unseen(track: Track, seen: float, since: float) -> list[tuple[float, float]]:
    return [(at, sample) for at, sample in track.samples if (at > seen or seen == since) and math.isfinite(sample)]


def to_status(tally: Tally, counter: str) -> Counted:
    """A tally as status keeps it; `counter` is the fingerprint of what was counted."""
    return Counted(
        counter=counter,
        since=datetime.fromtimestamp(tally.since, UTC),
        until=datetime.fromtimestamp(tally.until, UTC),
        total=_text(tally.total),
        series={series: f"{_text(value)}@{seen:.3f}" for series, (value, seen) in tally.last.items()},
    )


def from_status(stored: Counted) -> Tally:
    """The tally that status keeps."""
    last = {}
    for series, text in stored.series.items():
        value, _, seen = text.partition("@")
        last[series] = (float(value), float(seen))
    return Tally(stored.since.timestamp(), stored.until.timestamp(), float(stored.total), last)


def _text(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
