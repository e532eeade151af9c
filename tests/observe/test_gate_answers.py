"""What is asked of Prometheus for a gate: in which words, and at which moment. Times are seconds after the tick."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.builders import START, after, policy, raw_gate, spec
from tests.virtual_time import in_virtual_time, loop_time
from tidegate.api.conditions import Reason
from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.rollout_status import FeatureRolloutStatus, GateSource, GateStatus, Phase, StartMedian, State, Verdict
from tidegate.clients.prometheus import Endpoint, InstantVector, Prometheus, RangeVector, Series
from tidegate.domain.answers import Failure
from tidegate.domain.asks import Wording, start_source
from tidegate.domain.snapshot import Policy, Rollout
from tidegate.observe.age import Source
from tidegate.observe.gate_answers import GateReadings
from tidegate.observe.questions import Questions
from tidegate.observe.sending import BOUNDS, Asker

WEEK, DAY = 7 * 86400, 86400
NOW = after(3)
SOURCE = Source("production", Endpoint("http://prometheus:9090"))
TEMPLATE = raw_gate("slow", query="slow_ratio")
RATES = "rate(seconds_bucket[2m])"
Asked = set[tuple[str, float]]


class Listening(Prometheus):
    """Answers 1 to everything, keeps what it was asked (ages by themselves), and knows the metrics that it is told to know."""

    def __init__(self, known: frozenset[str] = frozenset()) -> None:
        self.known = known
        self.asked: Asked = set()
        self.ages: list[str] = []
        self.looked_for: set[tuple[str, float, float]] = set()

    async def instant(self, endpoint: Endpoint, query: str, at: float, keep: int = 0) -> InstantVector:
        if "timestamp(" in query:
            self.ages.append(query)
        else:
            self.asked.add((query, at - START))
        return InstantVector("vector", (Series((("selector", "0"),), 1.0),), 1)

    async def raw(self, endpoint: Endpoint, query: str, at: float) -> RangeVector:
        self.asked.add((query, at - START))
        return RangeVector(())

    async def has_series(self, endpoint: Endpoint, selector: str, since: float, at: float) -> bool:
        self.looked_for.add((selector, since - START, at - START))
        return selector in self.known


def rollout(*gates: dict[str, Any], **status: Any) -> Rollout:
    """An attempt that exposed somebody ten minutes ago, and whose step took effect 95 seconds ago."""
    standing = {
        "attempt": 1,
        "phase": Phase.PROGRESSING,
        "state": State.ROLLING_OUT,
        "step_percent": 10,
        "exposed_at": after(-600),
        "effective_at": after(-95),
    }
    found = FeatureRolloutStatus(**(standing | status))
    return Rollout("shop", "search", "u1", 1, "1", False, (), spec(gates=list(gates)), None, found)


def not_exposed(*gates: dict[str, Any]) -> Rollout:
    return rollout(*gates, phase=Phase.WAITING, state=State.DISABLED, step_percent=0, exposed_at=None, effective_at=None)


About = tuple[Rollout, FeatureRolloutSpec, Policy, Source, datetime]


def about(given: Rollout, used: Policy | None = None) -> About:
    """What every question of a reconcile is about."""
    assert given.spec is not None
    return given, given.spec, used or policy(), replace(SOURCE, asker=Asker("shop", "u1", began=loop_time())), NOW


async def asked(given: Rollout, used: Policy) -> Asked:
    prometheus = Listening()
    await GateReadings(Questions(prometheus)).answers(*about(given, used))
    return prometheus.asked


async def test_the_age_of_every_selector_is_asked_for_too() -> None:
    gate = raw_gate(samples={"count": "trades", "min": 5}, when="market_open", relativeTo={"query": "errors_of_others"})
    prometheus = Listening()
    await GateReadings(Questions(prometheus)).answers(*about(rollout(gate)))
    for selector in ("errors", "trades", "market_open", "errors_of_others"):
        assert any(f"timestamp({selector}{{}})" in query for query in prometheus.ages), selector


@pytest.mark.parametrize(
    ("gate", "questions"),
    [
        (raw_gate(), {("errors", 0)}),
        (raw_gate(query="rate(errors[$window])"), {("rate(errors[90s])", 0)}),
        (raw_gate(samples={"count": "trades", "min": 5}, when="market_open"), {("errors", 0), ("trades", 0), ("market_open", 0)}),
        (raw_gate(relativeTo={"query": "control"}), {("errors", 0), ("control", 0)}),
        (raw_gate(relativeTo={"offset": "7d"}), {("errors", 0), ("errors", -WEEK)}),
        (raw_gate(relativeTo={"start": {"over": "1d"}}), {("errors", 0)}),
        (raw_gate(relativeTo={"baseline": "normal"}), {("errors", 0)}),
        (
            {"name": "slow", "latency": {"histogram": "seconds_bucket", "over": "2m"}, "rollback": {"gt": 5}},
            {(f'sum by (le) ({RATES}) or label_replace(count by (le) ({RATES}), "counted", "series", "", "")', 0)},
        ),
        ({"use": "slow"}, {("slow_ratio", 0)}),
        ({"use": "slow", "name": "mine"}, {("slow_ratio", 0)}),
    ],
)
async def test_each_kind_of_gate_asks_its_own_question_at_the_tick(gate: dict[str, Any], questions: Asked) -> None:
    assert await asked(rollout(gate), policy(gateTemplates=[TEMPLATE])) == questions


@pytest.mark.parametrize(
    ("fields", "begins"), [({}, -600), ({"since": "attempt"}, -600), ({"since": "step"}, -95)], ids=["default", "attempt", "step"]
)
async def test_a_count_begins_with_the_attempts_first_exposure_or_with_its_step(fields: dict[str, str], begins: float) -> None:
    gate = {"name": "violations", "count": {"counter": "violations_total"} | fields, "rollback": {"gte": 1}}
    found = await asked(rollout(gate), policy())
    assert ("last_over_time(violations_total[3600s])", begins) in found, "what each series had come to by then is not counted"
    assert {at for query, at in found if query.startswith("violations_total[")} == {*range(int(begins) + 300, 0, 300), 0}


class TooSlow(Listening):
    """Takes longer than anybody waits for queries with `slow` in them, and a moment for others."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[str] = []

    async def instant(self, endpoint: Endpoint, query: str, at: float, keep: int = 0) -> InstantVector:
        self.order.append(query)
        await asyncio.sleep(60 if "slow" in query else 0.01)
        return await super().instant(endpoint, query, at)


