"""Questions to a scripted Prometheus: how old an answer is, who shares it, and what becomes of those that can't be judged."""

import asyncio
import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.virtual_time import in_virtual_time
from tidegate.api.conditions import Reason
from tidegate.clients.errors import SourceBadAnswer, SourceRefused, SourceTimeout, SourceTooMuch, SourceUnreachable
from tidegate.clients.prometheus import Endpoint, InstantVector, Prometheus, RangeVector, Samples, Series
from tidegate.domain.answers import Answer, Buckets, Failure, Newest, SeriesValue
from tidegate.domain.liveness import ages
from tidegate.domain.queries import compile_query
from tidegate.observe.age import Source
from tidegate.observe.questions import KEPT_FOR, Questions
from tidegate.observe.silence import FAILURES_IN_A_ROW, PROBE_EVERY
from tidegate.report.policy_metrics import SOURCE_ERRORS

AT = 1_800_000_000.0
SOURCE = Source("production", Endpoint("http://prometheus:9090"))
REFUSED = SourceRefused(500, "", "internal error")
NO_DELAY = timedelta(0)
RATIO = "sum(rate(errors_total[1m])) / sum(rate(requests_total[5m]))"


def vector(*values: float, warnings: tuple[str, ...] = ()) -> InstantVector:
    series = tuple(Series((("pod", str(number)),), value) for number, value in enumerate(values))
    return InstantVector("vector", series, len(series), warnings)


def newest_samples(*times: float | None, warnings: tuple[str, ...] = ()) -> InstantVector:
    """The answer to a freshness question: one series for each selector that matches anything."""
    found = [Series((("selector", str(number)),), time) for number, time in enumerate(times) if time is not None]
    return InstantVector("vector", tuple(found), len(found), warnings)


Said = InstantVector | Exception
HALF, FRESH = vector(0.5), newest_samples(AT)


