"""What reaches logs and Events of a rollout that stands still: once each, and not again after a restart."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tests.operated import KEY, Operated
from tidegate.app import assemble
from tidegate.clients.kubernetes import Kubernetes
from tidegate.domain.keys import Key, Kind
from tidegate.settings import OperatorSettings

OTHER = "banner"


def events(world: Operated, name: str = OTHER, kind: str = "FeatureRollout") -> list[tuple[str, str]]:
    found = [body for (plural, _, _), body in world.server.store.objects.items() if plural == "events"]
    about = [one for one in found if (one["regarding"]["kind"], one["regarding"]["name"]) == (kind, name)]
    return [(one["type"], one["reason"]) for one in sorted(about, key=lambda one: str(one["eventTime"]))]


def lines(caplog: pytest.LogCaptureFixture, *reasons: str) -> list[tuple[str, str]]:
    found = ((one.levelname, one.getMessage().partition(": ")[0]) for one in caplog.records if one.name.startswith("tidegate.report"))
    return [one for one in found if one[1] in reasons]


@pytest.fixture(autouse=True)
def info(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.INFO):
        yield


async def reconciled(world: Operated, times: int = 3) -> None:
    for _ in range(times):
        world.wake(OTHER)
        await world.reconciled(1)


async def test_a_missing_policy_is_reported_once_and_its_end_once(world: Operated, caplog: pytest.LogCaptureFixture) -> None:
    await world.put(OTHER, OTHER, policyRef={"name": "absent"})
    await world.until(lambda: ("Warning", "PolicyMissing") in events(world))
    await reconciled(world)
    assert events(world).count(("Warning", "PolicyMissing")) == 1
    assert lines(caplog, "PolicyMissing") == [("WARNING", "PolicyMissing")]
    await world.put(OTHER, policyRef={"name": "production"})
    await world.until(lambda: world.is_at(10, OTHER))
    assert [line for line in lines(caplog, "Waiting") if line[0] == "INFO"] == [("INFO", "Waiting")], "an edited reference counts at once"


async def test_another_leader_reports_nothing_anew(world: Operated, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    await world.put(OTHER, OTHER, policyRef={"name": "absent"})
    await world.until(lambda: ("Warning", "PolicyMissing") in events(world) and world.status(OTHER).get("phase") == "Pending")
    await world.parts.queue.drain(5.0)
    caplog.clear()
    async with Kubernetes.connect(world.server.kubeconfig(tmp_path)) as kubernetes:
        settings = OperatorSettings(own_namespace="tidegate", candidate="another", workers=2)
        parts = assemble(kubernetes, world.dial, CollectorRegistry(), lambda: True, settings)
        working = asyncio.create_task(parts.queue.run())
        world.parts = parts
        await reconciled(world, 2)
        await parts.queue.drain(5.0)
        await working
    assert lines(caplog, "PolicyMissing") == []
    assert events(world).count(("Warning", "PolicyMissing")) == 1


async def test_a_rollback_is_a_warning_in_the_log_and_one_event(world: Operated, caplog: pytest.LogCaptureFixture) -> None:
    world.dial.value = 0.9
    await world.tick(world.is_rolled_back)
    await world.until(lambda: ("Warning", "RolledBack") in events(world, KEY.name))
    assert lines(caplog, "RolledBack") == [("WARNING", "RolledBack")]
    assert events(world, KEY.name).count(("Warning", "RolledBack")) == 1, "the record's; the condition says no more"
    stalled, waiting = world.condition("Stalled")["message"], world.status()["waitingFor"]
    assert stalled == waiting
    assert stalled.startswith("gate errors: 0.9 (advance < 0.1, rollback > 0.15 on 2 samples) since 20")
    assert stalled.endswith("Set spec.revision to a new value, or raise spec.retry to try again: this one stays rejected")


async def test_what_an_external_writer_changes_is_a_warning_in_the_log(world: Operated, caplog: pytest.LogCaptureFixture) -> None:
    await world.edit_document(lambda flags: flags["new-search"].update(defaultVariant="on"))
    await world.until(lambda: ("WARNING", "Drifted") in lines(caplog, "Drifted"))
    await world.until(lambda: ("Warning", "Drifted") in events(world, KEY.name))


async def test_an_edit_is_recorded_with_field_values_and_author(world: Operated, caplog: pytest.LogCaptureFixture) -> None:
    await world.put(strategy={"canary": {"dwell": "2h"}})
    await world.until(lambda: lines(caplog, "SpecEdited"))
    run = world.server.store.objects["rolloutruns", KEY.namespace, "search-1"]["status"]
    (edited,) = (one for one in run["records"] if one["transition"] == "SpecEdited")
    assert (edited["actor"], edited["message"]) == ("somebody", "spec edited: strategy.canary.dwell 1h → 2h (generation 2)")
    assert run["count"] == len(run["records"])


async def test_a_policy_whose_secret_is_missing_is_not_ready_and_says_so_in_event_and_log(
    world: Operated, caplog: pytest.LogCaptureFixture
) -> None:
    prometheus = {"url": "http://prometheus:9090", "secretRef": {"name": "token", "key": "token"}}
    await world.server.put("rolloutpolicies", "", {"metadata": {"name": "guarded"}, "spec": {"prometheus": prometheus}})
    await _reconcile_policy(world, "guarded")
    await world.until(lambda: events(world, "guarded", "RolloutPolicy"))
    assert events(world, "guarded", "RolloutPolicy") == [("Warning", "CredentialsMissing")]
    said = {one["type"]: (one["status"], one["reason"]) for one in _policy(world, "guarded")["status"]["conditions"]}
    assert said == {
        "Ready": ("False", "CredentialsMissing"),
        "Stalled": ("True", "CredentialsMissing"),
        "MetricsAvailable": ("False", "CredentialsMissing"),
    }
    assert ("WARNING", "CredentialsMissing") in lines(caplog, "CredentialsMissing")


async def test_a_line_for_each_reconcile_says_what_was_read_and_decided(world: Operated, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="tidegate.loop.rollout_handler")

    def is_said() -> bool:
        said = (one.getMessage() for one in caplog.records if one.name == "tidegate.loop.rollout_handler" and one.levelno == logging.DEBUG)
        return any(
            line.startswith(
                "read: generation 1, Progressing in attempt 1 at 10 %, policy production of generation 1, the target shows 10 %; "
            )
            and "decided: Progressing in attempt 1 at 10 %, rollout errors ADVANCE at 0; again in " in line
            for line in said
        )

    await world.tick(is_said)  # right after the step its gate holds: the sample is from before


async def test_of_a_rollout_that_has_succeeded_nothing_holds_the_object(world: Operated) -> None:
    await world.put(strategy={"canary": {"percents": [10, 100], "dwell": "1s"}}, bake="0s", gates=[])
    await world.tick(lambda: world.status().get("phase") == "Succeeded" and "pending" not in world.status())
    await world.until(lambda: not _rollout(world)["metadata"].get("finalizers"))
    await world.server.remove("featurerollouts", KEY.namespace, KEY.name)
    assert ("featurerollouts", KEY.namespace, KEY.name) not in world.server.store.objects
    assert not world.is_off()


async def _reconcile_policy(world: Operated, name: str) -> None:
    world.parts.enqueue(Key(Kind.ROLLOUT_POLICY, "", name))
    await world.until(lambda: "status" in _policy(world, name))


def _policy(world: Operated, name: str) -> dict[str, Any]:
    return world.server.store.objects["rolloutpolicies", "", name]


def _rollout(world: Operated) -> dict[str, Any]:
    return world.server.store.objects["featurerollouts", KEY.namespace, KEY.name]
