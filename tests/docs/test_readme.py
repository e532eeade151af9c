"""The example of README.md does what the sentence below it says."""

from itertools import pairwise

import pytest
import yaml

from tests.builders import CONFIG_MAP, KEY, condition, policy
from tests.decide.world import World
from tests.docs.blocks import fences
from tidegate.api.conditions import ConditionType
from tidegate.api.rollout_status import Phase

(BLOCK,) = (block for block in fences() if block.file == "README.md" and "kind: FeatureRollout" in block.text)
NAMESPACE, POLICY, ROLLOUT = yaml.safe_load_all(BLOCK.text)


def example() -> World:
    assert ROLLOUT["spec"]["target"]["flag"] == {"key": KEY, "configMap": CONFIG_MAP}, "the world has this flag"
    world = World(interval="30s")
    world.raw["spec"] = ROLLOUT["spec"]
    world.readings["error-ratio"] = 0.001
    return world


def climb(world: World, percent: int) -> float:
    """Seconds since the beginning at which this percent is in force."""
    return world.run_until(lambda world: world.status.step_percent == percent and world.status.effective_at is not None, seconds=4 * 3600)


def test_its_parts_belong_together() -> None:
    assert ROLLOUT["spec"]["policyRef"]["name"] == POLICY["metadata"]["name"] == policy().name
    assert ROLLOUT["metadata"]["namespace"] == NAMESPACE["metadata"]["name"]
    (application,) = (block for block in fences() if block.file == "README.md" and block.language == "python")
    assert f'"{KEY}"' in application.text


def test_it_climbs_an_hour_a_step_and_nothing_about_it_is_questionable() -> None:
    world = example()
    hours = [climb(world, percent) / 3600 for percent in (10, 50, 100)]
    assert [after - before for before, after in pairwise(hours)] == pytest.approx([1, 1], abs=0.02)
    assert condition(world.status, ConditionType.QUESTIONABLE) is None


def test_it_falls_when_more_than_5_percent_fail_for_six_minutes() -> None:
    world = example()
    climb(world, 50)
    world.run(1200)
    world.readings["error-ratio"] = 0.06
    began = world.elapsed()
    world.until(Phase.ROLLED_BACK)
    assert 360 <= world.elapsed() - began < 480
    assert world.percent == 0
