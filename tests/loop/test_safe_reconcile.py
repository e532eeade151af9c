"""What is still done for a rollout that can't be decided about, for whatever reason, and what it costs the others."""

import asyncio
from datetime import datetime
from typing import Any

import pytest

from tests.builders import raw_gate
from tests.operated import KEY, Operated
from tidegate.decide.rollout.deciding import decide
from tidegate.domain.decision import Decision
from tidegate.domain.snapshot import Snapshot

NESTED = "(" * 1000 + "errors" + ")" * 1000


def broken(snapshot: Snapshot, now: datetime) -> Decision:
    """A bug that one rollout meets."""
    if snapshot.rollout.name == KEY.name:
        raise ZeroDivisionError
    return decide(snapshot, now)


@pytest.fixture
async def broken_world(world: Operated, monkeypatch: pytest.MonkeyPatch) -> Operated:
    monkeypatch.setattr("tidegate.loop.rollout_handler.decide", broken)
    world.wake()
    await world.until(lambda: world.condition("Stalled").get("reason") == "InternalError")
    return world


def is_said(world: Operated) -> bool:
    conditions = [(world.condition(kind)["status"], world.condition(kind)["reason"]) for kind in ("Ready", "Stalled")]
    return conditions == [("False", "InternalError"), ("True", "InternalError")]


def transitions(world: Operated) -> list[str]:
    return [record["transition"] for record in world.server.store.objects["rolloutruns", "shop", "search-1"]["status"]["records"]]


async def test_nothing_is_raised_and_all_goes_on_once_it_can_be_decided_about(
    broken_world: Operated, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, before = broken_world, broken_world.flag()
    await world.put(strategy={"canary": {"dwell": "1s"}})
    await asyncio.sleep(1.1)  # the dwell is over
    for _ in range(2):
        world.wake()
        await world.reconciled(1)
    assert (is_said(world), world.flag()) == (True, before)
    assert "ZeroDivisionError" in world.condition("Stalled")["message"]
    monkeypatch.setattr("tidegate.loop.rollout_handler.decide", decide)
    world.wake()
    await world.until(lambda: world.is_at(50))
    assert (world.condition("Ready")["status"], world.condition("Stalled")) == ("True", {})


async def test_another_rollout_of_the_same_flag_set_is_undisturbed(broken_world: Operated) -> None:
    await broken_world.put("banner", "banner")
    await broken_world.until(lambda: broken_world.is_at(10, "banner"))
    assert broken_world.condition("Ready", "banner")["status"] == "True"
    assert is_said(broken_world)


async def test_enabled_false_switches_off(broken_world: Operated) -> None:
    await broken_world.put(enabled=False)
    await broken_world.until(lambda: broken_world.status()["phase"] == "Disabled" and "pending" not in broken_world.status())
    await broken_world.until(broken_world.is_off)
    assert is_said(broken_world)
    assert transitions(broken_world)[-1] == "Disabled"


async def test_a_gate_rolls_back(broken_world: Operated) -> None:
    broken_world.dial.value = 1.0
    await broken_world.tick(broken_world.is_rolled_back)
    assert broken_world.is_off()
    assert is_said(broken_world)
    assert transitions(broken_world)[-1] == "RolledBack"
    assert broken_world.status()["rejected"] == [""]


async def test_the_mark_of_a_rollback_holds(broken_world: Operated) -> None:
    """A leader died when it had made it, and before it could write status."""

    def roll_back(flags: dict[str, Any]) -> None:
        flag = flags["new-search"]
        del flag["targeting"]
        flag["metadata"] |= {"state": "ROLLBACK", "percent": 0, "rejected": "", "epoch": flag["metadata"]["epoch"] + 1}

    await broken_world.edit_document(roll_back)
    await broken_world.until(broken_world.is_rolled_back)
    assert broken_world.is_off()
    assert is_said(broken_world)


@pytest.mark.parametrize("how", ["as it should", "in any case"])
async def test_a_deletion_ends(broken_world: Operated, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    if how == "in any case":
        monkeypatch.setattr("tidegate.decide.rollout.safe.decide_deletion", broken)
    await broken_world.server.remove("featurerollouts", "shop", "search")
    broken_world.wake()
    await broken_world.until(lambda: ("featurerollouts", "shop", "search") not in broken_world.server.store.objects)
    assert broken_world.is_off() or how == "in any case"


# queries that no parser survives


async def test_a_gate_nested_a_thousand_deep_is_refused_and_the_last_valid_rules_stay_armed(world: Operated) -> None:
    await world.put(gates=[raw_gate(query=NESTED)])
    await world.until(lambda: world.condition("Stalled").get("reason") == "InvalidQuery")
    assert "spec.gates[0].query (gate errors): has more than 50 brackets" in world.condition("Stalled")["message"]
    await world.put("banner", "banner")
    await world.until(lambda: world.is_at(10, "banner"))
    world.dial.value = 1.0
    await world.until(world.is_rolled_back)
    assert world.is_off()


async def test_a_guard_nested_a_thousand_deep_is_refused_and_every_rollout_can_be_switched_off(world: Operated) -> None:
    await world.server.put("rolloutpolicies", "", {"metadata": {"name": "production"}, "spec": {"guards": [raw_gate(query=NESTED)]}})
    world.wake()
    await world.until(lambda: world.condition("Stalled").get("reason") == "PolicyInvalid")
    assert "spec.guards[0].query (gate errors): has more than 50 brackets" in world.condition("Stalled")["message"]
    await world.put(enabled=False)
    await world.until(world.is_off)
    await world.server.remove("featurerollouts", "shop", "search")
    world.wake()
    await world.until(lambda: ("featurerollouts", "shop", "search") not in world.server.store.objects)
