"""When the demo acts, when it ends, and what it calls a failure."""

from dataclasses import replace

import pytest

from demo.observing import Observation
from demo.plan import CLIMBS, FALLS
from demo.story import Act, Story
from tests.demo.scenes import PLAN, START, at, enabled, rolled_back, rolling, seen, stalled
from tidegate.api.records import Record, Transition
from tidegate.api.rollout_status import FeatureRolloutStatus, Pending

STORY = Story(PLAN, START)
BAD = replace(STORY, bad_at=at(52))


FIRST, SECOND = rolling(25, 1, 2), rolling(50, 2, 42)
PENDING = {"pending": Pending(records=(Record(seq=9, time=at(125), transition=Transition.ENABLED),))}


def test_nothing_is_done_before_anything_is_there() -> None:
    nothing = Observation(at(0))
    assert STORY.told(nothing).next_act(nothing) is Act.WATCH


@pytest.mark.parametrize(
    ("story", "seconds", "climbs", "falls", "act"),
    [
        pytest.param(STORY, 30, FIRST, FIRST, Act.WATCH, id="at the first step"),
        pytest.param(STORY, 51.9, SECOND, SECOND, Act.WATCH, id="before a quarter of the second step"),
        pytest.param(STORY, 52, SECOND, SECOND, Act.MAKE_BAD, id="a quarter into the second step"),
        pytest.param(BAD, 53, SECOND, SECOND, Act.WATCH, id="made bad only once"),
        pytest.param(BAD, 60, SECOND, rolled_back(), Act.WATCH, id="the other still climbs"),
        pytest.param(BAD, 125, enabled(), SECOND, Act.WATCH, id="one is enabled, the other still bad"),
        pytest.param(BAD, 125, enabled(), rolled_back(), Act.END, id="one is enabled and the other taken back"),
        pytest.param(BAD, 125, enabled().model_copy(update=PENDING), rolled_back(), Act.WATCH, id="a record of ENABLED is pending"),
        pytest.param(BAD, 125, enabled(), rolled_back().model_copy(update=PENDING), Act.WATCH, id="a record of the rollback is pending"),
    ],
)
def test_when_it_acts_and_when_it_ends(
    story: Story, seconds: float, climbs: FeatureRolloutStatus, falls: FeatureRolloutStatus, act: Act
) -> None:
    observation = seen(seconds, climbs, falls)
    assert story.told(observation).next_act(observation) is act


@pytest.mark.parametrize(
    ("story", "climbs", "falls", "failure"),
    [
        (BAD, rolled_back(), SECOND, f"{CLIMBS} was taken back"),
        (STORY, FIRST, rolled_back(), f"{FALLS} was taken back before"),
        (BAD, rolling(100, 3, 82), enabled(), f"{FALLS} climbed to 100 %"),
    ],
)
def test_the_wrong_end_is_a_failure(story: Story, climbs: FeatureRolloutStatus, falls: FeatureRolloutStatus, failure: str) -> None:
    told = story.told(seen(60, climbs, falls))
    assert told.failure is not None
    assert told.failure.startswith(failure)
    assert told.next_act(seen(60, climbs, falls)) is Act.END


def test_a_rollout_that_stays_stalled_is_a_failure_that_says_why() -> None:
    status = FeatureRolloutStatus(conditions=(stalled("there is no RolloutPolicy x"),))
    story = STORY.told(seen(1, status, status)).told(seen(20, status, status))
    assert story.failure is None
    story = story.told(seen(22, status, status))
    assert story.failure == f"{CLIMBS} is stalled: there is no RolloutPolicy x"


def test_a_stall_that_passes_is_forgotten() -> None:
    status = FeatureRolloutStatus(conditions=(stalled("wait"),))
    story = STORY.told(seen(1, status, FIRST)).told(seen(10, FIRST, FIRST)).told(seen(25, status, FIRST))
    assert story.failure is None
    assert story.stalled_since == at(25)


def test_a_rollout_that_never_ends_is_a_failure() -> None:
    story = STORY.told(seen(309, FIRST, FIRST))
    assert story.failure is None
    story = story.told(seen(311, FIRST, FIRST))
    assert story.failure == "the rollouts did not end within 310 s"


def test_the_note_tells_what_to_look_out_for() -> None:
    assert STORY.note(Observation(START)) == f"{FALLS} goes bad at its step 2"
    assert STORY.note(seen(45, SECOND, SECOND)) == f"{FALLS} goes bad in 7 s"
    assert BAD.note(seen(54, SECOND, SECOND)) == f"{FALLS} is bad since 2 s"
    assert BAD.note(seen(60, SECOND, rolled_back())) == f"{FALLS} took itself back; {CLIMBS} goes on to 100 %"
