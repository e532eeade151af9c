"""Counting events from a counter's raw samples. PromQL's `increase` extrapolates, and misses the first event of a counter born at 1."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from tidegate.api.rollout_status import Counted

KEPT_FOR = 3600.0
"""Seconds for which a series that is gone is remembered: one that comes back goes on from its last value instead of from 0."""
MAX_SERIES = 100
IN_STATUS = 200
"""Series of one count that status holds at most."""
REMEMBERED = 1000
"""Series of one count that are remembered at most, those that ended within the hour among them."""
KIN = 8
"""Digits at the beginning of a series' name that those have in common which one target may give by turns, such as through two exporters."""
TWIN = 16
"""Digits that those have in common which show one counter through several Prometheus replicas, also at the same time."""


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
    """Events counted after `since` and up to `until` (Unix seconds). `last`: the last value of each series, and when it was seen.

    `is_lost`: there were more series than are remembered. One that was forgotten would count its whole history, so the total says nothing.
    """

    since: float
    until: float
    total: float = 0.0
    last: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    is_lost: bool = False


def begun(since: float, values: Iterable[tuple[str, float, float]]) -> Tally:
    """A tally that knows what each series had come to when the count began, and when that was seen, so that nothing of it is counted."""
    return _bounded(Tally(since, since, 0.0, {series: (value, seen) for series, value, seen in values if math.isfinite(value)}))


def counted_on(tally: Tally, until: float, tracks: Iterable[Track]) -> Tally:
    """The tally after the samples up to `until`, those that were seen before left out. A fall is a reset: what the counter shows after it
    is new. A series that was not known before goes on from its twin, or counts from its base, or goes on from one of its kin that has
    ended, or is new as a whole. A sample from before the count began, which was there to be read only later, says what it had come to."""
    if tally.is_lost:
        return tally
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
    return _bounded(replace(tally, until=until, total=total, last=kept))


def _bounded(tally: Tally) -> Tally:
    return tally if len(tally.last) <= REMEMBERED else replace(tally, last={}, is_lost=True)


def _unseen(tally: Tally, track: Track) -> list[tuple[float, float]]:
    _, seen = tally.last.get(track.series, (0.0, tally.since))
    return [(at, sample) for at, sample in track.samples if (at > seen or seen == tally.since) and math.isfinite(sample)]


def _begins_at(track: Track, first: tuple[float, float], last: Mapping[str, tuple[float, float]]) -> float:
    """What a series that was not known before counts from. It goes on from its twin, which has counted what they both show. Otherwise it
    goes on from one of its kin that has ended; while one of them lives it can't be that one which goes on."""
    at, sample = first
    twins = _alike(track.series[:TWIN], last)
    living = [value for value, seen in twins if seen >= at]
    if living:
        return min(max(living), sample)
    if twins:
        return _goes_on_from(twins, sample)
    if track.base is not None:
        return min(track.base, sample)
    kin = _alike(track.series[:KIN], last)
    return 0.0 if any(seen >= at for _, seen in kin) else _goes_on_from(kin, sample)


def _alike(begins: str, last: Mapping[str, tuple[float, float]]) -> list[tuple[float, float]]:
    return [known for series, known in last.items() if series.startswith(begins)]


def _goes_on_from(ended: list[tuple[float, float]], sample: float) -> float:
    return max((value for value, _ in ended if value <= sample), default=0.0)


def to_status(tally: Tally, counter: str) -> Counted | None:
    """A tally as status keeps it; `counter` is the fingerprint of what was counted. None where status can't hold it whole."""
    if tally.is_lost or len(tally.last) > IN_STATUS:
        return None
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
