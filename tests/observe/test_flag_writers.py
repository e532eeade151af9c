"""Who wrote a flag set, as it is read from the API server."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.builders import KEY, after, marker, raw_spec, target
from tests.fakes.apiserver import ApiServer
from tidegate.act.fence import Fence
from tidegate.act.flag_sets import FlagSets
from tidegate.api.conditions import Reason
from tidegate.clients.kubernetes import Kubernetes
from tidegate.clients.prometheus import Prometheus
from tidegate.domain.decision import WriteFlag
from tidegate.domain.keys import Key, Kind
from tidegate.domain.snapshot import FlagReading, Problem
from tidegate.levers.flag import DOCUMENT_KEY, definition_for
from tidegate.levers.flag_set import EPOCH_ANNOTATION
from tidegate.observe.evidence import Evidence
from tidegate.observe.policies import Policies
from tidegate.observe.questions import Questions
from tidegate.observe.rollouts import Rollouts

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with ApiServer.running() as running:
        await running.put("featurerollouts", "shop", {"metadata": {"name": "search"}, "spec": raw_spec()})
        yield running


@pytest.fixture
async def kubernetes(server: ApiServer, tmp_path: Path) -> AsyncIterator[Kubernetes]:
    async with Kubernetes.connect(server.kubeconfig(tmp_path), time_limit=2.0) as client:
        yield client


@pytest.fixture
async def rollouts(kubernetes: Kubernetes) -> AsyncIterator[Rollouts]:
    async with Prometheus.connect() as prometheus:
        observed = Rollouts(kubernetes, Policies(kubernetes, "tidegate-system"), Questions(prometheus), Evidence(), lambda: NOW)
        writer = FlagSets(kubernetes, Fence(lambda: True).check, lambda: after(0), lambda stored: None)
        await writer.write("shop", WriteFlag("shop-flags", KEY, 25, definition_for(target(), 25), marker(epoch=0), None, True))
        yield observed


async def reading(rollouts: Rollouts) -> FlagReading | Problem:
    rollouts.flag_sets.forget(("shop", "shop-flags"))
    snapshot = await rollouts.snapshot(Key(Kind.FEATURE_ROLLOUT, "shop", "search"))
    assert snapshot is not None
    return snapshot.flag


async def people_write(server: ApiServer, text: str | None = None, **metadata: Any) -> None:
    data = {} if text is None else {DOCUMENT_KEY: text}
    await server.put("configmaps", "shop", {"metadata": {"name": "shop-flags", **metadata}, "data": data}, "kubectl-edit")


async def test_what_we_wrote_ourselves_has_no_other_writer(rollouts: Rollouts) -> None:
    found = await reading(rollouts)
    assert isinstance(found, FlagReading)
    assert (found.provenance.writer, found.provenance.intact, found.provenance.around) == (None, True, ())


async def test_labels_and_annotations_of_others_make_nobody_a_writer(rollouts: Rollouts, server: ApiServer) -> None:
    await people_write(server, labels={"team": "shop"}, annotations={"note": "mine"})
    found = await reading(rollouts)
    assert isinstance(found, FlagReading)
    assert (found.provenance.writer, found.provenance.around) == (None, ())


async def test_a_foreign_write_comes_with_its_manager_and_time(rollouts: Rollouts, server: ApiServer) -> None:
    document = json.loads(server.store.objects["configmaps", "shop", "shop-flags"]["data"][DOCUMENT_KEY])
    document["flags"][KEY]["defaultVariant"] = "on"
    await people_write(server, json.dumps(document))
    found = await reading(rollouts)
    assert isinstance(found, FlagReading)
    assert found.provenance.writer is not None
    assert found.provenance.writer.manager == "kubectl-edit"
    assert found.provenance.writer.at is not None
    assert not found.provenance.intact


async def test_a_changed_epoch_comes_with_its_manager_too(rollouts: Rollouts, server: ApiServer) -> None:
    await people_write(server, annotations={EPOCH_ANNOTATION: "70"})
    found = await reading(rollouts)
    assert isinstance(found, FlagReading)
    assert found.provenance.writer is not None
    assert (found.provenance.writer.manager, found.provenance.around) == ("kubectl-edit", ("epoch 1 → 70",))


async def test_a_document_that_can_not_be_read_names_who_wrote_it(rollouts: Rollouts, server: ApiServer) -> None:
    await people_write(server, "{")
    found = await reading(rollouts)
    assert isinstance(found, Problem)
    assert found.reason is Reason.FLAG_SET_UNREADABLE
    assert ", last written by kubectl-edit; mend it by hand" in found.message
