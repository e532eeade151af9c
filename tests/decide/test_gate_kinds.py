"""Each kind of gate, one reading: counts, latencies, and values that are relative to something."""

import math
from dataclasses import replace
from typing import Any

import pytest

from tests.builders import START, after, answer, context, gate, series
from tests.decide.judging import judged, said
from tidegate.api.conditions import Reason
from tidegate.api.feature_rollout import NoData as NoDataRule
from tidegate.api.gates import Gate
from tidegate.api.rollout_status import Verdict
from tidegate.decide.gates.verdict import unjudgeable
from tidegate.domain.answers import Answer, Buckets, CountAnswer, Failure, GateAnswer, SeriesValue
from tidegate.domain.counting import IN_STATUS, Tally

ADVANCE, HOLD, ROLLBACK, NO_DATA, NOT_APPLICABLE = (
    Verdict.ADVANCE,
    Verdict.HOLD,
    Verdict.ROLLBACK,
    Verdict.NO_DATA,
    Verdict.NOT_APPLICABLE,
)
SILENT = Failure(Reason.PROMETHEUS_TIMEOUT, "no complete answer within 5 s")
REFUSED = Failure(Reason.QUERY_REFUSED, "bad_data: many-to-many")


# count


def count_gate(**fields: Any) -> Gate:
    fields = {"name": "violations", "count": {"counter": 'violations_total{job="engine"}'}, "rollback": {"gte": 1}} | fields
    return Gate.model_validate(fields)


def counted(total: float, *, age: float | None = 1, caught_up: bool = True, series: int = 1, at: float = 0) -> CountAnswer:
    tally = Tally(START - 100, START + at, total, {"a": (total, START + at)})
    return CountAnswer(START + at, "c", tally, series, caught_up, None if age is None else START + at - age)


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        (counted(0), ADVANCE),
        (counted(1), ROLLBACK),  # one event, one sample
        (counted(7), ROLLBACK),
        (counted(0, age=31), NO_DATA),
        (counted(0, age=None), NO_DATA),  # no series, and no target that could tell of an event
        (counted(0, caught_up=False), NO_DATA),
        (counted(0, series=101), NO_DATA),
        (counted(math.inf), NO_DATA),
        (replace(counted(7), tally=Tally(START - 100, START, 7, is_lost=True)), NO_DATA),
        (SILENT, NO_DATA),
    ],
)
def test_counts(given: CountAnswer | Failure, verdict: Verdict) -> None:
    assert said(count_gate(), GateAnswer(given)).verdict is verdict


def test_a_count_that_is_behind_is_no_missing_data() -> None:
    """It catches up by an hour a reconcile: after an absence of days that may take longer than noData.deadline."""
    rule = NoDataRule.model_validate({"deadline": "1h", "then": "rollback"})
    looks = [(GateAnswer(counted(0, caught_up=False, at=at)), context(at, rule=rule)) for at in range(0, 7200, 600)]
    assert {one.verdict for one in judged(count_gate(), *looks)} == {NO_DATA}


def test_a_count_covers_the_attempt_and_still_lets_later_steps_begin() -> None:
    """The window of `since: attempt` reaches back before the step, which is what was asked for."""
    assert said(count_gate(), GateAnswer(counted(0)), context(effective=-10)).verdict is ADVANCE
    assert said(count_gate(), GateAnswer(counted(0)), context(effective=0)).verdict is HOLD  # nothing was read since


def test_a_count_is_kept_in_status() -> None:
    status = said(count_gate(), GateAnswer(counted(3)))
    assert status.counted is not None
    assert (status.value, status.counted.total, status.counted.series) == ("3", "3", {"a": f"3@{START:.3f}"})


CROWDED = replace(counted(5), tally=Tally(START - 100, START, 5, {str(number): (1.0, START) for number in range(IN_STATUS + 1)}))


@pytest.mark.parametrize("given", [CROWDED, SILENT])
def test_what_status_held_of_a_count_stays_where_it_can_hold_nothing_newer(given: CountAnswer | Failure) -> None:
    before, after_it = judged(count_gate(), (GateAnswer(counted(3)), context()), (GateAnswer(given), context()))
    assert before.counted is not None
    assert after_it.counted == before.counted
    assert said(count_gate(), GateAnswer(given)).counted is None


