"""The dead-man lease: renewed while anybody looks, over when nobody does, and back only by a raise that is decided like any other."""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from tests.builders import raw_gate, stalled_for, target
from tests.decide.world import Fault, World
from tests.levers.evaluator import Evaluator
from tidegate.api.conditions import Reason
from tidegate.api.records import Transition
from tidegate.api.rollout_status import Phase, State
from tidegate.domain.problems import Problem
from tidegate.levers.flag.definition import definition_for, read_exposure, switched_off
from tidegate.levers.flag.flag_set import WriteFlag

LEASE, THIRD = 60, 20
GATES = [raw_gate(rollback={"gt": 0.15, "confirm": 1})]
GUARD = raw_gate("uptime", rollback={"gt": 0.15, "confirm": 1})


def leased(where: int | Phase | None = None, *, flag: dict[str, Any] | None = None, **spec: Any) -> World:
    world = World(**{"gates": GATES, "guards": (GUARD,), "flag": {"leaseSeconds": LEASE} | (flag or {})} | spec)
    if where is not None:
        world.get_to(where)
    return world


def standing(percent: int, *, flag: dict[str, Any] | None = None, **spec: Any) -> World:
    """At this percent, with a dwell that never ends."""
    world = leased(percent, flag=flag, **spec)
    world.set_steps(10, 50, 100, dwell="365d")
    world.run(world.lease or 0)
    return world


def abandoned(world: World, seconds: float = 90) -> World:
    """Nobody looks for so long."""
    world.now += timedelta(seconds=seconds)
    return world


def expired(world: World) -> int:
    return world.recorded().count(Transition.LEASE_EXPIRED)


# renewing


@pytest.mark.parametrize(("seconds", "third"), [(60, 20), (61, 20), (900, 300), (86_400, 28_800)])
def test_a_lease_is_renewed_at_each_third_by_one_write_and_nothing_else(seconds: int, third: int) -> None:
    world = standing(10, flag={"leaseSeconds": seconds}, interval=f"{third // 2}s")
    version, records, before = world.raw["metadata"]["resourceVersion"], len(world.records()), len(world.writes)
    world.run(20 * third)
    renewals = world.writes[before:]
    assert len(renewals) == 20
    assert all(write.renews and not write.raises and write.percent == 10 for _, write in renewals)
    times = [at.timestamp() for at, _ in renewals]
    assert all(third - 0.1 <= later - earlier <= third + 0.1 for earlier, later in pairwise(times))
    assert (world.raw["metadata"]["resourceVersion"], len(world.records())) == (version, records), "nor is status written"


def test_without_gates_or_guards_it_is_renewed_all_the_same() -> None:
    world = World.at(10, flag={"leaseSeconds": 3600}, dwell="10d")
    world.run(86_400)
    assert (world.percent, expired(world)) == (10, 0)


def mended(world: World) -> None:
    world.edit(paused=False, gates=GATES)
    world.policy = World(guards=(GUARD,)).policy
    world.readings.clear()


def paused(world: World) -> None:
    world.edit(paused=True)


def invalid(world: World) -> None:
    world.edit(gates=[raw_gate(query="rate(")])


def without_policy(world: World) -> None:
    world.policy = Problem(Reason.POLICY_MISSING, "RolloutPolicy production does not exist")


def guard_holds(world: World) -> None:
    world.readings["uptime"] = 0.12


HELD: list[Callable[[World], None]] = [paused, invalid, without_policy, guard_holds]


@pytest.mark.thorough
@pytest.mark.parametrize("hold", HELD, ids=lambda it: it.__name__)
def test_whatever_holds_a_rollout_keeps_its_exposure_while_somebody_looks(hold: Callable[[World], None]) -> None:
    world = leased(50)
    hold(world)
    for _ in range(60):
        world.run(30)
        assert world.percent == 50
    assert expired(world) == 0
    abandoned(world)
    world.run(60)
    assert (world.percent, world.status.step_percent, expired(world)) == (0, 50, 1)
    mended(world)
    world.climb_to(50)


# where there is a lease, and where there is none