@pytest.mark.parametrize(("breached", "times"), [(None, 5), (after(-60), 12)], ids=["healthy", "in breach"])
@in_virtual_time
async def test_a_slow_gate_is_asked_less_often_unless_a_breach_of_it_is_under_way(breached: datetime | None, times: int) -> None:
    prometheus = TooSlow()
    readings = GateReadings(Questions(prometheus))
    known = GateStatus(name="slow", source=GateSource.ROLLOUT, verdict=Verdict.HOLD, breached_since=breached)
    given, used = rollout(raw_gate("slow", query="slow"), raw_gate("quick", query="quick"), gates=(known,)), policy(interval="5s")
    for tick in range(12):
        found = await readings.answers(*about(given, used)[:-1], NOW + timedelta(seconds=5 * tick))
        slow = found[GateSource.ROLLOUT, "slow"].value
        assert isinstance(slow, Failure)
        assert (slow.reason, "quick" in str(found)) == (Reason.QUERY_SLOW, True)
        await asyncio.sleep(0 if tick == 0 else 5)
    assert prometheus.order.count("slow") == times


@in_virtual_time
async def test_guards_and_whatever_else_may_roll_back_are_asked_first() -> None:
    gates = [{"name": f"only-{number}", "query": f"only_{number}", "advance": {"lt": 1}} for number in range(15)]
    prometheus = TooSlow()
    used = policy(guards=[{"name": "uptime", "query": "uptime", "rollback": {"lt": 1}}])
    await GateReadings(Questions(prometheus)).answers(*about(rollout(*gates, raw_gate(query="errors")), used))
    asked = [query for query in prometheus.order if "timestamp" not in query]
    assert {"errors", "uptime"} <= set(asked[: BOUNDS.share + 2]), "right after those that were sent before the line had more than one"


