"""RolloutRuns that take no records: nothing rises, what has to fall falls, and the object says why until they are written."""

from datetime import timedelta

import pytest

from tests.fakes.apiserver import Fault
from tests.operated import KEY, Operated

DENIED = "rolloutruns \"search-1\" is forbidden: ValidatingAdmissionPolicy 'freeze' with binding 'freeze' denied request: no records today"
FAILING = 'Internal error occurred: failed calling webhook "runs.example.com": connection refused'


def refuse(world: Operated) -> None:
    world.server.faults += [
        Fault(verb, "rolloutruns", status=403, reason="Forbidden", message=DENIED, times=10**6) for verb in ("create", "patch")
    ]


async def allow(world: Operated) -> None:
    world.server.faults.clear()
    world.wake()
    await world.until(lambda: "pending" not in world.status())


def told(world: Operated) -> dict[str, str]:
    """The reason of each condition that somebody has to look at."""
    bad = {"Ready": "False", "Stalled": "True", "Unrecorded": "True"}
    return {one["type"]: one["reason"] for one in world.status()["conditions"] if one["status"] == bad.get(one["type"])}


def recorded(world: Operated) -> list[str]:
    run = world.server.store.objects["rolloutruns", KEY.namespace, "search-1"]
    return [one["transition"] for one in run["status"]["records"]]


def events(world: Operated) -> list[str]:
    found = [body for (plural, _, _), body in world.server.store.objects.items() if plural == "events"]
    return [f"{one['type']} {one['reason']}" for one in sorted(found, key=lambda one: str(one["eventTime"]))]


async def decided(world: Operated) -> None:
    """The next step is due, and its record is refused."""
    await world.put(strategy={"canary": {"dwell": "6s"}})
    await world.until(lambda: recorded(world)[-1] == "SpecEdited" and "pending" not in world.status())
    refuse(world)
    await world.tick(lambda: told(world) and "StepWithdrawn" in str(world.status().get("pending")))


NOT_RECORDED = {"Ready": "NotRecorded", "Stalled": "NotRecorded", "Unrecorded": "NotRecorded"}


async def test_a_raise_waits_and_says_for_whom(world: Operated) -> None:
    await decided(world)
    assert told(world) == NOT_RECORDED
    assert "denied request: no records today" in world.condition("Unrecorded")["message"]
    assert "let the operator's account create rolloutruns" in world.condition("Unrecorded")["message"]
    assert world.condition("Unrecorded")["message"] in world.status()["waitingFor"]
    assert world.status()["percent"] == 10
    labels = {"namespace": "shop", "name": "search", "type": "Unrecorded", "reason": "NotRecorded"}
    assert world.registry.get_sample_value("tidegate_rollout_condition", labels) == 1
    writes = world.status_writes()
    await world.reconciled(4)
    assert world.status_writes() == writes, "told once"
    await allow(world)
    await world.tick(lambda: world.is_at(50))
    assert told(world) == {}
    assert recorded(world)[3:] == ["SpecEdited", "StepDecided", "StepWithdrawn", "StepDecided", "StepEffective"]
    await world.until(lambda: "Normal StepEffective" in events(world)[-1:])
    assert [one for one in events(world) if one.endswith("NotRecorded")] == ["Warning NotRecorded"]


async def test_a_rollback_is_made_reported_and_recorded_later(world: Operated) -> None:
    refuse(world)
    world.dial.value = 1.0
    await world.tick(lambda: world.status().get("phase") == "RolledBack" and told(world).get("Unrecorded"))
    assert world.is_off()
    assert told(world) == {"Ready": "RolledBack", "Stalled": "RolledBack", "Unrecorded": "NotRecorded"}
    await world.until(lambda: {"Warning RolledBack", "Warning NotRecorded"} <= set(events(world)))
    await allow(world)
    await world.until(lambda: told(world) == {"Ready": "RolledBack", "Stalled": "RolledBack"})
    assert recorded(world)[-1] == "RolledBack"


async def test_what_is_switched_off_says_so_too(world: Operated) -> None:
    refuse(world)
    await world.put(enabled=False)
    await world.until(lambda: world.status().get("phase") == "Disabled" and world.status().get("percent") == 0 and told(world))
    assert told(world) == NOT_RECORDED
    await world.reconciled(3)
    assert told(world) == NOT_RECORDED
    await allow(world)
    await world.until(lambda: told(world) == {})
    assert recorded(world)[-2:] == ["Disabled", "SpecEdited"]


async def test_a_deletion_waits_for_its_records_and_says_so(world: Operated) -> None:
    refuse(world)
    await world.put(enabled=False)
    await world.until(lambda: told(world))
    await world.server.remove("featurerollouts", KEY.namespace, KEY.name)
    world.wake()
    await world.reconciled(2)
    assert told(world) == NOT_RECORDED
    assert "the object isn't let go" in world.condition("Ready")["message"]
    world.server.faults.clear()
    world.wake()
    await world.until(lambda: ("featurerollouts", KEY.namespace, KEY.name) not in world.server.store.objects)
    assert recorded(world)[-2:] == ["Disabled", "SpecEdited"]


@pytest.mark.parametrize("patience", [0, 600])
async def test_a_webhook_that_is_down_is_reported_once_it_has_been_so_for_long(
    world: Operated, monkeypatch: pytest.MonkeyPatch, patience: float
) -> None:
    monkeypatch.setattr("tidegate.domain.recording.PATIENCE", timedelta(seconds=patience))
    world.server.faults.append(Fault("patch", "rolloutruns", status=500, message=FAILING, times=10**6))
    await world.put(enabled=False)
    await world.until(lambda: world.status().get("phase") == "Disabled" and world.status().get("percent") == 0)
    await world.reconciled(3)
    assert told(world) == (NOT_RECORDED if patience == 0 else {})
    assert (FAILING in str(world.condition("Unrecorded"))) is (patience == 0)
