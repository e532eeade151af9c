"""Counting over looks, restarts and long absences: the sum is always that of the raw samples."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from tidegate.api.conditions import Reason
from tidegate.api.rollout_status import Counted
from tidegate.clients.prometheus import SERIES_KEPT, Endpoint, InstantVector, RangeVector, Samples, Series
from tidegate.domain.answers import CountAnswer, Failure
from tidegate.domain.counting import IN_STATUS, MAX_SERIES, REMEMBERED, to_status
from tidegate.observe.age import Source
from tidegate.observe.counts import LATE, PIECE, PIECES_PER_LOOK, Counter, Counts
from tidegate.observe.origins import Found
from tidegate.observe.questions import Questions

SOURCE = Source("production", Endpoint("http://prometheus:9090"))
SELECTOR = 'violations_total{job="engine"}'
SILENT = Failure(Reason.PROMETHEUS_TIMEOUT, "no complete answer within 5 s")


@dataclass
class Stored(Questions):
    """A store of raw samples that answers the few questions that counting asks, and remembers them. `targets`: what it knows of the pods
    as targets, by what the question begins with."""

    samples: Mapping[str, list[tuple[float, float]]] = field(default_factory=dict)
    up: float | None = None
    targets: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    silent: bool = False

    async def vector(self, source: Source, query: str, at: float) -> InstantVector | Failure:
        """As the client does: no more series than can be judged."""
        found = await self.every_series(source, query, at)
        return found if isinstance(found, Failure) else replace(found, series=found.series[:SERIES_KEPT])

    async def every_series(self, source: Source, query: str, at: float) -> InstantVector | Failure:
        self.asked.append(query)
        if self.silent:
            return SILENT
        if query.startswith(("up{", "process_start", "count(up{", "violations_created")):
            known = next((known for begins, known in self.targets.items() if query.startswith(begins)), {})
            return InstantVector("vector", tuple(Series((("instance", pod),), value) for pod, value in known.items()), len(known))
        if query.startswith("group by"):  # of which targets there were series lately
            return InstantVector("vector", (), 0)
        if "timestamp(" in query:
            return self._ages(query, at)
        assert query in (SELECTOR, f"last_over_time({SELECTOR}[3600s])")
        since = at - (3600 if query != SELECTOR else 300)
        found = [(pod, [value for when, value in samples if since < when <= at]) for pod, samples in self.samples.items()]
        series = [Series(labels(pod), values[-1]) for pod, values in found if values]
        return InstantVector("vector", tuple(series), len(series))

    async def raw(self, source: Source, query: str, at: float) -> RangeVector | Failure:
        self.asked.append(query)
        if self.silent:
            return SILENT
        match = re.fullmatch(re.escape(SELECTOR) + r"\[(\d+)ms\]", query)
        assert match is not None
        since = at - int(match[1]) / 1000
        found = [(pod, tuple(one for one in samples if since < one[0] <= at)) for pod, samples in self.samples.items()]
        return RangeVector(tuple(Samples((("__name__", "violations_total"), *labels(pod)), values) for pod, values in found if values))

    def _ages(self, query: str, at: float) -> InstantVector:
        times = [when for samples in self.samples.values() for when, _ in samples if at - 300 < when <= at]
        newest = self.up if "up{" in query else max(times, default=None)
        found = () if newest is None else (Series((("selector", "0"),), newest),)
        return InstantVector("vector", found, len(found))


def labels(pod: str) -> tuple[tuple[str, str], ...]:
    """`pod-1 exporter=2` has a second label."""
    instance, _, more = pod.partition(" ")
    name, _, value = more.partition("=")
    return (("instance", instance), (name, value)) if more else (("instance", instance),)


def counter(since: float = 1000.0, fingerprint: str = "f") -> Counter:
    return Counter(("u1", 1, "rollout", "violations", fingerprint), SELECTOR, fingerprint, "older", since)


async def look(counts: Counts, at: float, *, since: float = 1000.0, before: CountAnswer | None = None) -> CountAnswer:
    stored = None if before is None else to_status(before.tally, before.counter)
    answer = await counts.answer(SOURCE, counter(since), stored, at)
    assert isinstance(answer, CountAnswer)
    return answer


def when(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def every(seconds: int, until: int, value: float) -> list[tuple[float, float]]:
    return [(float(at), value) for at in range(0, until, seconds)]


async def test_what_came_before_is_not_counted_and_what_comes_after_is() -> None:
    store = Stored(samples={"a": [*every(15, 1005, 7.0), (1010, 8.0), (1025, 8.0), (1040, 10.0)]})
    counts = Counts(store)
    assert [(await look(counts, at)).tally.total for at in (1005, 1015, 1030, 1045)] == [0, 1, 1, 3]


async def test_only_what_is_new_is_asked_for_and_what_may_come_late() -> None:
    store = Stored(samples={"a": every(15, 3000, 7.0)})
    counts = Counts(store)
    await look(counts, 1015)
    store.asked.clear()
    await look(counts, 1030)
    assert [query for query in store.asked if "selector" not in query] == [f"{SELECTOR}[{15 + LATE:.0f}000ms]"], "and its age"
    await look(counts, 1030)
    assert sum("ms]" in query for query in store.asked) == 1, "the same tick again"


async def test_samples_that_are_there_to_be_read_only_later_are_counted_once() -> None:
    """VictoriaMetrics shows them some seconds after their time, a remote write whenever it comes."""
    store = Stored(samples={"a": [*every(15, 986, 7.0)]})
    counts, late = Counts(store), [(990.0, 8.0), (1005.0, 9.0), (1020.0, 10.0)]
    totals = []
    for at in (1001.0, 1006.0, 1021.0, 1036.0, 1051.0):
        store.samples["a"][:] = [*every(15, 986, 7.0), *(one for one in late if one[0] <= at - 15)]
        totals.append((await look(counts, at)).tally.total)
    assert totals == [0, 0, 1, 2, 2], "what came before the count began is none of its events"


async def test_a_restarted_operator_counts_on_from_status() -> None:
    store = Stored(samples={"a": [*every(15, 1005, 7.0), (1010, 8.0), (1200, 9.0), (1205, 3.0)]})
    kept = await look(Counts(store), 1100)
    store.asked.clear()
    assert (await look(Counts(store), 1210, before=kept)).tally.total == 1 + 1 + 3
    assert not any("last_over_time" in query for query in store.asked), "the beginning is known"


async def test_a_count_of_an_older_version_goes_on_from_where_it_stood() -> None:
    """The source has forgotten the beginning since: counted anew, the whole history would be events."""
    kept = Counted(counter="older", since=when(1000), until=when(1500), total="2", series={"another name": "502@1495.000"})
    store = Stored(samples={"a": [*((float(at), 502.0) for at in range(1400, 1600, 15)), (1601.0, 503.0)]})
    answer = await Counts(store).answer(SOURCE, counter(), kept, 1610)
    assert isinstance(answer, CountAnswer)
    assert (answer.tally.since, answer.tally.total) == (1000, 3)


async def test_without_a_status_the_count_is_rebuilt_from_the_beginning() -> None:
    store = Stored(samples={"a": [*every(15, 1005, 7.0), (1010, 8.0), (1200, 2.0)], "b": [(1100, 1.0)]})
    assert (await look(Counts(store), 1210)).tally.total == 1 + 2 + 1


async def test_status_of_another_question_or_another_step_is_not_counted_on() -> None:
    store = Stored(samples={"a": [*every(15, 1005, 7.0), (1010, 8.0), (1100, 9.0)]})
    kept = await look(Counts(store), 1050)
    assert kept.tally.total == 1
    assert (await look(Counts(store), 1150, since=1060.0, before=kept)).tally.total == 1, "the step begins at 1060"
    other = await Counts(store).answer(SOURCE, counter(fingerprint="g"), to_status(kept.tally, kept.counter), 1150)
    assert isinstance(other, CountAnswer)
    assert other.tally.total == 2


async def test_a_long_absence_is_caught_up_a_piece_at_a_time() -> None:
    end = 1000 + int(PIECE) * (PIECES_PER_LOOK + 2)
    store = Stored(samples={"a": [*every(15, end, 7.0), (float(end), 8.0)]})
    counts = Counts(store)
    first = await look(counts, float(end))
    assert (first.caught_up, first.tally.until) == (False, 1000 + PIECE * PIECES_PER_LOOK)
    second = await look(counts, float(end))
    assert (second.caught_up, second.tally.total) == (True, 1)


async def test_a_source_that_fails_midway_loses_nothing() -> None:
    store = Stored(samples={"a": [*every(15, 1005, 7.0), (1010, 8.0), (1100, 9.0)]})
    counts = Counts(store)
    await look(counts, 1050)
    store.silent = True
    assert await counts.answer(SOURCE, counter(), None, 1070) == SILENT
    store.silent = False
    assert (await look(counts, 1110)).tally.total == 2


async def test_no_series_is_none_only_while_a_target_of_the_job_is_up() -> None:
    assert (await look(Counts(Stored()), 1015)).oldest_sample is None
    assert (await look(Counts(Stored(up=1012.0)), 1015)).oldest_sample == 1012.0


async def test_series_that_live_are_counted_for_the_limit() -> None:
    store = Stored(samples={f"pod-{number}": [(1010.0, 1.0)] for number in range(120)})
    answer = await look(Counts(store), 1015)
    assert (answer.series, answer.tally.total) == (120, 120)


async def test_series_that_ended_before_make_none_of_those_that_live_new() -> None:
    """A hundred and sixty pods were replaced within the hour before the count began, by sixty with a history of their own."""
    ended = {f"old-{number}": every(15, 400, 5.0) for number in range(160)}
    store = Stored(samples=ended | {f"pod-{number}": [*every(60, 1150, 7.0), (1155.0, 7.0 + (number == 0))] for number in range(60)})
    counts = Counts(store)
    first, last = await look(counts, 1020), await look(counts, 1160)
    assert (first.series, first.tally.total) == (60, 0), "what has ended is none too many"
    assert (last.series, last.tally.total) == (60, 1)


TARGET = (("instance", "a:80"), ("job", "engine"))
RUNNING = Found({}, {("engine", "a:80"): 10.0}, frozenset({("engine", "a:80")}), frozenset({("engine", "a:80")}), is_start_known=True)


def one(*values: tuple[float, float], **labels: str) -> Samples:
    return Samples(tuple(sorted((*TARGET, *labels.items()))), values)


@pytest.mark.parametrize(
    ("beside", "base"),
    [
        ([one((1010, 7.0), code="500")], 7),  # relabelled: a label was added
        ([one((1010, 7.0), code="500", zone="b", rack="c")], 7),  # or taken away
        ([one((1010, 6.0), code="500")], 6),
        ([one((1010, 8.0), code="500")], None),  # shows less: another history
        ([one((1010, 7.0), (1030, 7.0), code="500")], None),  # lives on
        ([one((1010, 7.0), code="404")], None),  # another series of the counter
        ([one((1010, 7.0), code="500", instance="b:80")], None),
        ([one((1010, 7.0), code="500"), one((1010, 5.0))], None),  # nobody knows which
        ([], None),
    ],
)
def test_a_series_that_was_relabelled_goes_on(beside: list[Samples], base: float | None) -> None:
    new = one((1025, 7.0), (1040, 8.0), code="500", zone="b")
    assert RUNNING.base(new, 1000, [new, *beside]) == base


def pods(
    number: int, value: float, *, since: int = 0, until: int = 2000, step: int = 15, name: str = "pod"
) -> dict[str, list[tuple[float, float]]]:
    return {f"{name}-{one}": [(float(at), value) for at in range(since, until, step)] for one in range(number)}


async def test_the_history_of_replaced_pods_takes_no_living_ones_place() -> None:
    """Sixty pods were replaced some minutes before: with both lots there are more series than are judged. Scrapes are so far apart that the
    last one before the count began isn't read again."""
    store = Stored(samples=pods(60, 5.0, until=700, step=150, name="old") | pods(60, 5.0, step=150))
    counts = Counts(store)
    answers = [await look(counts, at) for at in (1060.0, 1360.0)]
    assert [answer.tally.total for answer in answers] == [0, 0]
    assert answers[-1].series == 60 <= MAX_SERIES