@pytest.mark.parametrize(("total", "verdict"), [(99, HOLD), (100, ADVANCE), (150, ADVANCE)])
def test_a_count_may_also_have_to_be_reached(total: float, verdict: Verdict) -> None:
    trades = Gate.model_validate({"name": "trades", "count": {"counter": "trades_total"}, "advance": {"gte": 100}})
    assert said(trades, GateAnswer(counted(total))).verdict is verdict


# latency


def latency_gate(quantile: float = 0.95, **fields: Any) -> Gate:
    latency = {"histogram": "request_seconds_bucket", "quantile": quantile, "over": "1m"}
    return Gate.model_validate({"name": "slow", "latency": latency, "advance": {"lt": 2}, "rollback": {"gt": 5, "confirm": 1}} | fields)


def buckets(*, within_2: float, within_5: float, total: float = 1000, per: float = 60, **extra: float) -> Buckets:
    """A minute with so many requests at most 2 s, at most 5 s, and in all."""
    rates = [(2.0, within_2 / per), (5.0, within_5 / per), (math.inf, total / per)]
    return Buckets(START, tuple(rates), START - 1, 60)


@pytest.mark.parametrize(
    ("given", "verdict", "value"),
    [
        (buckets(within_2=1000, within_5=1000), ADVANCE, 0),
        (buckets(within_2=950, within_5=1000), ADVANCE, 0.05),  # exactly 5 % slower: p95 is 2
        (buckets(within_2=949, within_5=1000), HOLD, 0.051),
        (buckets(within_2=900, within_5=950), HOLD, 0.1),
        (buckets(within_2=900, within_5=949), ROLLBACK, 0.051),
        (buckets(within_2=12, within_5=12, total=400), ROLLBACK, 0.97),  # above the last bucket: histogram_quantile says 5 at most
        (buckets(within_2=0, within_5=0, total=0), HOLD, 0),
        (buckets(within_2=100, within_5=100, total=199), HOLD, 99 / 199),  # too few: ten must lie above p95
        (Buckets(START, ((math.inf, 10.0),), START - 1, 60), NO_DATA, None),
        (Buckets(START, (), START - 1, 60), NO_DATA, None),
        (Buckets(START, ((2.0, 10.0), (5.0, 10.0), (math.inf, 10.0)), START - 31, 60), NO_DATA, None),
        (Buckets(START, ((2.0, 10.0), (5.0, 10.0), (math.inf, 10.0)), None, 60), NO_DATA, None),
        (Buckets(START, ((2.0, 10.0), (5.0, 10.0), (math.inf, 1e308)), START - 1, 60), NO_DATA, None),
    ],
)
def test_latencies(given: Buckets, verdict: Verdict, value: float | None) -> None:
    status = said(latency_gate(), GateAnswer(given))
    assert status.verdict is verdict
    assert status.value is None if value is None else float(str(status.value)) == pytest.approx(value)


@pytest.mark.parametrize(
    ("rules", "given", "verdict"),
    [
        ({"advance": None}, buckets(within_2=0, within_5=950), ADVANCE),  # no advance rule: valid and not in breach
        ({"advance": None}, buckets(within_2=0, within_5=949), ROLLBACK),
        ({"rollback": None}, buckets(within_2=950, within_5=950), ADVANCE),
        ({"rollback": None}, buckets(within_2=0, within_5=0), HOLD),  # no rollback rule: holds, never rolls back
    ],
)
def test_latencies_with_one_rule(rules: dict[str, Any], given: Buckets, verdict: Verdict) -> None:
    assert said(latency_gate(**rules), GateAnswer(given)).verdict is verdict


def test_a_bound_that_no_bucket_has_is_named_beside_those_that_there_are() -> None:
    status = said(latency_gate(advance={"lt": 3}), GateAnswer(buckets(within_2=1, within_5=1)))
    assert (status.verdict, status.no_data_reason) == (NO_DATA, "NoSuchBucket")
    assert status.message == "3 is no bound of a bucket; there are 2, 5"


@pytest.mark.parametrize(("quantile", "least"), [(0.5, 20), (0.9, 100), (0.95, 200), (0.99, 1000), (0.999, 10000)])
def test_a_percentile_needs_ten_requests_above_it(quantile: float, least: float) -> None:
    few = said(latency_gate(quantile), GateAnswer(buckets(within_2=least - 1, within_5=least - 1, total=least - 1)))
    enough = said(latency_gate(quantile), GateAnswer(buckets(within_2=least + 1, within_5=least + 1, total=least + 1)))
    assert (few.verdict, enough.verdict) == (HOLD, ADVANCE)
    assert float(str(few.samples_min)) == least


