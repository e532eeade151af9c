"""What the demo says at its end, and what it counts as wrong."""

from dataclasses import replace
from datetime import timedelta

import pytest

from demo import summary
from demo.measuring import Fall
from demo.plan import CLIMBS, FALLS
from demo.story import Story
from tests.demo.scenes import PLAN, START, at, climb, printed, record
from tidegate.api.records import Record, Transition

STORY = Story(PLAN, START, bad_at=at(52))
FALL = Fall(made_bad=at(52), bad_sample=at(54), bad_value=0.0712, decided=at(55.1), written=at(55.15), last_seen_on=at(55.25))
CLIMBED = climb((2, 25), (42.3, 50), (82.6, 100), end=122.9)
FALLEN = (
    record(1, 2, Transition.STEP_DECIDED, 25),
    record(2, 2.2, Transition.STEP_EFFECTIVE, 25),
    record(3, 42.3, Transition.STEP_DECIDED, 50),
    record(4, 42.5, Transition.STEP_EFFECTIVE, 50),
    record(5, 55.1, Transition.ROLLED_BACK, 0, "gate max-drawdown: 0.08 (advance < 0.05, rollback > 0.07 on 2 samples)"),
)


def test_steps_are_read_from_the_records_and_one_that_goes_on_has_no_dwell_yet() -> None:
    steps = summary.steps_of(FALLEN)
    assert [(step.percent, step.left_by) for step in steps] == [(25, Transition.STEP_DECIDED), (50, Transition.ROLLED_BACK)]
    assert steps[0].dwelt == timedelta(seconds=40.1)
    assert [(step.dwelt, step.left_by) for step in summary.steps_of(FALLEN[:2])] == [(None, None)]


def test_a_rollout_without_steps_has_no_row() -> None:
    text = printed(summary.steps_table(PLAN, {CLIMBS: (), FALLS: FALLEN}), 80)
    assert CLIMBS not in text
    assert all(words in text for words in ("40.1 of 40 s", "50 %", "0 %"))


def test_a_step_that_was_withdrawn_never_was_in_force() -> None:
    records = (
        record(1, 2, Transition.STEP_DECIDED, 25),
        record(2, 3, Transition.STEP_WITHDRAWN),
        record(3, 5, Transition.STEP_DECIDED, 25),
        record(4, 5.1, Transition.STEP_EFFECTIVE, 25),
    )
    assert [(step.percent, step.decided) for step in summary.steps_of(records)] == [(25, at(5))]


SKIPPED, SHORT = climb((2, 25), (42.3, 100), end=122.9), climb((2, 25), (42.3, 50), (82.4, 100), end=122.9)
OTHERWISE = (*FALLEN[:-1], record(5, 55.1, Transition.ROLLED_BACK, 0, "guard uptime: 0.5"))


@pytest.mark.parametrize(
    ("story", "climbs", "falls", "fall", "faults"),
    [
        (STORY, CLIMBED, FALLEN, FALL, []),
        (STORY, SHORT, FALLEN, FALL, [f"{CLIMBS} left 50 % after 39.9 s, before its dwell of 40 s was over"]),
        (STORY, SKIPPED, FALLEN, FALL, [f"{CLIMBS} went over [25, 100] %, not over [25, 50, 100] %"]),
        (STORY, CLIMBED, FALLEN, None, [f"{FALLS} was taken back, but no sample out of bounds is in Prometheus"]),
        (STORY, CLIMBED, OTHERWISE, FALL, [f"{FALLS} was taken back for another reason than its fault: guard uptime: 0.5"]),
        (replace(STORY, failure="it rained"), (), FALLEN, None, ["it rained"]),
    ],
    ids=["all went well", "a dwell cut short", "a step skipped", "a fall not measured", "another reason", "a failed story is told alone"],
)
def test_what_is_counted_as_wrong(
    story: Story, climbs: tuple[Record, ...], falls: tuple[Record, ...], fall: Fall | None, faults: list[str]
) -> None:
    assert list(summary.faults(story, {CLIMBS: climbs, FALLS: falls}, fall)) == faults


def test_the_tables_fit_into_eighty_columns() -> None:
    text = printed(summary.steps_table(PLAN, {CLIMBS: CLIMBED, FALLS: FALLEN}), 80)
    assert "…" not in text
    assert "40.1 of 40 s" in text
    assert "09:00:02.000  +0.20 s" in text
    assert text.splitlines()[-1].split()[-2:] == ["0", "%"]


def test_the_way_down_is_told_from_the_first_bad_sample() -> None:
    text = printed(summary.fall_table(FALL), 80)
    assert "first bad sample in Prometheus (0.0712)  09:00:54.000  +0.000 s" in text
    assert "the last request saw the feature on      09:00:55.250  +1.250 s" in text
    assert "on: 1.25 s  (gates evaluated every 1 s; 2 bad samples needed)" in printed(summary.verdict(FALL, PLAN), 200)
