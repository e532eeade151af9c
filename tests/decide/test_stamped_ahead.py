"""Samples stamped ahead of their time: no data while they are there, and until later ones come; what is seen to be bad still counts."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.builders import START, T0, answer, context, gate, raw_gate
from tests.decide.judging import judged, said
from tests.decide.world import World
from tidegate.api.conditions import Reason
from tidegate.api.feature_rollout import NoData as NoDataRule
from tidegate.api.rollout_status import AnswerPart, GateSource, GateStatus, State, Verdict
from tidegate.decide.gates.ahead import SKEW
from tidegate.decide.gates.verdict import judge
from tidegate.decide.rollout.missing import PATIENCE
from tidegate.domain.answers import Answer, Buckets, CountAnswer, Failure, GateAnswer, Newest
from tidegate.domain.counting import Tally
from tidegate.domain.liveness import BEYOND

SELECTOR = 'errors{job="engine"}'
GOOD, BAD = 0.05, 0.9


def stamped(value: float = GOOD, *, at: float = 0, ahead: float = 300, age: float = 1) -> Answer:
    """An answer at so many seconds after T0 beside which there are samples of so much later."""
    return replace(answer(value, at=at, age=age), newest=Newest(START + at + ahead, SELECTOR))


def looked(*looks: tuple[float, GateAnswer], rule: NoDataRule | None = None, **fields: Any) -> list[GateStatus]:
    return judged(gate(**fields), *((given, context(at, rule=rule)) for at, given in looks))


def test_what_has_samples_of_later_than_now_is_no_data_and_is_named_with_the_remedy() -> None:
    status = said(gate(), GateAnswer(stamped()))
    assert (status.verdict, status.no_data_reason) == (Verdict.NO_DATA, "StampedAhead")
    assert status.message.startswith(f"{SELECTOR} has samples of later than now, up to ")
    assert "honor_timestamps: false" in status.message


@pytest.mark.parametrize(("lead", "verdict"), [(0, Verdict.ADVANCE), (10, Verdict.ADVANCE), (10.001, Verdict.NO_DATA)])
def test_clocks_may_be_as_far_apart_as_that(lead: float, verdict: Verdict) -> None:
    assert said(gate(), GateAnswer(stamped(ahead=lead))).verdict is verdict


@pytest.mark.parametrize("behind", [60, 3600])
def test_what_was_taken_since_the_moment_asked_about_is_not_ahead(behind: float) -> None:
    """A source is asked about a while ago (`delay`), or long after the tick."""
    asked = stamped(at=0, ahead=behind)
    assert said(gate(), GateAnswer(asked), context(behind, staleness=10)).verdict is Verdict.ADVANCE


def test_it_stays_no_data_until_what_is_there_is_later_than_all_that_was_stamped_ahead() -> None:
    """Their time comes, and they look fresh: these are the numbers of a while ago."""
    times = ((0, 1), (295, 1), (310, 10), (325, 25), (326, 0.5))
    newest = Newest(START + 300, SELECTOR)
    statuses = looked(*((at, GateAnswer(replace(answer(GOOD, at=at, age=age), newest=newest))) for at, age in times))
    assert [one.verdict for one in statuses] == [Verdict.NO_DATA] * 4 + [Verdict.ADVANCE]
    assert statuses[2].message.startswith("nothing newer than ")
    assert statuses[4].stamped_ahead == ()


def test_one_that_goes_on_stamping_ahead_moves_the_end_on() -> None:
    statuses = looked(
        (0, GateAnswer(stamped(ahead=300))), (120, GateAnswer(stamped(at=120, ahead=300))), (130, GateAnswer(stamped(at=130)))
    )
    ends = [one.stamped_ahead[0].until - T0 for one in statuses]
    assert ends == [timedelta(seconds=300), timedelta(seconds=420), timedelta(seconds=480)], "rounded up to whole minutes"


@pytest.mark.parametrize("time", [float("inf"), 1e300, START + 1e9])
def test_a_time_that_cannot_be_ends(time: float) -> None:
    hostile = replace(answer(GOOD), newest=Newest(time, SELECTOR))
    assert said(gate(), GateAnswer(hostile)).stamped_ahead[0].until <= T0 + BEYOND + timedelta(minutes=1)


def test_what_is_seen_to_be_bad_rolls_back_though_more_is_hidden() -> None:
    statuses = looked((0, GateAnswer(stamped(BAD))), (10, GateAnswer(stamped(BAD, at=10))))
    assert [one.verdict for one in statuses] == [Verdict.HOLD, Verdict.ROLLBACK]


def test_a_source_that_fails_meanwhile_is_told_and_forgets_nothing() -> None:
    failed = Failure(Reason.PROMETHEUS_TIMEOUT, "no answer")
    statuses = looked((0, GateAnswer(stamped())), (10, GateAnswer(failed)), (310, GateAnswer(stamped(at=310, ahead=-20, age=20))))
    assert [one.no_data_reason for one in statuses] == ["StampedAhead", "PrometheusTimeout", "StampedAhead"]


def test_the_deadline_for_missing_data_runs() -> None:
    rule = NoDataRule.model_validate({"deadline": "60s", "then": "rollback"})
    statuses = looked((0, GateAnswer(stamped())), (60, GateAnswer(stamped(at=60))), rule=rule)
    assert [one.verdict for one in statuses] == [Verdict.NO_DATA, Verdict.ROLLBACK]


FINE = answer(GOOD)
PARTS = {
    "value": GateAnswer(stamped(), samples=answer(100), base=answer(1), when=answer(1)),
    "samples": GateAnswer(FINE, samples=stamped(100), base=answer(1), when=answer(1)),
    "base": GateAnswer(FINE, samples=answer(100), base=stamped(1), when=answer(1)),
    "when": GateAnswer(FINE, samples=answer(100), base=answer(1), when=stamped(1)),
    "when, false": GateAnswer(FINE, samples=answer(100), base=answer(1), when=stamped(0)),
    "too few samples": GateAnswer(FINE, samples=stamped(1), base=answer(1), when=answer(1)),
    "no series": GateAnswer(replace(answer(), newest=Newest(START + 300, SELECTOR)), samples=answer(100), base=answer(1), when=answer(1)),
}


@pytest.mark.parametrize("part", PARTS)
def test_all_that_a_gate_asks_is_looked_at(part: str) -> None:
    asked = gate(samples={"count": "n", "min": 50}, relativeTo={"query": "b"}, when="w > 0", advance={"lt": 2}, rollback={"gt": 3})
    assert said(asked, PARTS[part]).no_data_reason == "StampedAhead"


def test_a_gate_that_does_not_apply_is_not_held_by_what_it_would_read() -> None:
    status = said(gate(when="w > 0"), GateAnswer(stamped(), when=answer(0)))
    assert status.verdict is Verdict.NOT_APPLICABLE
    assert [one.part for one in status.stamped_ahead] == [AnswerPart.VALUE], "and knows of it when it applies again"


@pytest.mark.parametrize(
    ("part", "before", "after"),
    [
        ("when", {"when": "traffic > 0"}, {}),
        ("samples", {"samples": {"count": "trades", "min": 1}}, {}),
        ("base", {"relativeTo": {"query": "old"}}, {}),
        ("base", {"relativeTo": {"query": "old"}}, {"relativeTo": {"offset": "1d"}}),
    ],
)
def test_what_an_edit_took_away_holds_nothing_any_longer(part: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    known = said(gate(**before), GateAnswer(**({"value": answer(GOOD)} | {part: stamped(1)})))
    assert [one.part for one in known.stamped_ahead] == [part]
    base = {"base": replace(answer(1, at=330 - 86400), at=START + 330 - 86400)} if after else {}
    status = judge(gate(**after), GateSource.ROLLOUT, GateAnswer(answer(GOOD, at=330), **base), known, context(330))
    assert status is not None
    assert (status.verdict, status.stamped_ahead) == (Verdict.ADVANCE, ())


def test_counts_and_latencies_are_looked_at() -> None:
    newest = Newest(START + 300, SELECTOR)
    count = gate(query=None, count={"counter": SELECTOR}, advance=None, rollback={"gt": 5})
    counted = CountAnswer(START, "c", Tally(START - 100, START), 1, caught_up=True, oldest_sample=START - 1, newest=newest)
    assert said(count, GateAnswer(counted)).no_data_reason == "StampedAhead"
    latency = gate(query=None, latency={"histogram": "h_bucket", "quantile": 0.9, "over": "5m"}, advance={"lt": 1}, rollback={"gt": 1})
    slow = Buckets(START, ((1.0, 10.0), (float("inf"), 10.0)), START - 1, 0, newest=newest)
    assert said(latency, GateAnswer(slow)).no_data_reason == "StampedAhead"


def test_a_base_of_last_week_is_as_old_as_it_was_then() -> None:
    """Once the value has later samples, the base must not be waited for: it will never have any."""
    week = 7 * 86400.0
    asked = gate(relativeTo={"offset": "7d"}, advance={"lt": 2}, rollback={"gt": 3})
    both = [
        GateAnswer(stamped(at=at, ahead=lead, age=0.1), base=replace(answer(1, at=at - week, age=1))) for at, lead in ((0, 300), (400, 0))
    ]
    statuses = judged(asked, (both[0], context(0)), (both[1], context(400)))
    assert [one.verdict for one in statuses] == [Verdict.NO_DATA, Verdict.ADVANCE]


@pytest.mark.levers
def test_a_rollout_holds_and_says_who_stamps_ahead() -> None:
    world = World.at(10, gates=[raw_gate()], noData={"deadline": "1h", "then": "hold"})
    begun = world.elapsed()
    until = begun + 300

    def reading(at: float) -> Answer | float:
        """Good numbers that were stamped five minutes ahead for a while, and then nothing: what is bad is dropped as out of order."""
        return replace(answer(GOOD, at=at, age=max(at - until, 1)), newest=Newest(START + until, SELECTOR))

    world.readings["errors"] = reading
    world.run(420)
    assert (world.percent, world.status.state) == (10, State.ROLLING_OUT)
    told = next(one for one in world.status.conditions if one.type == "Stalled")
    assert told.reason == "NoData"
    world.readings["errors"] = BAD
    world.run_until(lambda it: it.status.state is State.ROLLBACK, 60)


@pytest.mark.levers
def test_whoever_has_to_look_is_told_the_selector() -> None:
    world = World.at(10, gates=[raw_gate()], dwell="10s", noData={"deadline": "1h", "then": "hold"})
    world.readings["errors"] = lambda at: stamped(at=at)
    world.run(PATIENCE.total_seconds() + 60)
    told = next(one for one in world.status.conditions if one.type == "Stalled")
    assert SELECTOR in told.message
    assert told.message.endswith("set honor_timestamps: false where they are scraped")
    assert timedelta(seconds=1) < SKEW < timedelta(minutes=1)