def test_a_latency_says_what_it_is_judged_by() -> None:
    assert (
        said(latency_gate(), GateAnswer(buckets(within_2=1000, within_5=1000))).threshold
        == "advance p95 < 2, rollback p95 > 5 on 1 samples"
    )


def test_a_latency_reads_nothing_from_before_the_step() -> None:
    given = GateAnswer(buckets(within_2=1000, within_5=1000))
    assert said(latency_gate(), given, context(effective=-59)).verdict is HOLD
    assert said(latency_gate(), given, context(effective=-60)).verdict is ADVANCE


# how many samples a breach needs


def in_breach(kind: str, at: float) -> GateAnswer:
    if kind == "count":
        return GateAnswer(counted(7, at=at))
    if kind == "latency":
        slow = buckets(within_2=0, within_5=0)
        return GateAnswer(Buckets(START + at, slow.rates, START + at - 1, 60))
    return GateAnswer(answer(0.9, at=at))


@pytest.mark.parametrize(
    ("kind", "rule", "needed"),
    [
        ("query", {}, 2),
        ("latency", {}, 2),
        ("count", {}, 1),
        ("query", {"confirm": 1}, 1),
        ("latency", {"confirm": 3}, 3),
        ("count", {"confirm": 2}, 2),
        ("query", {"for": "20s"}, 3),
        ("latency", {"for": "20s"}, 3),
        ("count", {"for": "20s"}, 3),
    ],
)
def test_how_many_samples_a_breach_needs_by_kind(kind: str, rule: dict[str, Any], needed: int) -> None:
    made = {"query": gate, "latency": latency_gate, "count": count_gate}[kind]
    bound = {"gte": 1} if kind == "count" else {"gt": 5} if kind == "latency" else {"gt": 0.15}
    looks = [(in_breach(kind, number * 10), context(number * 10)) for number in range(needed)]
    assert [status.verdict for status in judged(made(rollback=bound | rule), *looks)] == [HOLD] * (needed - 1) + [ROLLBACK]


# the time alone

ROLL_BACK = NoDataRule.model_validate({"deadline": "60s", "then": "rollback"})


@pytest.mark.parametrize(
    ("given", "verdict"), [(answer(9), ADVANCE), (Answer(START, "vector", (), START, 0, 0), HOLD)], ids=["at nine", "at night"]
)
def test_a_gate_of_the_time_alone_holds_while_its_condition_does_not_hold(given: Answer, verdict: Verdict) -> None:
    """Nothing is missing then: it would roll back every night where missing data does."""
    looks = [(GateAnswer(given), context(at, rule=ROLL_BACK)) for at in (0, 61)]
    statuses = judged(gate(query="hour() >= 8", advance={"gte": 8}, rollback=None), *looks)
    assert [one.verdict for one in statuses] == [verdict, verdict]


# relativeTo


def relative_gate(**to: Any) -> Gate:
    return gate(relativeTo=to, advance={"lt": 0}, rollback={"gt": 0.2, "confirm": 1})


