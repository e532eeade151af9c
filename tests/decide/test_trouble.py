"""Specs that can't be followed, policies that are missing or change, flags out of hand: held, said, and never unarmed."""

from dataclasses import replace
from typing import Any

import pytest

from tests.builders import condition, policy, raw_gate, stalled_for
from tests.decide.world import World
from tidegate.api.conditions import ConditionType, Reason
from tidegate.api.records import Transition
from tidegate.api.rollout_status import Phase, State
from tidegate.domain.answers import Failure
from tidegate.domain.decision import FINALIZER
from tidegate.domain.problems import Problem

pytestmark = pytest.mark.levers

GATES = [raw_gate(rollback={"gt": 0.15, "confirm": 1})]
MISSING = Problem(Reason.POLICY_MISSING, "RolloutPolicy production does not exist")
BROKEN: dict[str, dict[str, Any]] = {
    "query": {"gates": [raw_gate(query="rate(")]},
    "spec": {"strategy": {"canary": {"percents": [10, 100]}}},
    "field": {"nonsense": 1},
}


@pytest.mark.parametrize("how", list(BROKEN))
@pytest.mark.parametrize("percent", [10, 100])
def test_an_invalid_spec_changes_nothing_and_keeps_the_last_rollback_rules_armed(how: str, percent: int) -> None:
    world = World.at(percent, gates=GATES)
    world.edit(**BROKEN[how])
    world.run(600)
    assert (world.phase, world.percent, world.status.state) == (Phase.INVALID, percent, State.ROLLING_OUT)
    assert stalled_for(world.status) in (Reason.INVALID_SPEC, Reason.INVALID_QUERY)
    assert world.recorded().count(Transition.SPEC_INVALID) == 1
    assert world.is_converged()
    world.readings["errors"] = 0.9
    world.run_until(lambda it: it.percent == 0, 21)
    assert world.status.state is State.ROLLBACK


@pytest.mark.parametrize("how", list(BROKEN))
def test_a_valid_spec_goes_on_where_it_was(how: str) -> None:
    world = World.at(50, gates=GATES)
    good = dict(world.raw["spec"])
    world.edit(**BROKEN[how])
    world.run(600)
    world.raw["spec"] = good
    world.edit()
    world.climb_to(100)
    assert world.status.attempt == 1


@pytest.mark.parametrize("how", list(BROKEN))
def test_a_spec_that_was_never_valid_touches_nothing_and_is_looked_at_again(how: str) -> None:
    world = World(gates=GATES)
    world.raw["spec"] |= BROKEN[how]
    decision = world.reconcile()
    assert (decision.actions, world.config_map) == ((), None)
    assert (world.phase, world.status.attempt) == (Phase.INVALID, 0)
    assert decision.requeue_after is not None
    assert world.is_converged()


def test_the_message_names_the_field() -> None:
    world = World(gates=GATES)
    world.raw["spec"] |= BROKEN["query"]
    world.reconcile()
    stalled = condition(world.status, ConditionType.STALLED)
    assert stalled is not None
    assert stalled.message.startswith("spec.gates[0].query (gate errors): not valid PromQL")


# the policy


def test_without_a_policy_it_is_pending() -> None:
    world = World(gates=GATES)
    world.policy = MISSING
    world.run(600)
    assert (world.phase, world.percent) == (Phase.PENDING, 0)
    assert stalled_for(world.status) is Reason.POLICY_MISSING
    assert MISSING.message in (world.status.waiting_for or "")
    world.policy = policy()
    world.climb_to(10)


@pytest.mark.parametrize("percent", [10, 50, 100])
def test_a_policy_that_disappears_mid_run_holds(percent: int) -> None:
    world = World.at(percent, gates=GATES, noData={"deadline": "30s", "then": "rollback"})
    world.readings["errors"] = 0.9  # nobody can know
    world.policy = MISSING
    world.run(7200)
    assert (world.percent, world.phase) == (percent, Phase.PROGRESSING)
    assert stalled_for(world.status) is Reason.POLICY_MISSING
    world.readings["errors"] = 0.0
    world.policy = policy()
    world.until(Phase.SUCCEEDED)


