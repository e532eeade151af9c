"""What a reader sees: the picture on a terminal, and lines elsewhere."""

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from demo import words
from demo.lines import Lines, changes
from demo.observing import Announcement, Observation, Reading
from demo.plan import CLIMBS, FALLS
from demo.screen import WIDE, Picture, Screen
from tests.demo.scenes import PLAN, START, at, enabled, gate, printed, rolled_back, rolling, seen
from tidegate.api.rollout_status import FeatureRolloutStatus, GateSource, GateStatus, Verdict

HEADLINE = words.Headline(START, "look out")
UP = rolling(
    50,
    2,
    42,
    waiting_for="the dwell of 50 % ends at 2026-12-01T09:00:54Z",
    gates=(
        gate("kelly-scale", Verdict.ADVANCE, value="0.5"),
        gate("max-drawdown", Verdict.HOLD, value="0.0741", breached_samples=1),
        gate("uptime", Verdict.NO_DATA, GateSource.POLICY, no_data_reason="Empty"),
    ),
)


def announcement(seconds: float, number: int, reason: str) -> Announcement:
    return Announcement(at(seconds), number, FALLS, reason, f"note {number}", is_warning=reason == "RolledBack")


SCENE = replace(
    seen(54, UP, UP),
    readings={(FALLS, GateSource.ROLLOUT, "max-drawdown"): Reading(0.076543, Verdict.HOLD)},
    announcements=tuple(announcement(number, number, "StepDecided") for number in range(1, 21)),
)


def drawn(observation: Observation, headline: words.Headline = HEADLINE, width: int = 120, height: int = 40) -> str:
    return printed(Picture(observation, headline, PLAN, wide=width >= WIDE).whole(height), width)


def test_the_picture_shows_progress_readings_thresholds_and_what_is_waited_for() -> None:
    text = drawn(SCENE)
    assert f"ROLLING_OUT Progressing  {'█' * 10}{'░' * 10}  50 %   step 2 of 3   dwell: 28 s of 40 s left" in text
    (row,) = (line for line in text.splitlines() if "max-drawdown" in line and "0.07654" in line)
    assert all(words in row for words in ("advance < 0.05, rollback > 0.07 on 2 samples", "HOLD in breach, 1×"))
    assert all(words in text for words in ("the dwell of 50 % ends at", "uptime – NO_DATA", "look out"))


def judged(*readings: Reading) -> tuple[str, str]:
    """Value and verdict of the faulty gate, whose status has 0.0741 and HOLD."""
    gate = (FALLS, GateSource.ROLLOUT, PLAN.faulty_gate.name)
    found = words.judged(replace(SCENE, readings=dict.fromkeys([gate], *readings) if readings else {}), *gate)
    return found.value, found.told


def test_value_and_verdict_are_of_one_moment() -> None:
    assert judged() == ("0.0741", "HOLD in breach, 1×"), "status fills in where the operator's metrics have nothing"
    assert judged(Reading(0.0765, Verdict.HOLD)) == ("0.0765", "HOLD in breach, 1×")
    assert judged(Reading(0.0778, Verdict.ROLLBACK)) == ("0.0778", "ROLLBACK"), "why a gate holds is told of one that does"
    assert judged(Reading(None, Verdict.NO_DATA)) == ("–", "NO_DATA")


@pytest.mark.parametrize("width", [80, 100])
def test_eighty_columns_are_enough_for_what_matters(width: int) -> None:
    lines = drawn(SCENE, replace(HEADLINE, note=f"{FALLS} took itself back; {CLIMBS} goes on to 100 %"), width).splitlines()
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert all(words in text for words in ("goes on to 100 %", "28 s of 40 s left", "step 2 of 3", "data-quality"))
    assert any(all(words in line for words in ("0.07654", "< 0.05, rollback > 0.07", "HOLD in breach, 1×")) for line in lines)


@pytest.mark.parametrize("height", [24, 30, 40, 60])
def test_events_give_way_to_the_height_of_the_terminal(height: int) -> None:
    lines = drawn(SCENE, height=height).splitlines()
    assert "note 20" in lines[-1]
    assert len(lines) <= max(height, 1 + 2 * 9 + 3)


def test_before_anything_is_there_the_picture_still_stands() -> None:
    text = drawn(Observation(START))
    assert all(words in text for words in ("not created yet", CLIMBS, "not asked yet"))


def test_trouble_replaces_the_note() -> None:
    text = drawn(SCENE, replace(HEADLINE, trouble="the API server is away"))
    assert ("the API server is away" in text, "look out" in text) == (True, False)


def test_the_end_says_how_to_go_on() -> None:
    text = drawn(seen(60, enabled(), rolled_back()))
    assert all(words in text for words in ("set spec.revision to a new value", "every step is passed"))


def test_the_screen_draws_on_a_terminal() -> None:
    out = StringIO()
    console = Console(file=out, force_terminal=True, width=120, height=40)
    with Screen(console, PLAN) as screen:
        screen.show(SCENE, HEADLINE)
    assert "drawdown-kelly" in out.getvalue()


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (gate("x", Verdict.ADVANCE), "ADVANCE"),
        (gate("x", Verdict.NO_DATA, no_data_reason="Stale"), "NO_DATA Stale"),
        (gate("x", Verdict.HOLD, samples="12", samples_min="50"), "HOLD fewer than 50 samples"),
        (gate("x", Verdict.HOLD, samples="60", samples_min="50", message="between the bounds"), "HOLD between the bounds"),
    ],
)
def test_verdicts_say_why_they_hold(status: GateStatus, expected: str) -> None:
    assert words.verdict(status) == expected


def test_a_dwell_that_is_over_is_said_to_be() -> None:
    assert words.dwell(UP, PLAN, FALLS, at(90)) == "dwell of 40 s is over"
    assert words.dwell(FeatureRolloutStatus(), PLAN, FALLS, at(90)) == ""


def test_lines_tell_each_change_once_and_gates_that_agree_together() -> None:
    holding = UP.model_copy(update={"gates": tuple(one.model_copy(update={"verdict": Verdict.ADVANCE}) for one in UP.gates)})
    after = seen(55, UP, holding)
    assert list(changes(SCENE, after, PLAN)) == [f"{FALLS}: max-drawdown, guard uptime → ADVANCE"]
    assert list(changes(after, after, PLAN)) == []


def test_lines_summarise_every_ten_seconds_and_announce_new_events() -> None:
    out = StringIO()
    view = Lines(out, PLAN)
    rolled_back = (announcement(3, 1, "RolledBack"),)
    view.show(seen(1, UP, UP), replace(HEADLINE, note="goes bad in 9 s"))
    out.truncate(0)
    view.show(seen(2, UP, UP), replace(HEADLINE, note="goes bad in 8 s"))
    assert out.getvalue() == ""
    view.show(replace(seen(3, UP, UP), announcements=rolled_back), replace(HEADLINE, note="is bad"))
    assert out.getvalue().lstrip("\0").splitlines() == ["00:03  is bad", f"00:03  {FALLS}: RolledBack: note 1"]
    out.truncate(0)
    view.show(replace(seen(12, UP, UP), announcements=rolled_back), replace(HEADLINE, note="is bad"))
    assert [line.split(":")[1].split()[1] for line in out.getvalue().lstrip("\0").splitlines()] == [CLIMBS, FALLS]
