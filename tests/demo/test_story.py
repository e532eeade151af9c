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


def act(story: Story, observation: Observation) -> Act:
    return story.told(observation).next_act(observation)


def test_nothing_is_done_before_the_second_step_is_a_quarter_over() -> None:
    assert act(STORY, Observation(at(0))) is Act.WATCH
    assert act(STORY, seen(30, rolling(25, 1, 2), rolling(25, 1, 2))) is Act.WATCH
    assert act(STORY, seen(51.9, rolling(50, 2, 42), rolling(50, 2, 42))) is Act.WATCH
    assert act(STORY, seen(52, rolling(50, 2, 42), rolling(50, 2, 42))) is Act.MAKE_BAD


def test_it_is_made_bad_only_once() -> None:
    assert act(BAD, seen(53, rolling(50, 2, 42), rolling(50, 2, 42))) is Act.WATCH


def test_it_ends_when_one_is_enabled_and_the_other_is_taken_back() -> None:
    assert act(BAD, seen(60, rolling(50, 2, 42), rolled_back())) is Act.WATCH
    assert act(BAD, seen(125, enabled(), rolling(50, 2, 42))) is Act.WATCH
    assert act(BAD, seen(125, enabled(), rolled_back())) is Act.END


def test_it_does_not_end_while_records_are_pending() -> None:
    pending = Pending(records=(Record(seq=9, time=at(125), transition=Transition.ENABLED),))
    assert act(BAD, seen(125, enabled().model_copy(update={"pending": pending}), rolled_back())) is Act.WATCH
    assert act(BAD, seen(125, enabled(), rolled_back().model_copy(update={"pending": pending}))) is Act.WATCH


@pytest.mark.parametrize(
    ("story", "climbs", "falls", "failure"),
    [
        (BAD, rolled_back(), rolling(50, 2, 42), f"{CLIMBS} was taken back"),
        (STORY, rolling(25, 1, 2), rolled_back(), f"{FALLS} was taken back before"),
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
    status, fine = FeatureRolloutStatus(conditions=(stalled("wait"),)), rolling(25, 1, 2)
    story = STORY.told(seen(1, status, fine)).told(seen(10, fine, fine)).told(seen(25, status, fine))
    assert story.failure is None
    assert story.stalled_since == at(25)


def test_a_rollout_that_never_ends_is_a_failure() -> None:
    story = STORY.told(seen(309, rolling(25, 1, 2), rolling(25, 1, 2)))
    assert story.failure is None
    story = story.told(seen(311, rolling(25, 1, 2), rolling(25, 1, 2)))
    assert story.failure == "the rollouts did not end within 310 s"


def test_the_note_tells_what_to_look_out_for() -> None:
    assert STORY.note(Observation(START)) == f"{FALLS} goes bad at its step 2"
    assert STORY.note(seen(45, rolling(50, 2, 42), rolling(50, 2, 42))) == f"{FALLS} goes bad in 7 s"
    assert BAD.note(seen(54, rolling(50, 2, 42), rolling(50, 2, 42))) == f"{FALLS} is bad since 2 s"
    assert BAD.note(seen(60, rolling(50, 2, 42), rolled_back())) == f"{FALLS} took itself back; {CLIMBS} goes on to 100 %"
