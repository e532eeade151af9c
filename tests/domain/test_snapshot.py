"""Which spec is followed: the written one, or the last valid one with the written one's switches."""

from dataclasses import replace
from typing import Any

import pytest

from tests.builders import raw_gate, spec
from tidegate.api.conditions import Reason
from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.rollout_status import FeatureRolloutStatus, State
from tidegate.domain.problems import Problem
from tidegate.domain.snapshot import Rollout

PROBLEM = Problem(Reason.INVALID_QUERY, "spec.gates[0].query: not valid PromQL")
LAST_VALID = spec(percents=(10, 100), gates=[raw_gate("errors")])


def rollout(written: FeatureRolloutSpec | None, problem: Problem | None = None, last_valid: FeatureRolloutSpec | None = None) -> Rollout:
    return Rollout("shop", "search", "u1", 2, "7", False, (), written, problem, FeatureRolloutStatus(), last_valid)


def test_a_valid_spec_is_followed_as_it_is_written() -> None:
    written = spec(percents=(50, 100), paused=True)
    assert rollout(written, last_valid=LAST_VALID).followed_spec() is written


@pytest.mark.parametrize(
    "switches", [{"enabled": False, "paused": False}, {"enabled": True, "paused": True}, {"enabled": False, "paused": True}, {}]
)
def test_of_one_that_can_not_be_followed_only_the_switches_count(switches: dict[str, Any]) -> None:
    written = spec(percents=(1, 100), revision="v2", bake="0s", gates=[raw_gate("other", query="up{")], **switches)
    followed = rollout(written, PROBLEM, LAST_VALID).followed_spec()
    assert followed == LAST_VALID.model_copy(update=switches)
    assert followed is not None
    assert (followed.revision, followed.bake, followed.gates) == (LAST_VALID.revision, LAST_VALID.bake, LAST_VALID.gates)


def test_the_last_valid_specs_own_switches_do_not_outlive_it() -> None:
    paused = LAST_VALID.model_copy(update={"paused": True, "enabled": False})
    followed = rollout(spec(gates=[raw_gate(query="up{")]), PROBLEM, paused).followed_spec()
    assert followed is not None
    assert (followed.enabled, followed.paused) == (True, False)


def test_one_that_does_not_even_parse_leaves_the_last_valid_one_as_it_was() -> None:
    assert rollout(None, PROBLEM, LAST_VALID).followed_spec() is LAST_VALID


@pytest.mark.parametrize("written", [None, spec(gates=[raw_gate(query="up{")])])
def test_one_that_was_never_valid_is_not_followed_at_all(written: FeatureRolloutSpec | None) -> None:
    assert rollout(written, PROBLEM).followed_spec() is None


def test_the_full_name_is_what_a_flags_mark_carries() -> None:
    assert rollout(None).full_name == "shop/search"


@pytest.mark.parametrize(
    ("fields", "owns"),
    [
        ({}, False),
        ({"attempt": 1}, False),  # it was never seen in force
        ({"attempt": 1, "step_percent": 0}, True),
        ({"attempt": 1, "state": State.ROLLBACK}, True),
    ],
)
def test_a_target_is_owned_by_status_alone(fields: dict[str, Any], owns: bool) -> None:
    assert replace(rollout(None), status=FeatureRolloutStatus(**fields)).owns is owns


@pytest.mark.parametrize(
    ("fields", "begins"),
    [
        ({}, True),
        ({"attempt": 1, "revision": "v2"}, False),
        ({"attempt": 1, "revision": "v1"}, True),
        ({"attempt": 1}, True),
    ],
)
def test_earlier_runs_are_read_where_a_revision_begins(fields: dict[str, Any], begins: bool) -> None:
    assert replace(rollout(spec(revision="v2")), status=FeatureRolloutStatus(**fields)).needs_runs is begins
    assert replace(rollout(None), status=FeatureRolloutStatus(**fields)).needs_runs is not bool(fields)