@pytest.mark.parametrize("lists", [{}, {"allow": ["alice"]}, {"deny": ["bob"]}])
def test_only_what_moves_has_a_lease(lists: dict[str, Any]) -> None:
    world = leased(flag=lists, revision="v1")
    world.reconcile()
    assert (world.status.state, world.lease) == (State.DISABLED, None)
    for percent in (10, 50, 100):
        world.climb_to(percent)
        assert world.status.state is State.ROLLING_OUT
        assert world.lease is not None
    world.until(Phase.BAKING)
    assert (world.lease, world.percent, expired(world), _raised_to(world)) == (None, 100, 0, [10, 50, 100])
    assert world.effect == definition_for(target(**lists), 100)
    world.edit(revision="v2")
    world.reconcile()
    assert (world.status.state, world.percent) == (State.ROLLING_OUT, 100)
    assert world.lease is not None
    world.fall()
    assert world.effect == switched_off()
    world.edit(enabled=False)
    world.run(1)
    assert world.effect == switched_off()


def test_what_bakes_or_has_succeeded_needs_nobody() -> None:
    world = leased(Phase.BAKING, bake="1h")
    abandoned(world, 86_400)
    assert world.percent == 100
    world.run(30)
    assert (world.phase, expired(world)) == (Phase.SUCCEEDED, 0)


@pytest.mark.parametrize(("initial", "has_lease"), [(40, True), (100, False)])
def test_a_live_feature_that_is_taken_over(initial: int, has_lease: bool) -> None:
    world = leased(initialPercent=initial)
    world.run_until(lambda it: it.status.percent == initial)
    assert (world.lease is not None) is has_lease
    leases = [read_exposure(write.definition).lease for _, write in world.writes if isinstance(write, WriteFlag)]
    assert [lease is not None for lease in leases] == [has_lease] * len(leases), "nor did it have one for a moment"


def lease_of(seconds: int | None) -> dict[str, Any]:
    return {} if seconds is None else {"leaseSeconds": seconds}


@pytest.mark.parametrize("before", [None, 60, 86_400])
@pytest.mark.parametrize("after", [None, 60, 900])
def test_editing_the_lease_counts_at_once_and_raises_nothing(before: int | None, after: int | None) -> None:
    world = World.at(10, gates=GATES, flag=lease_of(before), dwell="1h")
    began = world.status.effective_at
    world.edit_target(leaseSeconds=after)
    world.reconcile()
    assert (world.percent, world.status.percent, world.status.effective_at) == (10, 10, began)
    assert [write.percent for _, write in world.writes if write.raises] == [10]
    if after is None:
        assert world.lease is None
    else:
        assert world.lease is not None
        assert after * 2 / 3 <= world.lease <= after


# nobody renews


def test_a_feature_that_nobody_watches_is_off_for_everybody_by_their_own_clock() -> None:
    world = standing(50, flag={"allow": ["alice"], "deny": ["bob"]})
    end = world.now.timestamp() + (world.lease or 0)
    clients = ["alice", "bob", *(f"user-{number}" for number in range(300))]
    seeing = [client for client in clients if Evaluator(world.effect, at=end - 1).sees(client)]
    assert "alice" in seeing
    assert "bob" not in seeing
    assert 100 < len(seeing) < 200
    assert [client for client in clients if Evaluator(world.effect, at=end).sees(client)] == []
    abandoned(world)
    assert world.percent == 0


@pytest.mark.parametrize("percent", [10, 50, 100])
@pytest.mark.parametrize("away", [60, 90, 86_400])
def test_it_comes_back_to_its_percent_by_a_raise_that_is_decided_and_dwells_anew(percent: int, away: float) -> None:
    world = leased(percent)
    writes = len(world.writes)
    abandoned(world, away)
    back = world.elapsed()
    world.reconcile()
    assert (world.percent, world.status.percent, world.status.step_percent) == (0, 0, percent)
    assert (world.status.state, world.status.effective_at, world.status.step) == (State.ROLLING_OUT, None, 0)
    assert read_exposure(world.effect).percent == 0, "no client whose clock is behind keeps it on"
    assert world.recorded()[-1] is Transition.STEP_DECIDED
    assert world.recorded()[-2] is Transition.LEASE_EXPIRED
    assert f"{percent} % is decided anew" in world.records()[-2].message
    assert (world.records()[-2].from_percent, world.records()[-2].to_percent) == (percent, 0)
    again = world.climb_to(percent)
    assert again - back < 1, "nothing but the decision lies between"
    assert [write.percent for _, write in world.writes[writes:]] == [0, percent]
    assert world.status.raised_at == world.now, "it is a rise of exposure: guards reach it"
    world.run_until(lambda it: it.percent != percent or it.status.state is State.ENABLED)
    assert world.elapsed() - again >= 60, "the dwell counts anew from the reading back"
    world.until(Phase.SUCCEEDED)
    assert (expired(world), world.status.attempt) == (1, 1)