class ScriptedPrometheus(Prometheus):
    """Answers `value` to every question but those for freshness, and keeps a list of what it was asked."""

    def __init__(self, value: Said = HALF, freshness: Said = FRESH) -> None:
        self.value, self.freshness = value, freshness
        self.asked: list[tuple[str, str, float]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def instant(self, endpoint: Endpoint, query: str, at: float, keep: int = 0) -> InstantVector:
        self.asked.append((endpoint.url, query, at))
        await self.may_answer.wait()
        said = self.freshness if "timestamp(" in query else self.value
        if isinstance(said, Exception):
            raise said
        return said


def asked(query: str, value: Said, freshness: Said, **how: Any) -> Answer | Failure:
    """The answer to one question."""
    return asyncio.run(Questions(ScriptedPrometheus(value, freshness)).answer(SOURCE, query, AT, **how))


def oldest(answer: Answer | Failure) -> float | None:
    assert isinstance(answer, Answer)
    return answer.oldest_sample


# how old an answer is


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(st.lists(st.none() | st.floats(AT - 1e6, AT), min_size=1, max_size=16))
def test_an_answer_is_as_old_as_its_oldest_selector_and_undated_where_one_is_missing(times: list[float | None]) -> None:
    query = " + ".join(f"m{number}" for number in range(len(times)))
    known = [time for time in times if time is not None]
    assert oldest(asked(query, vector(1), newest_samples(*times))) == (min(known) if len(known) == len(times) else None)


def test_the_freshness_question_is_the_one_of_the_query() -> None:
    prometheus = ScriptedPrometheus(vector(0.01), newest_samples(AT, AT))
    asyncio.run(Questions(prometheus).answer(SOURCE, RATIO, AT))
    assert {query for _, query, _ in prometheus.asked} == {RATIO, ages(compile_query(RATIO).selectors, NO_DELAY)}
    assert {at for _, _, at in prometheus.asked} == {AT}, "both at the same moment"


def test_an_answer_carries_its_series_and_how_far_back_it_looks() -> None:
    value = InstantVector("vector", (Series((("pod", "a"), ("zone", "b")), 0.5), Series((), 2.0)), 2)
    answer = asked(RATIO, value, newest_samples(AT, AT))
    assert answer == Answer(AT, "vector", (SeriesValue('pod="a", zone="b"', 0.5), SeriesValue("", 2.0)), AT, 300.0, 2)


@pytest.mark.parametrize(("times", "found"), [([(-90, -60), (-50, -20)], AT - 20 + 60), ([], None)])
def test_samples_of_several_metrics_are_as_old_as_the_newest(times: list[tuple[float, float]], found: float | None) -> None:
    class Raw(ScriptedPrometheus):
        async def raw(self, endpoint: Endpoint, query: str, at: float) -> RangeVector:
            if query == '{__name__=~"x|y"}[900s] offset -900000ms':
                return RangeVector((Samples((), ((at + 3, 1.0), (at + 90, 1.0))),) if times else ())
            assert query == '{__name__=~"x|y"}[300s] offset 60000ms'
            return RangeVector(tuple(Samples((), tuple((at + when, 1.0) for when in samples)) for samples in times))

    prometheus = Raw()
    answer = asyncio.run(Questions(prometheus).answer(SOURCE, 'max({__name__=~"x|y"} offset 1m)', AT))
    assert (oldest(answer), [query for _, query, _ in prometheus.asked]) == (found, ['max({__name__=~"x|y"} offset 1m)'])
    assert isinstance(answer, Answer)
    assert answer.newest == (Newest(AT + 90, '{__name__=~"x|y"}') if times else None)


def test_the_newest_sample_of_all_that_is_read_is_told_with_its_selector() -> None:
    """One question for both, also where nothing shows that what it rests on lives."""
    beyond = InstantVector("vector", tuple(Series((("newest", str(one)),), AT + lead) for one, lead in ((0, -1), (1, 300))), 2)
    for times, lacking in (((AT, AT), ""), ((AT, None), 'requests_total{job="a"}')):
        dated = replace(beyond, series=newest_samples(*times).series + beyond.series)
        prometheus = ScriptedPrometheus(freshness=dated)
        answer = asyncio.run(Questions(prometheus).answer(SOURCE, 'errors_total / requests_total{job="a"}', AT))
        assert isinstance(answer, Answer)
        assert (answer.newest, answer.lacking) == (Newest(AT + 300, 'requests_total{job="a"}'), lacking)
        assert len(prometheus.asked) == 2


def test_a_source_that_is_asked_about_a_while_ago_is_asked_for_the_newest_up_to_the_present() -> None:
    prometheus = ScriptedPrometheus()
    delayed = replace(SOURCE, delay=timedelta(minutes=2))
    asyncio.run(Questions(prometheus).answer(delayed, "trades_total", AT))
    assert "offset -1020000ms" in prometheus.asked[1][1]


def test_long_labels_are_cut() -> None:
    value = InstantVector("vector", (Series((("pod", "x" * 10_000),), 1.0),), 1)
    answer = asked("up", value, newest_samples(AT))
    assert isinstance(answer, Answer)
    assert len(answer.series[0].labels) == 512


@pytest.mark.parametrize(
    ("rates", "counted", "found"),
    [
        ({"1": 5, "1.0": 5, "+Inf": 10}, {"1": 1, "1.0": 1, "+Inf": 2}, {1: 10, math.inf: 10}),  # one bound in two spellings
        ({"1": 5, "1.0": 5, "+Inf": 10}, {"1": 1, "1.0": 1, "+Inf": 1}, {1: 10, math.inf: 10}),  # in both, by one exporter
        ({"1": 5, "1e0": 5, "Inf": 4, "+Inf": 6, "0.10": 3, "0.1": 3}, {}, {0.1: 6, 1: 10, math.inf: 10}),
        ({"0.5": 4, "1": 10, "+Inf": 10}, {"0.5": 1, "1": 2, "+Inf": 2}, {1: 10, math.inf: 10}),  # the next version has other bounds
        ({"1": 10, "+Inf": 5}, {"1": 2, "+Inf": 1}, {1: 10}),  # a part has no +Inf
        ({"1": math.nan, "+Inf": 5, "": 7, "x": 7}, {"1": 1, "+Inf": 1}, {math.inf: 5}),
    ],
)
def test_bounds_are_those_that_every_series_has_however_they_are_spelt(
    rates: dict[str, float], counted: dict[str, float], found: dict[float, float]
) -> None:
    said = [Series((("le", le),), rate) for le, rate in rates.items()]
    said += [Series((("counted", "series"), ("le", le)), number) for le, number in counted.items()]
    value = InstantVector("vector", tuple(said), len(said))
    answer = asyncio.run(Questions(ScriptedPrometheus(value)).buckets(SOURCE, "rate(x_bucket[1m])", "count(rate(x_bucket[1m]))", AT))
    assert isinstance(answer, Buckets)
    assert dict(answer.rates) == found


@pytest.mark.parametrize(
    ("query", "own", "sign", "found", "questions"),
    [
        ("x or vector(0)", AT - 61, AT - 1, AT - 1, 4),  # nobody told the source that the series has ended
        ("x or vector(0)", AT - 61, None, AT - 61, 4),
        ("x or vector(0)", AT - 61, AT - 90, AT - 61, 4),
        ("x or vector(0)", AT - 60, AT - 1, AT - 60, 2),  # fresh: no sign is asked for
        ("x", AT - 61, AT - 1, AT - 61, 2),  # not one that may be empty
    ],
)
def test_a_selector_that_may_be_empty_and_has_old_samples_alone_needs_a_sign_of_life(
    query: str, own: float, sign: float | None, found: float, questions: int
) -> None:
    class Two(ScriptedPrometheus):
        async def instant(self, endpoint: Endpoint, query: str, at: float, keep: int = 0) -> InstantVector:
            answer = await super().instant(endpoint, query, at)
            if "last_over_time(" in query:
                return vector()
            return vector(*([] if sign is None else [sign])) if '"sign"' in query else answer

    prometheus = Two(freshness=newest_samples(own))
    answer = asyncio.run(Questions(prometheus).answer(replace(SOURCE, staleness=60), query, AT))
    assert (oldest(answer), len(prometheus.asked)) == (found, questions)


# answers that can't be judged


@pytest.mark.parametrize(
    ("said", "failure"),
    [
        (SourceUnreachable("refused"), Failure(Reason.PROMETHEUS_UNREACHABLE, "refused")),
        (SourceTimeout("no answer"), Failure(Reason.PROMETHEUS_TIMEOUT, "no answer")),
        (REFUSED, Failure(Reason.PROMETHEUS_ERROR, "HTTP 500: internal error")),
        (SourceBadAnswer("not JSON"), Failure(Reason.PROMETHEUS_ERROR, "not JSON")),
        (
            SourceTooMuch("10001 series"),
            Failure(Reason.QUERY_REFUSED, "10001 series"),
        ),  # nobody is exposed to a gate that asks for too much
        (vector(0.0, warnings=("a store is away", "another")), Failure(Reason.PROMETHEUS_WARNING, "a store is away")),
    ],
)
@pytest.mark.parametrize("part", ["value", "freshness"])
def test_a_failure_of_either_part_is_a_failure_of_the_answer(said: Said, failure: Failure, part: str) -> None:
    parts: dict[str, Said] = {"value": vector(0.0), "freshness": newest_samples(AT)}
    parts[part] = said
    assert asked("up", **parts) == failure


@pytest.mark.parametrize("query", ["rate(up[5m)", "vector(1)", "up[5m]"])
def test_a_query_that_can_not_be_used_is_never_sent(query: str) -> None:
    prometheus = ScriptedPrometheus(vector(1), newest_samples(AT))
    answer = asyncio.run(Questions(prometheus).answer(SOURCE, query, AT))
    assert isinstance(answer, Failure)
    assert answer.reason is Reason.QUERY_REFUSED
    assert prometheus.asked == []


# who shares an answer


@pytest.mark.parametrize("said", [vector(0.5), REFUSED], ids=["value", "failure"])
@in_virtual_time
async def test_the_same_question_of_one_tick_is_asked_once_whoever_asks(said: Said) -> None:
    prometheus = ScriptedPrometheus(said)
    questions = Questions(prometheus)
    prometheus.may_answer.clear()
    early = [asyncio.create_task(questions.answer(SOURCE, "up", AT)) for _ in range(100)]
    await asyncio.sleep(1)
    prometheus.may_answer.set()
    answers = [*await asyncio.gather(*early), *[await questions.answer(SOURCE, "up", AT) for _ in range(100)]]
    assert len(prometheus.asked) == questions.requests == 2, "the value, and its age"
    assert len(set(answers)) == 1


@in_virtual_time
async def test_what_differs_is_asked_anew() -> None:
    prometheus = ScriptedPrometheus()
    questions = Questions(prometheus)
    endpoint = SOURCE.endpoint
    for source, query, at, is_new in (
        (SOURCE, "up", AT, True),
        (SOURCE, "up", AT + 1, True),
        (SOURCE, "down", AT, True),
        (Source("production", Endpoint("http://elsewhere:9090")), "up", AT, True),
        (Source("production", Endpoint(endpoint.url, headers=(("Authorization", "Bearer t"),))), "up", AT, True),
        (Source("staging", endpoint), "up", AT, False),
    ):
        before = len(prometheus.asked)
        await questions.answer(source, query, at)
        assert len(prometheus.asked) == before + 2 * is_new, (source, query, at)


@in_virtual_time
async def test_a_value_that_was_asked_without_its_age_is_shared_with_one_who_needs_both() -> None:
    prometheus = ScriptedPrometheus()
    questions = Questions(prometheus)
    assert oldest(await questions.answer(SOURCE, "trades_total", AT, with_age=False)) == AT
    assert [query for _, query, _ in prometheus.asked] == ["trades_total"]
    await questions.answer(SOURCE, "trades_total", AT)
    assert [query for _, query, _ in prometheus.asked] == ["trades_total", ages(compile_query("trades_total").selectors, NO_DELAY)]


@in_virtual_time
async def test_who_gives_up_takes_the_answer_from_nobody() -> None:
    prometheus = ScriptedPrometheus()
    questions = Questions(prometheus)
    prometheus.may_answer.clear()
    first, second = (asyncio.create_task(questions.answer(SOURCE, "up", AT)) for _ in range(2))
    await asyncio.sleep(1)
    first.cancel()
    await asyncio.sleep(1)
    prometheus.may_answer.set()
    assert isinstance(await second, Answer)
    assert len(prometheus.asked) == 2


@in_virtual_time
async def test_an_answer_is_not_remembered_for_ever() -> None:
    prometheus = ScriptedPrometheus()
    questions = Questions(prometheus)
    await questions.answer(SOURCE, "up", AT)
    await asyncio.sleep(KEPT_FOR + 1)
    await questions.answer(SOURCE, "other", AT)
    await questions.answer(SOURCE, "up", AT)
    assert [query for _, query, _ in prometheus.asked].count("up") == 2


@pytest.mark.parametrize(("keep", "samples"), [(4, 1000), (1000, 200)], ids=["answers", "samples"])
def test_only_so_much_is_remembered(monkeypatch: pytest.MonkeyPatch, keep: int, samples: int) -> None:
    monkeypatch.setattr("tidegate.observe.questions.KEPT_SAMPLES", samples)
    prometheus = ScriptedPrometheus(vector(*range(101)))

    async def ask() -> None:
        questions = Questions(prometheus, keep)
        for query in ("a", "b", "c", "c"):
            await questions.answer(SOURCE, query, AT)
        assert len(prometheus.asked) == 6, "the newest is still known"
        await questions.answer(SOURCE, "a", AT)
        assert len(prometheus.asked) > 6, "the oldest made room"

    asyncio.run(ask())


@pytest.mark.parametrize("status", [400, 422])
def test_a_query_that_prometheus_can_not_evaluate_is_told_apart_from_its_own_trouble(status: int) -> None:
    failure = asked("up", SourceRefused(status, "execution", "many-to-many"), newest_samples(AT))
    assert failure == Failure(Reason.QUERY_REFUSED, "execution: many-to-many")


# a source that is taken for dead


@in_virtual_time
async def test_slow_questions_of_one_tenant_blind_nobody_else() -> None:
    """Three time-outs in a row are no sign of death while other questions are answered."""

    class Slow(ScriptedPrometheus):
        async def instant(self, endpoint: Endpoint, query: str, at: float, keep: int = 0) -> InstantVector:
            if "heavy" in query:
                await asyncio.sleep(5)
                raise SourceTimeout("no complete answer within 5 s")
            return await super().instant(endpoint, query, at)

    questions = Questions(Slow())
    heavy = [asyncio.create_task(questions.answer(SOURCE, f"heavy{number}", AT)) for number in range(FAILURES_IN_A_ROW)]
    assert isinstance(await questions.answer(SOURCE, "light", AT), Answer)
    await asyncio.gather(*heavy)
    assert isinstance(await questions.answer(SOURCE, "light", AT + 1), Answer)


@pytest.mark.parametrize("said", [SourceUnreachable("refused"), SourceTimeout("no answer")])
@in_virtual_time
async def test_a_dead_source_is_asked_once_in_a_while_and_believed_at_its_first_answer(said: Exception) -> None:
    prometheus = ScriptedPrometheus(said, said)
    questions = Questions(prometheus)

    async def looked(tick: int) -> bool:
        return isinstance(await questions.answer(SOURCE, "up", AT + tick), Answer)

    for tick in range(FAILURES_IN_A_ROW):
        assert not await looked(tick)
    before = len(prometheus.asked)
    for tick in range(100, 120):
        assert not await looked(tick)
    assert len(prometheus.asked) == before, "nothing is sent to a source that has just been silent"
    await asyncio.sleep(PROBE_EVERY)
    assert not await looked(200)
    assert len(prometheus.asked) == before + 1, "one question finds out"
    prometheus.value, prometheus.freshness = HALF, FRESH
    await asyncio.sleep(PROBE_EVERY)
    assert await looked(300), "those who ask beside the one that finds out wait for it"


@in_virtual_time
async def test_a_source_that_answers_with_errors_is_not_dead() -> None:
    prometheus = ScriptedPrometheus(REFUSED, REFUSED)
    questions = Questions(prometheus)
    for tick in range(20):
        await questions.answer(SOURCE, "up", AT + tick)
    assert len(prometheus.asked) == 40


# what is counted


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (SourceUnreachable("refused"), Reason.PROMETHEUS_UNREACHABLE),
        (SourceTimeout("no answer"), Reason.PROMETHEUS_TIMEOUT),
        (SourceRefused(500, "", "internal error"), Reason.PROMETHEUS_ERROR),
        (SourceBadAnswer("not JSON"), Reason.PROMETHEUS_ERROR),
        (SourceRefused(422, "execution", "many-to-many"), Reason.QUERY_REFUSED),
        (vector(0.5, warnings=("a store is missing",)), Reason.PROMETHEUS_WARNING),
        (HALF, None),
    ],
)
@in_virtual_time
async def test_what_got_no_answer_is_told_once_with_its_policy_and_reason(said: Said, reason: Reason | None) -> None:
    failed: list[tuple[str, Reason]] = []
    questions = Questions(ScriptedPrometheus(said, FRESH), failed=lambda policy, why: failed.append((policy, why)))
    await asyncio.gather(*(questions.answer(SOURCE, "up", AT) for _ in range(3)))
    assert failed == ([] if reason is None else [("production", reason)])
    assert reason is None or reason in SOURCE_ERRORS, "it begins at 0"


@in_virtual_time
async def test_a_silent_source_counts_for_each_policy_that_would_ask_it() -> None:
    failed: list[str] = []
    questions = Questions(ScriptedPrometheus(SourceTimeout("no answer"), FRESH), failed=lambda policy, _: failed.append(policy))
    for tick in range(FAILURES_IN_A_ROW):
        await questions.vector(SOURCE, "up", AT + tick)
    await questions.vector(Source("staging", SOURCE.endpoint), "up", AT + FAILURES_IN_A_ROW)
    assert failed == ["production"] * FAILURES_IN_A_ROW + ["staging"]
