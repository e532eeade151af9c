"""Counting over looks, restarts and long absences: the sum is always that of the raw samples."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest

from tidegate.api.conditions import Reason
from tidegate.clients.prometheus import SERIES_KEPT, Endpoint, InstantVector, RangeVector, Samples, Series
from tidegate.domain.answers import CountAnswer, Failure
from tidegate.domain.counting import to_status
from tidegate.observe.counts import LATE, PIECE, PIECES_PER_LOOK, Counter, Counts
from tidegate.observe.origins import Found
from tidegate.observe.questions import Questions, Source

SOURCE = Source("production", Endpoint("http://prometheus:9090"))
SELECTOR = 'violations_total{job="engine"}'
SILENT = Failure(Reason.PROMETHEUS_TIMEOUT, "no complete answer within 5 s")


@dataclass
class Stored(Questions):
    """A store of raw samples that answers the few questions that counting asks, and remembers them."""

    samples: Mapping[str, list[tuple[float, float]]] = field(default_factory=dict)
    up: float | None = None
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
        if "and on (job, instance)" in query or query.startswith("violations_created"):
            return InstantVector("vector", (), 0)  # a target that nothing is known of
        if query.startswith("label_replace("):
            return self._ages(query, at)
        assert query in (SELECTOR, f"last_over_time({SELECTOR}[3600s])")
        since = at - (3600 if query != SELECTOR else 300)
        found = [(pod, [value for when, value in samples if since < when <= at]) for pod, samples in self.samples.items()]
        series = [Series((("pod", pod),), values[-1]) for pod, values in found if values]
        return InstantVector("vector", tuple(series), len(series))

    async def raw(self, source: Source, query: str, at: float) -> RangeVector | Failure:
        self.asked.append(query)
        if self.silent:
            return SILENT
        match = re.fullmatch(re.escape(SELECTOR) + r"\[(\d+)ms\]", query)
        assert match is not None
        since = at - int(match[1]) / 1000
        found = [(pod, tuple(one for one in samples if since < one[0] <= at)) for pod, samples in self.samples.items()]
        return RangeVector(tuple(Samples((("__name__", "violations_total"), ("pod", pod)), values) for pod, values in found if values))

    def _ages(self, query: str, at: float) -> InstantVector:
        times = [when for samples in self.samples.values() for when, _ in samples if at - 300 < when <= at]
        newest = self.up if "up{" in query else max(times, default=None)
        found = () if newest is None else (Series((("selector", "0"),), newest),)
        return InstantVector("vector", found, len(found))


def counter(since: float = 1000.0, fingerprint: str = "f") -> Counter:
    return Counter(("u1", 1, "rollout", "violations", fingerprint), SELECTOR, fingerprint, since)


async def look(counts: Counts, at: float, *, since: float = 1000.0, before: CountAnswer | None = None) -> CountAnswer:
    stored = None if before is None else to_status(before.tally, before.counter)
    answer = await counts.answer(SOURCE, counter(since), stored, at)
    assert isinstance(answer, CountAnswer)
    return answer


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
RUNNING = Found({}, {("engine", "a:80"): 10.0}, frozenset({("engine", "a:80")}), frozenset({("engine", "a:80")}))


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