def test_the_own_gates_say_nothing_while_nobody_is_exposed() -> None:
    """They would judge readings of a time in which nobody had the feature."""
    world = leased(50)
    abandoned(world)
    world.readings["errors"] = 0.9
    world.reconcile()
    assert world.phase is Phase.PROGRESSING
    assert [gate.name for gate in world.status.gates] == ["uptime"]
    world.until(Phase.ROLLED_BACK, 60)
    assert world.recorded()[-3:] == [Transition.STEP_DECIDED, Transition.STEP_EFFECTIVE, Transition.ROLLED_BACK]


@pytest.mark.parametrize("hold", [*HELD, lambda world: world.readings.update(uptime=0.9)])
def test_what_would_hold_a_step_holds_the_way_back(hold: Callable[[World], None]) -> None:
    world = leased(50)
    abandoned(world)
    hold(world)
    for _ in range(20):
        world.run(60)
        assert (world.percent, world.status.percent, world.status.step_percent) == (0, 0, 50)
    assert world.status.state is State.ROLLING_OUT
    assert expired(world) == 1
    mended(world)
    world.climb_to(50)
    assert _raised_to(world) == [10, 50, 50]


def _raised_to(world: World) -> list[int]:
    return [write.percent for _, write in world.writes if write.raises]


def test_the_allow_list_goes_with_the_lease_and_is_back_once_somebody_looks() -> None:
    world = leased(50, flag={"allow": ["alice"]})
    abandoned(world)
    assert not Evaluator(world.effect, at=world.now.timestamp()).sees("alice")
    paused(world)
    world.run(600)
    assert (world.percent, world.status.percent) == (0, 0)
    assert Evaluator(world.effect, at=world.now.timestamp()).sees("alice")
    assert not Evaluator(world.effect, at=world.now.timestamp() + LEASE).sees("alice")


def test_it_may_run_out_again_and_again() -> None:
    world = leased(50)
    for number in range(1, 4):
        abandoned(world)
        world.climb_to(50)
        assert expired(world) == number
    abandoned(world)
    world.reconcile()
    abandoned(world)
    world.reconcile()
    assert (world.status.step_percent, expired(world)) == (50, 4), "at 0 % there is nothing that could run out"
    world.climb_to(50)


def test_steps_that_are_edited_meanwhile_do_not_move_what_comes_back() -> None:
    world = leased(50)
    abandoned(world)
    world.reconcile()
    world.set_steps(5, 70, 100)
    world.climb_to(50)
    world.climb_to(70)


# at every other moment


def decided_not_written(world: World) -> None:
    world.run_until(lambda it: it.status.percent == 10 and it.status.raising is not None)
    assert world.percent == 10


def written_not_read_back(world: World) -> None:
    world.run_until(lambda it: it.percent == 50)
    assert world.status.percent == 10


@pytest.mark.parametrize("moment", [decided_not_written, written_not_read_back], ids=lambda it: it.__name__)
def test_a_raise_under_way_is_withdrawn_and_what_was_read_back_comes_first(moment: Callable[[World], None]) -> None:
    world = leased()
    moment(world)
    abandoned(world)
    world.reconcile()
    assert (world.percent, world.status.percent, world.status.step_percent) == (0, 0, 10)
    assert "50 % is withdrawn" in world.records()[-2].message
    world.climb_to(10)
    world.climb_to(50)
    assert _raised_to(world)[-2:] == [10, 50]


def test_a_first_step_that_was_never_read_back_is_decided_anew() -> None:
    world = leased()
    world.run_until(lambda it: it.percent == 10)
    assert world.status.percent == 0
    abandoned(world)
    world.reconcile()
    assert (world.percent, world.status.state, world.status.step_percent) == (0, State.DISABLED, 0)
    assert "the first step is decided anew" in world.records()[-2].message
    world.climb_to(10)
    assert (_raised_to(world), expired(world)) == ([10, 10], 1)


