"""Counting events from a counter's raw samples. PromQL's `increase` extrapolates, and misses the first event of a counter born at 1."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from tidegate.api.rollout_status import Counted

KEPT_FOR = 3600.0
"""Seconds for which a series that is gone is remembered: one that comes back goes on from its last value instead of from 0."""
MAX_SERIES = 100
_REMEMBERED = 200


KIN = 8
"""Digits at the beginning of a series' name that those have in common which one target may give by turns, such as through two exporters."""


@dataclass(frozen=True, slots=True)
class Track:
    """Raw samples of one series, oldest first: (Unix seconds, value). `series` stands for its labels, its first digits for its kin.

    `base` is what a series that was not known before had come to when the count began; None where nothing tells.
    """

    series: str
    samples: tuple[tuple[float, float], ...]
    base: float | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """Events counted after `since` and up to `until` (Unix seconds). `last`: the last value of each series, and when it was seen."""

    since: float
    until: float
    total: float = 0.0
    last: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def begun(since: float, values: Iterable[tuple[str, float, float]]) -> Tally:
    """A tally that knows what each series had come to when the count began, and when that was seen, so that nothing of it is counted."""
    return Tally(since, since, 0.0, {series: (value, seen) for series, value, seen in values if math.isfinite(value)})


def counted_on(tally: Tally, until: float, tracks: Collection[Track]) -> Tally:
    """The tally after the samples up to `until`, those that were seen before left out. A fall is a reset: what the counter shows after it
    is new. A series that was not known before counts from its base, or goes on from one of its kin that has ended, or is new as a whole. A
    sample from before the count began, which was there to be read only later, says what the series had come to."""
    total, last = tally.total, dict(tally.last)
    for track in sorted(tracks, key=lambda track: track.series not in tally.last):  # by then it is known which of the others have ended
        samples = _unseen(tally, track)
        if not samples:
            continue
        value, seen = last.get(track.series) or (_begins_at(track, samples[0], last), tally.since)
        for at, sample in samples:
            if at > tally.since:
                total += sample - value if sample >= value else sample
            value, seen = sample, max(at, tally.since)
        last[track.series] = (value, seen)
    kept = {series: known for series, known in last.items() if known[1] > until - KEPT_FOR}
    if len(kept) > _REMEMBERED:
        alive = {track.series for track in tracks}
        kept = dict(sorted(kept.items(), key=lambda item: (item[0] in alive, item[1][1]))[-_REMEMBERED:])
    return replace(tally, until=until, total=total, last=kept)


def _unseen(tally: Tally, track: Track) -> list[tuple[float, float]]:
    _, seen = tally.last.get(track.series, (0.0, tally.since))
    return [(at, sample) for at, sample in track.samples if (at > seen or seen == tally.since) and math.isfinite(sample)]


def _begins_at(track: Track, first: tuple[float, float], last: Mapping[str, tuple[float, float]]) -> float:
    """What a series that was not known before counts from. While one of its kin lives it can't be that one which goes on."""
    at, sample = first
    if track.base is not None:
        return min(track.base, sample)
    kin = [known for series, known in last.items() if series[:KIN] == track.series[:KIN]]
    if any(seen >= at for _, seen in kin):
        return 0.0
    return max((value for value, _ in kin if value <= sample), default=0.0)


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
    return str(int(value)) if abs(value) < 1e15 and value == int(value) else repr(value)