@pytest.mark.parametrize(("delay", "at"), [("0s", 0), ("30s", -30)])
async def test_a_source_that_ingests_late_is_asked_about_the_past(delay: str, at: float) -> None:
    given = rollout(raw_gate(relativeTo={"query": "control"}))
    assert await asked(given, policy(delay=delay)) == {("errors", at), ("control", at)}


# what can't be asked

NESTED = raw_gate("nested", query="(" * 1000 + "x" + ")" * 1000, relativeTo={"start": {"over": "1d"}})
"""Only a spec that an older version took for valid has it."""


async def failures(given: Rollout) -> dict[str, Reason | None]:
    """Why each gate can't be judged, and in `median` and `metrics` what of the rest can't be told."""
    what, readings = about(given, policy(raw_gate("uptime"))), GateReadings(Questions(Listening()))
    found = {name: answer.value for (_, name), answer in (await readings.answers(*what)).items()}
    medians, unknown = await readings.medians(*what), await readings.unknown_metrics(*what)
    parts = found | {"median": medians.get((GateSource.ROLLOUT, "nested")), "metrics": unknown}
    return {name: part.reason if isinstance(part, Failure) else None for name, part in parts.items()}


async def test_a_query_that_no_parser_survives_is_its_gates_failure_alone() -> None:
    refused = Reason.QUERY_REFUSED
    exposed = await failures(rollout(NESTED, raw_gate()))
    assert exposed == {"nested": refused, "errors": None, "uptime": None, "median": refused, "metrics": None}
    assert await failures(not_exposed(NESTED, raw_gate())) == exposed | {"metrics": refused}


async def test_so_is_a_fault_that_nobody_foresaw(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Wording, query: str) -> str:
        if query == NESTED["query"]:
            raise MemoryError
        return query

    monkeypatch.setattr(Wording, "__call__", broken)
    unforeseen = Reason.INTERNAL_ERROR
    exposed = await failures(rollout(NESTED, raw_gate()))
    assert exposed == {"nested": unforeseen, "errors": None, "uptime": None, "median": unforeseen, "metrics": None}
    assert await failures(not_exposed(NESTED)) == {"nested": unforeseen, "uptime": None, "median": unforeseen, "metrics": unforeseen}


# the median before the start

START_GATE = raw_gate(relativeTo={"start": {"over": "1d"}})
MEDIAN = "quantile_over_time(0.5, (errors)[1d:173s])"


@pytest.mark.parametrize(("exposed_at", "at"), [(None, 0), (-600, -600)])
async def test_the_median_is_that_of_the_time_before_the_first_exposure(exposed_at: float | None, at: float) -> None:
    given = not_exposed(START_GATE) if exposed_at is None else rollout(START_GATE, exposed_at=after(exposed_at))
    prometheus = Listening()
    found = await GateReadings(Questions(prometheus)).medians(*about(given))
    assert (list(found), prometheus.asked) == ([(GateSource.ROLLOUT, "errors")], {(MEDIAN, at)})


async def test_a_median_that_is_known_is_not_measured_again() -> None:
    given = spec(gates=[START_GATE]).gates[0].written_out
    kept = StartMedian(gate="errors", value="0.5", at=after(-600), source=start_source(given) or "")
    known, prometheus = rollout(START_GATE, baselines=(kept,)), Listening()
    assert await GateReadings(Questions(prometheus)).medians(*about(known)) == {}
    assert prometheus.asked == set()