def test_a_live_feature_whose_take_over_was_never_read_back_comes_back_to_its_percent() -> None:
    world = leased(initialPercent=40)
    world.run_until(lambda it: it.percent == 40)
    assert world.status.percent is None
    abandoned(world)
    world.reconcile()
    assert (world.percent, world.status.step_percent) == (0, 40)
    world.climb_to(40)


def test_a_live_feature_whose_adoption_was_never_recorded_comes_back_to_its_percent() -> None:
    world = leased()
    world.put_flag(definition_for(target(), 30))
    world.reconcile(Fault.KILLED_AFTER_ACT)
    assert world.lease is not None
    assert world.status.attempt == 0
    abandoned(world)
    world.reconcile()
    assert (world.percent, world.status.step_percent) == (0, 30)
    assert world.recorded()[:2] == [Transition.ADOPTED, Transition.LEASE_EXPIRED]
    world.climb_to(30)


def test_a_stranger_s_lease_that_ran_out_is_zero_to_who_takes_the_flag_over() -> None:
    world = leased()
    world.put_flag(definition_for(target(), 30, int(world.now.timestamp()) - 1))
    world.reconcile()
    assert (world.status.state, world.status.percent, world.recorded()) == (State.DISABLED, 0, [Transition.ATTEMPT_STARTED])
    world.climb_to(10)


def test_a_stranger_s_lease_that_stands_is_taken_over_with_its_percent() -> None:
    world = leased()
    world.put_flag(definition_for(target(), 30, int(world.now.timestamp()) + 5))
    world.reconcile()
    assert (world.percent, world.status.percent) == (30, 30)
    assert (world.lease or 0) >= 40


@pytest.mark.parametrize(("old", "where"), [(10, 50), (100, Phase.BAKING), (100, Phase.SUCCEEDED)])
def test_an_older_version_of_the_flag_that_somebody_restored_is_no_lease_that_ran_out(old: int, where: int | Phase) -> None:
    """As a program does that owns the document: it would come back again and again."""
    world = leased(old)
    backup = world.definition
    world.get_to(where)
    abandoned(world, 300)
    world.put_flag(backup)
    world.run(900)
    assert (world.definition, world.percent, expired(world)) == (backup, 0, 0)
    assert stalled_for(world.status) is Reason.LOWERED_ELSEWHERE
    assert world.recorded().count(Transition.LOWERED_ELSEWHERE) == 1
    assert world.status.step_percent == (50 if where == 50 else 100)


@pytest.mark.parametrize("phase", [Phase.BAKING, Phase.SUCCEEDED])
def test_enabled_with_a_lease_that_stands_loses_it(phase: Phase) -> None:
    world = leased(100)
    backup = world.definition
    world.until(phase)
    world.put_flag({**(backup or {}), "targeting": definition_for(target(), 100, int(world.now.timestamp()) + 30)["targeting"]})
    world.reconcile()
    assert (world.percent, world.lease, world.status.state) == (100, None, State.ENABLED)


# people


def test_a_new_revision_begins_at_zero_also_after_a_lease_ran_out() -> None:
    world = leased(50, revision="v1")
    abandoned(world)
    world.edit(revision="v2")
    world.reconcile()
    assert (world.percent, world.status.attempt, world.status.step_percent) == (0, 2, 0)
    world.climb_to(10)
    world.climb_to(50)
    assert _raised_to(world)[-2:] == [10, 50]


@pytest.mark.parametrize("looked", [True, False])
def test_switching_off_wins_over_coming_back(looked: bool) -> None:
    world = leased(50)
    abandoned(world)
    if looked:
        world.reconcile()
    world.edit(enabled=False)
    world.run(300)
    assert (world.phase, world.effect, world.status.step_percent) == (Phase.DISABLED, switched_off(), 0)


def by_hand(percent: int, lease: int | None) -> dict[str, Any]:
    return {key: value for key, value in definition_for(target(), percent, lease).items() if key in ("defaultVariant", "targeting")}


@pytest.mark.parametrize("seconds", [81, 3600, 10**9])
def test_a_lease_that_somebody_moved_far_away_is_brought_back(seconds: int) -> None:
    world = standing(50)
    world.edit_flag(**by_hand(50, int(world.now.timestamp()) + seconds))
    world.reconcile()
    assert world.percent == 50
    assert world.lease is not None
    assert world.lease <= LEASE