@pytest.mark.parametrize(
    ("value", "base", "verdict", "ratio"),
    [
        (answer(90), answer(100), ADVANCE, -0.1),
        (answer(100), answer(100), HOLD, 0),
        (answer(120), answer(100), HOLD, 0.2),
        (answer(121), answer(100), ROLLBACK, 0.21),
        (answer(-121), answer(-100), ADVANCE, -0.21),
        (answer(-79), answer(-100), ROLLBACK, 0.21),
        (answer(1, 130), replace(answer(100), series=(SeriesValue("", 100),)), ROLLBACK, 0.3),  # one base without labels is for all series
        (answer(1, 130), answer(100), NO_DATA, None),  # a base with labels is for the series of these labels alone
        (answer(130, 1), answer(100), ROLLBACK, 0.3),
        (answer(1, 130), answer(1, 200), HOLD, 0),  # a base for each
        (answer(1), answer(0), NO_DATA, None),
        (answer(1e308), answer(-1e308), NO_DATA, None),  # no number holds how far apart they are
        (answer(1e308), answer(5e-324), NO_DATA, None),
        (answer(1e308, 9), answer(5e-324, 1), ROLLBACK, 8),
        (answer(1), answer(), NO_DATA, None),
        (answer(1), answer(math.nan), NO_DATA, None),
        (answer(1), answer(1, math.nan), HOLD, 0),  # the base of a series that there is none of
        (answer(9), replace(answer(1, math.nan), series=(SeriesValue("", 1), *series(math.nan))), NO_DATA, None),  # not one for all
        (answer(1, 2), answer(1, math.nan), NO_DATA, None),  # the other is no data alone: it is compared, and nothing advances
        (answer(1, 9), answer(2, math.nan), NO_DATA, None),
        (answer(9, 2), answer(1, math.nan), ROLLBACK, 8),
        (answer(1, 2, 3), answer(1, 2), NO_DATA, None),
        (answer(1, 2, 3), answer(1, 1), ROLLBACK, 1),
        (answer(1), answer(100, age=31), NO_DATA, None),
        (answer(1, age=31), answer(100), NO_DATA, None),
        (answer(1), SILENT, NO_DATA, None),
    ],
)
def test_values_beside_a_concurrent_query(value: Answer, base: Answer | Failure, verdict: Verdict, ratio: float | None) -> None:
    status = said(relative_gate(query="base"), GateAnswer(value, base=base))
    assert status.verdict is verdict
    assert status.value is None if ratio is None else float(str(status.value)) == pytest.approx(ratio)


def test_the_sample_of_a_comparison_is_the_older_one() -> None:
    status = said(relative_gate(query="base"), GateAnswer(answer(90, age=2), base=answer(100, age=9)))
    assert status.sample_time is not None
    assert status.sample_time.timestamp() == START - 9


@pytest.mark.parametrize(("value", "verdict"), [(900, ROLLBACK), (1, HOLD), (0.5, ADVANCE)])
def test_a_base_of_last_week_makes_nothing_of_the_value_old(value: float, verdict: Verdict) -> None:
    """The attempt exposed somebody a minute ago; the base is of a week ago, and was fresh then."""
    status = said(relative_gate(offset="7d"), GateAnswer(answer(value, age=2), base=answer(1, at=-7 * 86400, age=9)))
    assert status.verdict is verdict
    assert status.sample_time == after(-9)
    assert said(relative_gate(offset="7d"), GateAnswer(answer(value), base=answer(1, at=-7 * 86400, age=31))).verdict is NO_DATA


@pytest.mark.parametrize(
    ("to", "known"), [({"baseline": "latency"}, {"baselines": {"latency": 100}}), ({"start": {"over": "1d"}}, {"medians": {"errors": 100}})]
)
def test_values_beside_a_number_that_was_kept(to: dict[str, Any], known: dict[str, Any]) -> None:
    status = said(relative_gate(**to), GateAnswer(answer(90)), context(**known))
    assert (status.verdict, status.value, status.baseline) == (ADVANCE, "-0.1", "100")
    unknown = said(relative_gate(**to), GateAnswer(answer(90)))
    assert (unknown.verdict, unknown.no_data_reason) == (NO_DATA, "BaselineMissing")


def test_when_everybody_has_the_feature_nobody_is_left_to_compare_with() -> None:
    given = GateAnswer(answer(900), base=answer(1))
    assert said(relative_gate(query="base"), given, context(is_alone=True)).verdict is NOT_APPLICABLE
    past = said(relative_gate(offset="7d"), given, context(is_alone=True))
    assert past.verdict is ROLLBACK, "the past has not gone away"


# when, series


@pytest.mark.parametrize(
    ("when", "verdict"),
    [
        (answer(1), ADVANCE),
        (answer(0, 0.5), ADVANCE),
        (answer(0), NOT_APPLICABLE),
        (answer(0, 0), NOT_APPLICABLE),
        (Answer(START, "vector", (), START - 1, 0, 0), NOT_APPLICABLE),  # a filter that lets nothing pass
        (Answer(START, "vector", (), None, 0, 0), NO_DATA),  # what it looks at is not there
        (answer(1, age=31), NO_DATA),
        (answer(0, age=31), NO_DATA),
        (answer(math.nan), NO_DATA),
        (answer(kind="string"), NO_DATA),  # holds no series either, and says nothing
        (answer(kind="matrix"), NO_DATA),
        (SILENT, NO_DATA),
    ],
)
def test_when(when: Answer | Failure, verdict: Verdict) -> None:
    assert said(gate(when="open"), GateAnswer(answer(0.05), when=when)).verdict is verdict


