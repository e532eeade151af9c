"""Deletion with Off where the flag is not as Tidegate left it: nobody keeps a feature that the deletion promised to take away."""

from typing import Any

import pytest

from tests.builders import KEY, raw_gate, stalled_for
from tests.decide.test_adoption import PLAIN_OFF
from tests.decide.test_by_hand import share
from tests.decide.test_replaced_flags import FOREIGN, HOW
from tests.decide.world import World
from tidegate.api.conditions import Reason
from tidegate.domain.decision import FINALIZER
from tidegate.levers.flag.definition import switched_off
from tidegate.levers.flag.flag_set import DOCUMENT_KEY

GATES = [raw_gate()]


def at_half(**spec: Any) -> World:
    return World.at(50, gates=GATES, **spec)


def break_document(world: World) -> str:
    assert world.config_map is not None
    good = world.config_map["data"][DOCUMENT_KEY]
    world.config_map["data"][DOCUMENT_KEY] = good[:-1]
    return str(good)


@pytest.mark.parametrize("to", [20, 50, 80, 100])
@pytest.mark.parametrize("seen", [True, False])
def test_a_flag_without_the_marker_is_switched_off(to: int, seen: bool) -> None:
    world = at_half()
    world.put_flag(PLAIN_OFF | (share(to) if to < 100 else {"defaultVariant": "on"}))
    if seen:
        world.reconcile()
    world.delete()
    world.reconcile()
    assert (world.exists, world.effect) == (False, switched_off())


@pytest.mark.parametrize("how", HOW)
def test_so_is_one_that_was_rewritten_without_it(how: Any) -> None:
    world = at_half()
    how(world)
    world.delete()
    world.reconcile()
    assert (world.exists, world.effect) == (False, switched_off())
    assert world.definition is not None
    assert world.definition["metadata"]["state"] == "DISABLED"


def test_keep_leaves_even_that_as_it_is() -> None:
    world = at_half(deletionPolicy="Keep")
    world.put_flag(FOREIGN)
    world.delete()
    world.reconcile()
    assert (world.exists, world.definition) == (False, FOREIGN)


def test_a_flag_that_was_never_ours_is_left_alone() -> None:
    """The first look wrote nothing yet but the finalizer."""
    world = World(initialPercent=100)
    world.reconcile()
    world.put_flag(FOREIGN)
    world.delete()
    world.reconcile()
    assert (world.exists, world.definition) == (False, FOREIGN)


def test_a_rejection_that_only_status_remembers_is_marked_again() -> None:
    world = World.at(50, gates=[raw_gate(rollback={"gt": 0.15, "confirm": 1})], revision="v7")
    world.fall()
    world.raw["metadata"]["finalizers"] = [FINALIZER]
    world.put_flag(PLAIN_OFF | {"defaultVariant": "on"})
    world.delete()
    world.reconcile()
    assert world.definition is not None
    assert world.definition["metadata"]["rejected"] == "v7"


# a document that can't be read


def test_an_unreadable_document_keeps_the_object_until_it_is_mended() -> None:
    world = at_half()
    good = break_document(world)
    world.delete()
    for _ in range(3):
        decision = world.reconcile()
        assert (world.exists, decision.actions) == (True, ())
        assert decision.requeue_after is not None
    assert stalled_for(world.status) is Reason.UNREADABLE
    message = next(one.message for one in world.status.conditions if one.status == "True" and one.type == "Stalled")
    assert "the deletion waits for that" in message
    assert world.config_map is not None
    world.config_map["data"][DOCUMENT_KEY] = good
    world.reconcile()
    assert (world.exists, world.effect) == (False, switched_off())


@pytest.mark.parametrize("end", ["ConfigMap deleted", "document emptied", "namespace deleted"])
def test_it_ends_with_what_it_waits_for(end: str) -> None:
    world = at_half()
    break_document(world)
    world.delete()
    world.reconcile()
    assert world.config_map is not None
    match end:
        case "ConfigMap deleted":
            world.config_map = None
        case "document emptied":
            world.config_map["data"] = {}
        case "namespace deleted":
            world.namespace_terminating = True
    world.reconcile()
    assert not world.exists


@pytest.mark.parametrize(("policy", "lease", "gone"), [("Keep", None, True), ("Keep", 600, False), ("Off", None, False)])
def test_what_is_to_be_kept_waits_only_where_a_lease_would_end_it(policy: str, lease: int | None, gone: bool) -> None:
    world = at_half(deletionPolicy=policy, flag={"leaseSeconds": lease})
    good = break_document(world)
    world.delete()
    world.reconcile()
    assert world.exists is not gone
    assert world.config_map is not None
    world.config_map["data"][DOCUMENT_KEY] = good
    if world.exists:
        world.reconcile()
    assert not world.exists
    assert (world.document()["flags"][KEY] is None, world.lease) == (False, None)


def test_an_object_without_the_finalizer_waits_for_nothing() -> None:
    world = at_half()
    world.raw["metadata"]["finalizers"] = ["example.com/theirs"]
    break_document(world)
    world.delete()
    assert world.reconcile().requeue_after is None