async def test_more_series_than_status_holds_are_counted_on_and_after_a_restart_from_what_it_held_last() -> None:
    samples = pods(90, 5.0) | pods(IN_STATUS, 0.0, since=1045, until=1105, name="short")
    samples["pod-3"] = [(at, value + (at > 1070)) for at, value in samples["pod-3"]]
    counts = Counts(Stored(samples=samples))
    kept = await look(counts, 1030)
    crowded = await look(counts, 1060)
    assert (to_status(kept.tally, "f") is None, to_status(crowded.tally, "f") is None) == (False, True)
    assert (await look(counts, 1600)).tally.total == 1
    assert (await look(Counts(Stored(samples=samples)), 1600, before=kept)).tally.total == 1


async def test_a_count_of_too_many_series_is_lost_and_nothing_more_is_asked_for_it() -> None:
    store = Stored(samples=pods(REMEMBERED + 1, 5.0, since=1020, until=1100))
    counts = Counts(store)
    assert (await look(counts, 1030)).tally.is_lost
    store.asked.clear()
    assert (await look(counts, 1500)).tally.is_lost
    assert not any("ms]" in query for query in store.asked)
    assert (await look(counts, 1500, since=1490)).tally.is_lost, "their series ended within the hour"
    assert not (await look(counts, 9000, since=8990)).tally.is_lost, "a later step begins anew"