@pytest.mark.parametrize("part", ["samples", "when"])
@pytest.mark.parametrize(
    "wrong", [answer(*range(101)), answer(kind="native histogram"), REFUSED], ids=["too many", "histograms", "refused"]
)
def test_what_a_gate_asks_beside_its_value_can_be_unjudgeable_too(part: str, wrong: Answer | Failure) -> None:
    given = GateAnswer(answer(0.05), **{part: wrong})
    assert unjudgeable(gate(), given, context()) is not None
    assert unjudgeable(gate(), GateAnswer(answer(0.05), **{part: answer()}), context()) is None


def test_a_gate_that_does_not_apply_keeps_what_it_saw_of_a_breach() -> None:
    looks = [
        (GateAnswer(answer(0.9, at=at), when=answer(is_open, at=at)), context(at)) for at, is_open in [(0, 1), (10, 0), (20, 1), (30, 1)]
    ]
    statuses = judged(gate(when="open", rollback={"gt": 0.15, "for": "20s"}), *looks)
    assert (statuses[1].verdict, statuses[1].breached_samples) == (NOT_APPLICABLE, 1)
    assert statuses[-1].verdict is ROLLBACK


def test_the_clock_of_missing_data_stands_still_while_a_gate_does_not_apply() -> None:
    """Closed overnight: two hours without data before and after are four hours, not the whole night."""
    looks = [(0, 1, NO_DATA), (40, 0, NOT_APPLICABLE), (1000, 1, NO_DATA), (1019, 1, NO_DATA), (1020, 1, ROLLBACK)]
    given = [(GateAnswer(answer(at=at), when=answer(is_open, at=at)), context(at, rule=ROLL_BACK)) for at, is_open, _ in looks]
    assert [status.verdict for status in judged(gate(when="open"), *given)] == [verdict for _, _, verdict in looks]


def test_a_source_that_fails_stops_the_clock_and_does_not_turn_it_back() -> None:
    looks: list[tuple[float, Answer | Failure, Verdict]] = [
        (0, answer(), NO_DATA),
        (50, SILENT, NO_DATA),
        (60, answer(at=60), NO_DATA),
        (70, answer(at=70), ROLLBACK),
    ]
    statuses = judged(gate(), *((GateAnswer(given), context(at, rule=ROLL_BACK)) for at, given, _ in looks))
    assert [status.verdict for status in statuses] == [verdict for _, _, verdict in looks]


def test_a_clock_that_is_set_back_takes_nothing_from_the_time_without_data() -> None:
    looks: list[tuple[float, Answer | Failure]] = [
        (100, answer(at=100)),
        (40, SILENT),
        (50, answer(at=50)),
        (109, answer(at=109)),
        (110, answer(at=110)),
    ]
    statuses = judged(gate(), *((GateAnswer(given), context(at, rule=ROLL_BACK)) for at, given in looks))
    assert [status.verdict for status in statuses[-2:]] == [NO_DATA, ROLLBACK]


@pytest.mark.parametrize(("values", "verdict"), [((), NO_DATA), ((0.05,), ADVANCE), ((0.05, 0.05), NO_DATA)])
def test_one_series(values: tuple[float, ...], verdict: Verdict) -> None:
    assert said(gate(series="one"), GateAnswer(answer(*values))).verdict is verdict


@pytest.mark.parametrize("fields", [{}, {"when": "open"}, {"samples": {"count": "n", "min": 5}}, {"relativeTo": {"query": "base"}}])
def test_a_refused_query_is_the_gates_own_fault_and_runs_no_deadline(fields: dict[str, Any]) -> None:
    """An edit makes it another query, which was never answered: a slip in it must not roll back, nor an outage that comes with it."""
    parts = {"when": "when", "samples": "samples", "relativeTo": "base"}
    refused = {parts[field]: REFUSED for field in fields}
    looks = [
        (GateAnswer(**({"value": answer(0.05, at=at) if fields else REFUSED} | refused)), context(at, rule=ROLL_BACK))
        for at in (0, 30, 3700)
    ]
    for status in judged(gate(**fields), *looks):
        assert (status.verdict, status.no_data_reason, status.no_data_since) == (NO_DATA, "QueryRefused", None)