@pytest.mark.parametrize(("to", "seconds"), [(5, 50), (0, None)])
def test_what_somebody_turned_down_is_not_renewed_and_does_not_come_back(to: int, seconds: int | None) -> None:
    world = standing(50)
    world.edit_flag(**by_hand(to, None if seconds is None else int(world.now.timestamp()) + seconds))
    writes = len(world.writes)
    world.run(30)
    assert world.percent == to
    world.run(900)
    assert (world.percent, len(world.writes), expired(world)) == (0, writes, 0)
    assert world.recorded().count(Transition.LOWERED_ELSEWHERE) == 1
    assert world.status.step_percent == 50


def test_what_somebody_turned_up_behind_a_lease_that_ran_out_is_not_kept() -> None:
    world = leased(10)
    world.edit_flag(**by_hand(80, int(world.now.timestamp()) + 10))
    abandoned(world)
    world.climb_to(10)
    assert (_raised_to(world), expired(world)) == ([10, 10], 1)


def test_a_rewritten_definition_has_no_lease_that_could_run_out() -> None:
    world = leased(50)
    abandoned(world)
    world.edit_flag(state="DISABLED")
    world.reconcile()
    assert (world.percent, expired(world)) == (50, 0)


# deletion


@pytest.mark.parametrize("percent", [10, 100])
@pytest.mark.parametrize("lists", [{}, {"allow": ["alice"], "deny": ["bob"]}, {"segment": [{"attribute": "tier", "in": ["pro"]}]}])
def test_what_is_kept_has_no_lease(percent: int, lists: dict[str, Any]) -> None:
    world = leased(percent, flag=lists, deletionPolicy="Keep")
    world.delete()
    world.reconcile()
    assert (world.exists, world.effect) == (False, definition_for(target(**lists), percent))
    abandoned(world, 10**6)
    assert world.percent == percent


@pytest.mark.parametrize("looked", [True, False])
def test_keep_turns_nothing_on_that_a_lease_turned_off(looked: bool) -> None:
    world = leased(50, deletionPolicy="Keep")
    abandoned(world)
    if looked:
        world.edit(paused=True)
        world.run(60)
    world.delete()
    world.reconcile()
    assert (world.exists, world.effect) == (False, switched_off())


# when things go wrong


def ticks(world: World, seconds: float) -> None:
    world.now += timedelta(seconds=seconds)


@pytest.mark.parametrize("fault", list(Fault))
def test_a_renewal_that_fails_is_tried_again_in_time(fault: Fault) -> None:
    world = standing(10)
    ticks(world, THIRD)
    assert not world.is_converged()
    left = world.lease or 0
    for _ in range(5):
        world.reconcile(fault)
        ticks(world, 1)
    world.run(1)
    assert world.percent == 10
    assert (world.lease or 0) > left
    assert expired(world) == 0


def test_a_flag_set_that_cannot_be_written_turns_itself_off() -> None:
    world = standing(10)
    seen: list[int] = []
    for _ in range(120):
        world.reconcile(Fault.ACTION_REFUSED)
        seen.append(world.percent or 0)
        ticks(world, 1)
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] == 0
    world.climb_to(10)
    assert expired(world) == 1


def test_a_leader_that_wakes_after_the_lease_ran_out_renews_nothing() -> None:
    world = standing(50)
    old = world.snapshot()
    abandoned(world)
    world.readings["uptime"] = 0.12
    world.reconcile()
    after = world.percent
    for _ in range(3):
        world.reconcile(seen=old)
        assert world.percent == after == 0


def test_a_leader_that_slept_through_the_way_back_undoes_nothing() -> None:
    world = leased(50)
    old = world.snapshot()
    abandoned(world)
    world.climb_to(50)
    world.reconcile(seen=old)
    assert world.percent in (0, 50), "going down needs no fresh reading"
    world.climb_to(100)


def test_a_raise_that_was_sent_before_the_lease_ran_out_does_not_arrive_after_it() -> None:
    world = leased()
    world.run_until(lambda it: it.percent == 10 and it.status.raising is not None and it.status.pending is None)
    old = world.snapshot()
    abandoned(world)
    world.readings["uptime"] = 0.12
    world.reconcile()
    world.reconcile(seen=old)
    assert world.percent == 0