START_KNOWN, UP_BEFORE, UP_NOW, STARTED = "count(up{", "up{} offset", "up{} and", "process_start"


@pytest.mark.parametrize(
    ("targets", "events"),
    [
        ({START_KNOWN: 40, UP_BEFORE: 1, UP_NOW: 1, STARTED: 10}, 1),  # a new label on a target that was there
        ({START_KNOWN: 40, UP_NOW: 1, STARTED: 10}, 0),  # the target is new: it brings a history
        ({UP_NOW: 1, STARTED: 10}, 1),  # the source knows nothing of that time: it doesn't say that the target is new
        ({UP_NOW: 1}, 1),
        ({START_KNOWN: 40, UP_NOW: 1, STARTED: 1010}, 1),  # the process is as young as the attempt
        ({}, 1),
    ],
)
async def test_a_series_that_appears_is_news_unless_its_target_is_known_to_be_new(targets: dict[str, float], events: float) -> None:
    store = Stored(samples={"a": [(1040, 1.0)]}, targets={begins: {"a": value} for begins, value in targets.items()})
    assert (await look(Counts(store), 1050)).tally.total == events


async def test_each_of_many_targets_is_known_for_new() -> None:
    """They are more than are judged; once some have gone, the rest is."""
    targets = {START_KNOWN: {"": 40.0}, UP_NOW: dict.fromkeys(pods(120, 5.0), 1.0)}
    assert (await look(Counts(Stored(samples=pods(120, 5.0, since=1020), targets=targets)), 1050)).tally.total == 0


@pytest.mark.parametrize(("label", "events"), [("prometheus_replica", 0), ("prometheus", 0), ("exporter", 5), ("code", 5)])
async def test_what_comes_back_through_a_second_replica_is_no_news(label: str, events: float) -> None:
    """Any other label may be the target's own."""
    store = Stored(samples={f"pod-1 {label}=0": every(15, 2000, 5.0), f"pod-1 {label}=1": [(1040, 5.0), (1055, 5.0)]})
    counts = Counts(store)
    assert [(await look(counts, at)).tally.total for at in (1030, 1060)] == [0, events]