def test_a_bake_goes_on_without_its_policy() -> None:
    world = World.at(Phase.BAKING, gates=GATES, bake="60s")
    world.policy = MISSING
    world.run(600)
    assert world.phase is Phase.BAKING
    world.policy = policy()
    world.until(Phase.SUCCEEDED, 60)


@pytest.mark.parametrize("at_rest", [Phase.SUCCEEDED, Phase.ROLLED_BACK, Phase.DISABLED])
def test_terminal_a_policy_is_not_missed(at_rest: Phase) -> None:
    world = World(gates=GATES)
    if at_rest is Phase.ROLLED_BACK:
        world.climb_to(10)
        world.readings["errors"] = 0.9
    elif at_rest is Phase.DISABLED:
        world.edit(enabled=False)
    world.until(at_rest)
    world.run(5)
    before = stalled_for(world.status)
    world.policy = MISSING
    world.run(5)
    assert world.phase is at_rest
    assert stalled_for(world.status) is before


def test_the_policy_is_pinned_and_an_edit_recorded() -> None:
    world = World.at(10, gates=GATES)
    pinned = world.status.policy
    assert pinned is not None
    assert (pinned.name, pinned.generation) == ("production", 1)
    world.policy = policy(generation=2)
    world.run(5)
    assert world.recorded().count(Transition.POLICY_EDITED) == 1
    assert world.status.policy is not None
    assert world.status.policy.generation == 2


def told(world: World, transition: Transition) -> list[str]:
    return [record.message for record in world.records() if record.transition is transition]


@pytest.mark.parametrize("where", [Phase.WAITING, 10, 100])
def test_a_policy_that_disappears_and_its_return_are_on_record_once(where: int | Phase) -> None:
    world = World.at(where, gates=GATES, bake="1h", paused=where is Phase.WAITING)
    world.run(5)
    world.policy = MISSING
    world.run(300)
    world.policy = policy()
    world.run(60)
    assert len(told(world, Transition.POLICY_UNUSABLE)) == 1
    percent = where if isinstance(where, int) else 0
    assert told(world, Transition.POLICY_UNUSABLE)[0].startswith(f"PolicyMissing, held at {percent} % without gates: {MISSING.message}")
    assert told(world, Transition.POLICY_UNUSABLE)[0].endswith("it was uid uid-of-production, generation 1")
    assert told(world, Transition.POLICY_USABLE) == ["RolloutPolicy production can be used again: PolicyMissing is over"]
    assert told(world, Transition.POLICY_EDITED) == [], "it is as it was"


def test_another_reason_why_it_cannot_be_used_is_another_record() -> None:
    world = World.at(10, gates=GATES)
    for problem in (MISSING, Problem(Reason.POLICY_INVALID, "typo"), Problem(Reason.INTERNAL_ERROR, "see the log"), MISSING):
        world.policy = problem
        world.run(30)
    assert [one.partition(",")[0] for one in told(world, Transition.POLICY_UNUSABLE)] == ["PolicyMissing", "PolicyInvalid", "PolicyMissing"]


def test_what_has_ended_records_nothing_of_its_policy() -> None:
    world = World.at(Phase.SUCCEEDED, gates=GATES)
    world.policy = MISSING
    world.reconcile()
    assert told(world, Transition.POLICY_UNUSABLE) == []


@pytest.mark.parametrize("is_seen_missing", [False, True])
def test_a_policy_that_was_deleted_and_made_again_is_another(is_seen_missing: bool) -> None:
    world = World.at(10, gates=GATES)
    if is_seen_missing:
        world.policy = MISSING
        world.run(30)
    world.policy = replace(policy(), uid="another")
    world.run(5)
    text = "RolloutPolicy production was deleted and made again: uid uid-of-production → another, generation 1 → 1"
    assert told(world, Transition.POLICY_EDITED) == [text]
    assert world.status.policy is not None
    assert world.status.policy.uid == "another"


# the flag


