"""Flags that can't be written: what people did to them must not keep a rollback back, and where it does, status says so."""

import json
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import admission
from tests.fakes.apiserver import ApiServer, Fault
from tests.operated import FLAGS, Operated, operated
from tidegate.levers.flag.flag_set import EPOCH_ANNOTATION, MAX_DOCUMENT_BYTES

DENIED = 'admission webhook "flags.example.com" denied the request: no changes on Fridays'


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with ApiServer.running() as running:
        running.admission["configmaps"] = (admission.problem, admission.stale)
        yield running


@pytest.fixture
async def world(server: ApiServer, tmp_path: Path) -> AsyncIterator[Operated]:
    async with operated(server, tmp_path) as world:
        yield world


async def refuse(world: Operated, how: str) -> str:
    """The sentence of the API server."""
    if how == "immutable":
        await world.server.put("configmaps", "shop", {"metadata": {"name": FLAGS}, "immutable": True})
        world.wake()
        return "data: Forbidden: field is immutable when `immutable` is set"
    world.server.faults.append(Fault("patch", "configmaps", status=403, reason="Forbidden", message=DENIED, times=1000))
    return DENIED


async def allow(world: Operated, how: str) -> None:
    """What a person does about it. An immutable ConfigMap has to be made anew."""
    world.server.faults.clear()
    if how == "immutable":
        before = world.flag_set()
        await world.server.remove("configmaps", "shop", FLAGS)
        metadata = {key: before["metadata"][key] for key in ("name", "labels", "annotations")}
        await world.server.put("configmaps", "shop", {"metadata": metadata, "data": before["data"]})
    world.wake()


@pytest.mark.thorough
@pytest.mark.parametrize("recovers", [False, True], ids=["still bad", "recovered"])
@pytest.mark.parametrize("how", ["immutable", "admission"])
async def test_a_rollback_that_is_refused_is_reported_once_and_made_when_it_can_be(world: Operated, how: str, recovers: bool) -> None:
    before = world.status()
    sentence = await refuse(world, how)
    world.dial.value = 1.0
    await world.until(lambda: world.condition("Stalled").get("reason") == "NotWritable")
    assert sentence in world.condition("Stalled")["message"]
    assert world.condition("Ready") | {"status": "False", "reason": "NotWritable"} == world.condition("Ready")
    await world.until(lambda: "pending" not in world.status())
    told, writes = world.status(), world.status_writes()
    assert (told["state"], told["phase"], told["percent"]) == ("ROLLBACK", "RollingBack", before["percent"])
    assert (world.shown(state="ROLLING_OUT"), world.shown(state="ROLLBACK")) == (None, 1)
    assert not world.is_off()
    await world.reconciled(4)
    assert world.status_writes() == writes
    if recovers:
        world.dial.value = 0.0
        await world.reconciled(4)
    await allow(world, how)
    await world.until(world.is_rolled_back)
    assert world.is_off()
    assert world.condition("Stalled")["reason"] == "RolledBack"
    assert world.shown(state="ROLLBACK") == 1


@pytest.mark.thorough
async def test_a_rollback_that_fails_is_not_forgotten_when_the_readings_recover(world: Operated) -> None:
    world.server.faults.append(Fault("patch", "configmaps", status=503, reason="ServiceUnavailable", times=1000))
    world.dial.value = 1.0
    await world.until(lambda: world.status().get("state") == "ROLLBACK")
    world.dial.value = 0.0
    await world.reconciled(4)
    await allow(world, "admission")
    await world.until(world.is_rolled_back)
    assert world.is_off()


@pytest.mark.thorough
async def test_metrics_go_on_showing_what_gates_read_while_nothing_can_be_written(world: Operated) -> None:
    await refuse(world, "admission")
    world.dial.value = 0.7
    where = {"namespace": "shop", "name": "search", "source": "rollout", "gate": "errors"}
    await world.until(lambda: world.registry.get_sample_value("tidegate_gate_value", where) == 0.7)
    world.dial.value = 0.8
    await world.until(lambda: world.registry.get_sample_value("tidegate_gate_value", where) == 0.8)


@pytest.mark.thorough
@pytest.mark.parametrize("epoch", ["9" * 18, "9" * 5000], ids=["18 digits", "5000 digits"])
async def test_no_epoch_that_people_write_keeps_a_rollback_back(world: Operated, epoch: str) -> None:
    """In the annotation, and in the mark of another flag; infinity is what JSON makes of a number that is too large."""

    def change(flags: dict[str, Any]) -> None:
        flags["other"] = world.flag() | {"metadata": world.flag()["metadata"] | {"uid": "u9", "epoch": math.inf}}

    await world.edit_document(change, annotations={EPOCH_ANNOTATION: epoch})
    world.dial.value = 1.0
    await world.until(world.is_rolled_back)
    assert world.is_off()


@pytest.mark.thorough
async def test_a_document_that_people_filled_takes_a_rollback_and_no_new_flag(world: Operated) -> None:
    padding = "x" * (MAX_DOCUMENT_BYTES + 20_000 - len(world.document()))
    await world.edit_document(lambda flags: flags.update(notes={"state": padding}))
    world.dial.value = 1.0
    await world.until(world.is_rolled_back)
    assert world.is_off()
    await world.put("other", "other")
    await world.until(lambda: world.condition("Stalled", "other").get("reason") == "NotWritable")
    assert "divide it among several ConfigMaps" in world.condition("Stalled", "other")["message"]
    assert "other" not in json.loads(world.document())["flags"]