@pytest.mark.parametrize("to", [{"baseline": "latency"}, {"start": {"over": "1d"}}])
def test_what_to_compare_with_is_not_measured_and_no_deadline_runs(to: dict[str, Any]) -> None:
    """Only an edit, of the gate or of the policy, takes it from a gate that is exposed: that tells nothing of the feature."""
    looks = [(GateAnswer(answer(90, at=at)), context(at, rule=ROLL_BACK)) for at in (0, 3700)]
    for status in judged(relative_gate(**to), *looks):
        assert (status.verdict, status.no_data_reason, status.no_data_since) == (NO_DATA, "BaselineMissing", None)


# samples


@pytest.mark.parametrize(
    ("value", "samples", "verdict"),
    [
        (answer(math.nan), answer(0), HOLD),  # 0/0 before the first sample
        (answer(math.nan), answer(49), HOLD),
        (answer(math.nan), answer(50), NO_DATA),
        (answer(), answer(0), HOLD),  # the gauge comes with the first sample, the counter of samples is there
        (answer(), answer(), NO_DATA),  # neither is there: nobody knows whether anything is alive
        (answer(0.9, age=31), answer(0), NO_DATA),
        (answer(0.9), answer(49), HOLD),
        (answer(0.9), answer(60, age=31), NO_DATA),  # a dead exporter's count proves nothing
        (answer(0.05), answer(49), HOLD),
        (answer(0.05), answer(), HOLD),
        (answer(0.9), answer(), HOLD),
        (answer(0.05), answer(50), ADVANCE),
        (answer(0.9), answer(50), ROLLBACK),
        (answer(0.05), answer(25, 25), ADVANCE),
        (answer(0.05), answer(math.nan), NO_DATA),
        (answer(0.9), answer(math.inf), NO_DATA),
        (answer(0.05), SILENT, NO_DATA),
        (answer(0.9), SILENT, NO_DATA),
    ],
)
def test_too_few_samples_before_anything_else_is_said(value: Answer, samples: Answer | Failure, verdict: Verdict) -> None:
    status = said(gate(samples={"count": "n", "min": 50}, rollback={"gt": 0.15, "confirm": 1}), GateAnswer(value, samples))
    assert status.verdict is verdict


def test_the_status_shows_how_many_samples_are_wanted() -> None:
    status = said(gate(samples={"count": "n", "min": 50}), GateAnswer(answer(0.05), answer(12)))
    assert (status.samples, status.samples_min, status.message) == ("12", "50", "12 of 50 samples: too few to judge")


def test_too_few_samples_do_not_end_a_breach() -> None:
    looks = [(0, 51), (10, 49), (20, 51), (30, 51)]
    given = [(GateAnswer(answer(0.9, at=at), answer(samples, at=at)), context(at)) for at, samples in looks]
    assert judged(gate(samples={"count": "n", "min": 50}, rollback={"gt": 0.15, "for": "20s"}), *given)[-1].verdict is ROLLBACK


def test_when_the_least_number_of_samples_is_expected() -> None:
    status = said(gate(samples={"count": "n", "min": 50}), GateAnswer(answer(0.9), answer(10)), context(effective=-60))
    assert status.samples_expected_at is not None
    assert status.samples_expected_at.timestamp() == START - 60 + 300
    reached = said(gate(samples={"count": "n", "min": 50}), GateAnswer(answer(0.05), answer(50)), context(effective=-60))
    assert reached.samples_expected_at is None


@pytest.mark.parametrize(
    ("samples", "least", "effective", "expected"),
    [
        (49, 50, -60, 1.224),  # to the millisecond, as status keeps it
        (25, 50, 0, 0),
        (25, 50, 5, 5),  # another clock is behind
        (1, 1e15, -60, 315_360_000 - 60),  # ten years at most: a calendar ends
        (1e-300, 1e300, -60, 315_360_000 - 60),
    ],
)
def test_a_forecast_is_a_moment_that_status_can_keep(samples: float, least: float, effective: float, expected: float) -> None:
    status = said(gate(samples={"count": "n", "min": least}), GateAnswer(answer(0.05), answer(samples)), context(effective=effective))
    assert status.samples_expected_at == after(expected)


def test_a_rule_shorter_than_the_pace_of_samples_still_fires() -> None:
    looks = [(GateAnswer(answer(0.9, at=at)), context(at, staleness=120)) for at in (0, 30, 60)]
    assert judged(gate(rollback={"gt": 0.15, "for": "20s"}), *looks)[-1].verdict is ROLLBACK
