"""Where a counter's series come from: whether one that appears while events are counted is news, or brings a history of its own."""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tidegate.clients.prometheus import InstantVector, Samples
from tidegate.domain.answers import Failure
from tidegate.domain.counting import KIN, TWIN
from tidegate.domain.queries import renamed, target_matchers
from tidegate.observe.age import Source
from tidegate.observe.questions import Questions

_OF_A_REPLICA = frozenset({"prometheus", "prometheus_replica"})
"""Labels of the Prometheus that scraped: series that differ by them alone show the same counter, also at the same time."""
_OF_AN_EXPORTER = _OF_A_REPLICA | {"exporter"}
"""Labels that may change while it is still the same target that counts. No others: one replica that ends must not hide another's event.
Targets have a label `exporter` of their own, such as OpenTelemetry's collector: while both live, the new one's event is an event."""
Labels = tuple[tuple[str, str], ...]
Target = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Found:
    """When series were created (Unix seconds, by name) and processes started (by target); which targets were up at the start and now.
    `is_start_known`: whether the source knows any target of the start. It may keep less than that, or have lost its storage."""

    created: Mapping[str, float]
    started: Mapping[Target, float]
    up_before: frozenset[Target]
    up_now: frozenset[Target]
    is_start_known: bool

    def base(self, series: Samples, since: float, beside: Iterable[Samples] = ()) -> float | None:
        """What a series had come to by `since`: nothing where it, or its process, is younger; what it shows first where it is older, or its
        target is known to be new; what one of those `beside` it had come to that ended as it began, and was the same before labels were
        added or taken away; None where nothing tells."""
        target = _target(series.labels)
        born = self.created.get(series_name(series.labels))
        if born is not None:
            return 0.0 if born >= since else _first(series)
        if self.started.get(target, 0.0) >= since:
            return 0.0
        if self.is_start_known and target in self.up_now and target not in self.up_before:
            return _first(series)
        before = [one.values[-1][1] for one in beside if _is_relabelled(one, series)]
        return before[0] if len(before) == 1 else None


class Origins:
    """Asks what is known of a counter's series."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    async def of(self, source: Source, selector: str, kept: str, since: float, at: float) -> Found | Failure:
        """What is known at `at` of the series of a counter whose count began at `since`. `kept` is the label that confines it, or ""."""
        confined = ", ".join((target_matchers(selector, {kept}) or {}).values()) if kept else ""
        theirs = f"and on (job, instance) {selector}"
        up_at_start = f"up{{{confined}}} offset {max(0, round((at - since) * 1000))}ms"
        queries = [
            f"process_start_time_seconds{{{confined}}} {theirs}",
            f"{up_at_start} {theirs}",
            f"up{{{confined}}} {theirs}",
            f"count({up_at_start})",
        ]
        creation = renamed(selector, "_total", "_created")  # OpenMetrics has a series with the time of creation beside each counter
        if creation is not None:
            queries.append(creation)
        answers = await asyncio.gather(*(self._questions.every_series(source, query, at) for query in queries))
        for one in answers:
            if isinstance(one, Failure):
                return one
        started, before, now, any_before, *created = (one for one in answers if isinstance(one, InstantVector))
        return Found(
            created={series_name(one.labels): one.value for vector in created for one in vector.series},
            started={_target(one.labels): one.value for one in started.series},
            up_before=frozenset(_target(one.labels) for one in before.series),
            up_now=frozenset(_target(one.labels) for one in now.series),
            is_start_known=bool(any_before.series),
        )


def _is_relabelled(old: Samples, new: Samples) -> bool:
    """Whether one series ended before the other began, which goes on from its value for the same target, with more labels or fewer."""
    if not old.values or not new.values or old.values[-1][0] >= new.values[0][0] or old.values[-1][1] > new.values[0][1]:
        return False
    before, after = frozenset(old.labels), frozenset(new.labels)
    return _target(old.labels) == _target(new.labels) and (before < after or after < before)


def series_name(labels: Labels) -> str:
    """Stands for a label set, without the metric's name: functions drop it, raw samples have it. Series of one kin begin alike, and twins
    go on alike."""
    named = [pair for pair in labels if pair[0] != "__name__"]
    kin = [pair for pair in named if pair[0] not in _OF_AN_EXPORTER]
    twin = [pair for pair in named if pair[0] not in _OF_A_REPLICA]
    return f"{_digits(kin, KIN)}{_digits(twin, TWIN - KIN)}{_digits(named, 16)}"


def _digits(labels: list[tuple[str, str]], number: int) -> str:
    return hashlib.sha256(repr(labels).encode()).hexdigest()[:number]


def _target(labels: Labels) -> Target:
    found = dict(labels)
    return found.get("job", ""), found.get("instance", "")


def _first(series: Samples) -> float:
    return series.values[0][1] if series.values else 0.0