@pytest.mark.parametrize("reason", [Reason.CLAIMED, Reason.UNREADABLE, Reason.NOT_ADOPTABLE])
@pytest.mark.parametrize("percent", [0, 50])
def test_a_flag_out_of_hand_is_left_alone_and_looked_at_again(reason: Reason, percent: int) -> None:
    world = World(gates=GATES)
    if percent:
        world.climb_to(percent)
    writes = len(world.writes)
    world.flag_problem = Problem(reason, "it is not ours to write")
    world.run(600)
    assert len(world.writes) == writes
    assert stalled_for(world.status) is reason
    assert "it is not ours to write" in (world.status.waiting_for or "")
    assert world.reconcile().requeue_after is not None
    world.flag_problem = None
    world.climb_to(100)


@pytest.mark.flag
def test_a_hand_written_flag_that_cannot_be_read_is_refused_with_a_reason() -> None:
    world = World(gates=GATES)
    world.put_flag({"state": "ENABLED", "variants": {"a": "x", "b": "y"}, "defaultVariant": "a"})
    before = world.definition
    world.run(60)
    assert world.definition == before
    assert stalled_for(world.status) is Reason.NOT_ADOPTABLE
    assert FINALIZER not in world.raw["metadata"].get("finalizers", [])


# conditions


def of(world: World, kind: ConditionType) -> tuple[str, str] | None:
    found = condition(world.status, kind)
    return None if found is None else (found.status, found.reason)


def test_ready_stays_true_while_a_rollout_moves() -> None:
    world = World(gates=GATES)
    seen: set[Any] = set()

    def done(it: World) -> bool:
        seen.add(of(it, ConditionType.READY))
        return it.phase is Phase.SUCCEEDED

    world.run_until(done)
    assert seen == {("True", reason) for reason in ("Waiting", "Progressing", "Baking", "Succeeded")}


def test_finished_says_every_end_good_or_bad() -> None:
    fallen = World.at(10, gates=GATES)
    assert of(fallen, ConditionType.FINISHED) == ("False", "InProgress")
    fallen.fall()
    assert of(fallen, ConditionType.FINISHED) == ("True", "RolledBack")
    fallen.edit(revision="v2")
    fallen.reconcile()
    assert of(fallen, ConditionType.FINISHED) == ("False", "InProgress")
    off = World.at(10, gates=GATES)
    off.edit(enabled=False)
    off.reconcile()
    assert of(off, ConditionType.FINISHED) == ("True", "Disabled")
    assert of(World.at(Phase.SUCCEEDED, gates=GATES), ConditionType.FINISHED) == ("True", "Succeeded")


def test_an_attempt_that_falls_is_finished_when_nobody_has_the_feature_any_more() -> None:
    world = World.at(10, gates=GATES)
    world.readings["errors"] = 0.9
    world.run_until(lambda it: it.phase is Phase.ROLLING_BACK)
    assert of(world, ConditionType.FINISHED) == ("False", "InProgress")


@pytest.mark.parametrize("reason", [Reason.PROMETHEUS_UNREACHABLE, Reason.PROMETHEUS_TIMEOUT, Reason.PROMETHEUS_WARNING])
def test_a_source_that_fails_is_a_condition_of_its_own(reason: Reason) -> None:
    world = World.at(10, gates=GATES)
    world.readings["errors"] = Failure(reason, "said so")
    world.run(20)
    assert of(world, ConditionType.METRICS_AVAILABLE) == ("False", reason.value)
    assert of(world, ConditionType.READY) == ("True", "Progressing")
    world.readings["errors"] = 0.0
    world.run(20)
    assert of(world, ConditionType.METRICS_AVAILABLE) == ("True", "Answering")


def test_the_time_of_a_condition_changes_only_with_its_status() -> None:
    world = World.at(10, gates=GATES)
    first = condition(world.status, ConditionType.READY)
    world.climb_to(100)
    later = condition(world.status, ConditionType.READY)
    assert first is not None
    assert later is not None
    assert first.last_transition_time == later.last_transition_time
    world.fall()
    fallen = condition(world.status, ConditionType.READY)
    assert fallen is not None
    assert fallen.last_transition_time > first.last_transition_time


def test_every_condition_carries_the_generation() -> None:
    world = World.at(10, gates=GATES)
    world.edit(bake="1h")
    world.run(15)
    assert {one.observed_generation for one in world.status.conditions} == {2}
    assert world.status.observed_generation == 2
