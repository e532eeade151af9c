"""What a flag by hand names must outlive the first look, and a flag that arrives after it must be found."""

from typing import Any

import pytest

from tests.builders import mark, raw_gate, stalled_for, target
from tests.decide.test_adoption import PLAIN_OFF, recreated, share
from tests.decide.test_replaced_flags import FOREIGN
from tests.decide.world import Fault, World
from tidegate.api.conditions import Reason
from tidegate.api.records import Transition
from tidegate.api.rollout_status import Phase, State
from tidegate.levers.flag.definition import definition_for, switched_off
from tidegate.levers.flag.mark import to_metadata

GATE: dict[str, Any] = {"gates": [raw_gate(rollback={"gt": 0.15, "confirm": 1})]}
KEYS = {"var": "targetingKey"}
LEASE: dict[str, Any] = {"<": [{"var": "$flagd.timestamp"}, 4_000_000_000]}


def named(*branches: Any) -> dict[str, Any]:
    """A flag by hand; branches are keys and what they get in turn, and what everybody else gets."""
    parts = [{"in": [KEYS, part]} if isinstance(part, list) else part for part in branches]
    return PLAIN_OFF | {"targeting": {"if": parts}}


DENIES = [
    named(["bank-a"], "off", "on"),
    named(["bank-a"], "off", "off"),
    named(["alice"], "on", ["bank-a"], "off", {"fractional": [["on", 1], ["off", 1]]}),
    named(["bank-a"], "off", {"if": [LEASE, "on", "off"]}),
]


@pytest.mark.parametrize("flag", DENIES)
@pytest.mark.parametrize("deny", [[], ["bank-b"], ["bank-a", "bank-b"]])
def test_a_deny_list_by_hand_that_is_not_the_specs_is_never_dropped(flag: dict[str, Any], deny: list[str]) -> None:
    world = World(**GATE, flag={"deny": deny, "allow": ["alice"]})
    world.put_flag(flag)
    world.run(60)
    assert (world.definition, world.writes) == (flag, [])
    assert stalled_for(world.status) is Reason.NOT_ADOPTABLE
    said = world.status.waiting_for or ""
    assert "its list of targeting keys that are always off (1) is not spec.target.flag.deny: copy it there" in said
    world.edit_target(deny=["bank-a"])
    world.run(1)
    assert stalled_for(world.status) is None
    assert world.definition is not None
    assert world.definition["metadata"]["uid"] == "u1"


@pytest.mark.parametrize("flag", [named(["alice", "bob"], "on", "off"), named(["bob"], "on", ["alice"], "on", share(50)["targeting"])])
def test_nor_is_an_allow_list_by_hand(flag: dict[str, Any]) -> None:
    world = World(**GATE)
    world.put_flag(flag)
    world.run(60)
    assert world.definition == flag
    assert "always on (2) is not spec.target.flag.allow" in (world.status.waiting_for or "")
    world.edit_target(allow=["bob", "alice"])
    world.run(1)
    assert world.status.attempt == 1


def test_behind_a_lease_the_allow_list_counts_too() -> None:
    world = World(**GATE)
    world.put_flag(PLAIN_OFF | {"targeting": {"if": [LEASE, {"if": [{"in": [KEYS, ["alice"]]}, "on", "on"]}, "off"]}})
    world.run(60)
    assert "always on" in (world.status.waiting_for or "")


def test_a_segment_is_no_list_of_keys() -> None:
    segment = [{"attribute": "targetingKey", "in": ["alice"]}]
    world = World(**GATE, flag={"segment": segment})
    world.put_flag(definition_for(target(segment=segment), 50))
    world.reconcile()
    assert world.status.percent == 50


def test_ones_own_lists_change_with_the_spec() -> None:
    """Of an object created again: what its flag names came from a spec, and goes with it."""
    world = World.at(50, **GATE, deletionPolicy="Keep", flag={"deny": ["bank-a"]})
    world = recreated(world, **GATE)
    world.run(1)
    assert world.effect == definition_for(target(), 50)


def test_the_lists_of_another_rollout_that_is_gone_are_kept_like_those_by_hand() -> None:
    world = World(**GATE)
    metadata = to_metadata(mark(rollout="shop/another", uid="u9", percent=50))
    flag = definition_for(target(deny=["bank-a"]), 50) | {"metadata": metadata}
    world.put_flag(flag)
    world.run(60)
    assert world.definition == flag
    assert stalled_for(world.status) is Reason.NOT_ADOPTABLE


def test_switching_off_needs_no_list() -> None:
    world = World(**GATE, enabled=False)
    world.put_flag(DENIES[0])
    world.run(1)
    assert world.effect == switched_off()


# the document arrives after the first look, which found no flag


def arrives(flag: dict[str, Any], initial: int = 100, **spec: Any) -> World:
    world = World(**GATE, initialPercent=initial, **spec)
    world.reconcile()
    assert world.status.raising is not None
    world.put_flag(flag)
    return world


@pytest.mark.parametrize("initial", [100, 40])
def test_a_flag_that_is_off_by_then_begins_at_zero(initial: int) -> None:
    world = arrives(PLAIN_OFF, initial)
    world.reconcile()
    assert (world.percent, world.status.percent, world.status.raising, world.status.attempt) == (0, 0, None, 1)
    assert world.recorded() == [Transition.ADOPTED, Transition.STEP_WITHDRAWN, Transition.ATTEMPT_STARTED]
    world.climb_to(10)


@pytest.mark.parametrize("percent", [0, 30, 100])
@pytest.mark.parametrize("fault", [None, Fault.STATUS_REFUSED, Fault.KILLED_AFTER_ACT, Fault.APPEND_REFUSED])
def test_one_that_is_on_is_adopted_as_it_is(percent: int, fault: Fault | None) -> None:
    world = arrives(PLAIN_OFF | (share(percent) if percent < 100 else {"defaultVariant": "on"}), 40)
    world.reconcile(fault)
    world.run(1)
    assert world.status.raising is None or not world.status.raising.adopts
    assert world.percent == (percent or 10), "from 0 % it climbs at once: there is no gate before the first step"
    assert world.status.state is (State.ENABLED if percent == 100 else State.ROLLING_OUT)


def test_one_that_cannot_be_read_is_left_alone_until_it_can() -> None:
    world = arrives(FOREIGN)
    world.run(60)
    assert (world.definition, stalled_for(world.status)) == (FOREIGN, Reason.NOT_ADOPTABLE)
    world.put_flag(DENIES[0])
    world.run(60)
    assert (world.definition, stalled_for(world.status)) == (DENIES[0], Reason.NOT_ADOPTABLE)
    world.put_flag(share(30))
    world.run(1)
    assert (world.percent, world.status.percent) == (30, 30)


def test_one_that_was_rolled_back_before_stays_rejected() -> None:
    """A backup of the flag set is played back."""
    rejected = to_metadata(mark(uid="u0", state=State.ROLLBACK, rejected="v7", attempt=3))
    world = arrives(PLAIN_OFF | {"defaultVariant": "on", "metadata": rejected}, revision="v7")
    world.run(1)
    assert (world.percent, world.phase, world.status.rejected_revision) == (0, Phase.ROLLED_BACK, "v7")


def test_switched_off_meanwhile() -> None:
    world = arrives(PLAIN_OFF | {"defaultVariant": "on"})
    world.edit(enabled=False)
    world.run(1)
    assert (world.percent, world.phase) == (0, Phase.DISABLED)