@pytest.mark.parametrize("kept", [{}, {"baselines"}, {"guard_baselines"}], ids=["neither", "the gate's", "the guard's"])
async def test_a_gate_and_a_guard_of_one_name_have_medians_of_their_own(kept: set[str]) -> None:
    """Or a tenant turned a guard off by giving a gate its name. They ask the same here, and are still two."""
    guarded, prometheus = policy(START_GATE), Listening()
    median = StartMedian(gate="errors", value="0.5", at=after(-600), source=start_source(guarded.spec.guards[0]) or "")
    given = rollout(START_GATE, **dict.fromkeys(kept, (median,)))
    found = await GateReadings(Questions(prometheus)).medians(*about(given, guarded))
    known = {"baselines": GateSource.ROLLOUT, "guard_baselines": GateSource.POLICY}
    assert set(found) == {(source, "errors") for name, source in known.items() if name not in kept}


# metrics that must exist


async def unknown(given: Rollout, used: Policy, *known: str) -> tuple[tuple[str, ...] | Failure, set[tuple[str, float, float]]]:
    prometheus = Listening(frozenset(known))
    return await GateReadings(Questions(prometheus)).unknown_metrics(*about(given, used)), prometheus.looked_for


@pytest.mark.parametrize(
    ("gate", "metrics"),
    [
        (raw_gate(), {"errors{}"}),
        (raw_gate(query='errors{variant_of="on", version="v7"}'), {'errors{version="v7"}'}),
        (raw_gate(query='sum(rate(errors{variant="on"}[5m])) / sum(rate(requests[5m]))'), {"errors{}", "requests{}"}),
        (raw_gate(samples={"count": 'trades{variant="on"}', "min": 5}), {"errors{}", "trades{}"}),
        (raw_gate(relativeTo={"query": 'control{variant="off"}'}), {"errors{}", "control{}"}),
        (raw_gate(when="market_open == 1"), {"errors{}", "market_open{}"}),
        (raw_gate(when="hour() >= 8"), {"errors{}"}),
        ({"name": "count", "count": {"counter": 'violations_total{job="a"}'}, "rollback": {"gte": 1}}, {'violations_total{job="a"}'}),
        ({"name": "late", "latency": {"histogram": 'seconds_bucket{job="a"}'}, "rollback": {"gt": 5}}, {'seconds_bucket{job="a"}'}),
        (raw_gate(query='errors{job="a", variant="on"} or vector(0)'), {"errors{}"}),  # may be empty: any series of its metric will do
        (raw_gate(query='errors{feature="search"}'), {"errors{}"}),  # what names the rollout may come with it
        (raw_gate(query='errors{feature="other"}'), {'errors{feature="other"}'}),
        (raw_gate(query='errors{variant="on", path!="/"}'), {'errors{path!="/"}'}),  # of those that are exposed there are none yet
        ({"use": "slow"}, {"slow_ratio{}"}),
        (raw_gate(startsEmpty=True), set()),
    ],
)
async def test_all_series_that_a_gate_reads_are_looked_for_within_a_week_but_those_that_are_to_come(
    gate: dict[str, Any], metrics: set[str]
) -> None:
    missing, looked_for = await unknown(not_exposed(gate), policy(gateTemplates=[TEMPLATE]))
    assert looked_for == {(metric, -WEEK, 10) for metric in metrics}
    assert set(missing) == metrics if isinstance(missing, tuple) else pytest.fail(str(missing))


async def test_only_what_has_no_series_is_unknown_and_guards_count_too() -> None:
    missing, _ = await unknown(not_exposed(raw_gate(), raw_gate("slow")), policy(raw_gate("uptime")), "slow{}")
    assert missing == ("errors{}", "uptime{}")


async def test_a_guard_that_is_only_recorded_looks_for_no_metric() -> None:
    assert await unknown(not_exposed(), policy(raw_gate("uptime", onBreach="notify"))) == ((), set())


async def test_once_somebody_is_exposed_no_metric_is_looked_for() -> None:
    assert await unknown(rollout(raw_gate()), policy()) == ((), set())
