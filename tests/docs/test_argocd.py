"""Argo CD's health checks, run by a Lua interpreter over objects as the operator leaves them; and the differences that it is to ignore."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from lupa.lua51 import LuaRuntime

from tests.builders import T0, policy, raw_gate, stalled_for
from tests.decide.world import World
from tests.docs.blocks import fences
from tidegate.api.conditions import Reason
from tidegate.api.rollout_policy import RolloutPolicySpec, RolloutPolicyStatus
from tidegate.api.rollout_status import Phase
from tidegate.decide.policy import decide_policy
from tidegate.domain.answers import Failure
from tidegate.domain.policy_view import PolicyView
from tidegate.domain.problems import Problem
from tidegate.domain.snapshot import Policy
from tidegate.levers.flag.flag_set import DOCUMENT_KEY

Json = dict[str, Any]
PATCH = yaml.safe_load((Path(__file__).resolve().parents[2] / "examples/argocd/argocd-cm.yaml").read_text())
KEPT_FROM_SCRIPTS = ("string", "math", "io", "debug", "coroutine", "python")
"""Libraries that Argo CD gives no script of its ConfigMap, and what is lupa's own."""


def health(kind: str, body: Json) -> tuple[str, str]:
    """(status, message) that Argo CD shows of an object."""
    lua = LuaRuntime()
    for name in KEPT_FROM_SCRIPTS:
        lua.globals()[name] = None
    lua.globals().obj = lua.table_from(body, recursive=True)
    found = lua.execute(PATCH["data"][f"resource.customizations.health.tidegate.io_{kind}"])
    return str(found.status), str(found.message)


def test_the_only_difference_that_is_ignored_is_the_document_of_a_rollout_s_flag_set() -> None:
    (application,) = (body for block in fences() if "kind: Application" in block.text for body in yaml.safe_load_all(block.text))
    (ignored,) = application["spec"]["ignoreDifferences"]
    (rollout,) = (
        yaml.safe_load(block.text) for block in fences() if block.file == "docs/argocd.md" and "kind: FeatureRollout" in block.text
    )
    assert (ignored["kind"], ignored["name"]) == ("ConfigMap", rollout["spec"]["target"]["flag"]["configMap"])
    assert ignored["jsonPointers"] == [f"/data/{DOCUMENT_KEY}"]
    assert "RespectIgnoreDifferences=true" in application["spec"]["syncPolicy"]["syncOptions"]


def fallen() -> World:
    world = World.at(50, gates=[raw_gate()])
    world.fall()
    return world


def lowered() -> World:
    world = World.at(50)
    world.turn(10)
    world.run(5)
    return world


def paused() -> World:
    world = World.at(10)
    world.edit(paused=True)
    world.run(5)
    return world


def disabled() -> World:
    world = World.at(10)
    world.edit(enabled=False)
    world.run(5)
    return world


def invalid() -> World:
    world = World.at(10)
    world.edit(strategy={"canary": {"percents": [10, 50, 100], "dwell": "60s", "holdback": 50}})
    world.run(5)
    return world


def without_policy() -> World:
    world = World()
    world.policy = Problem(Reason.POLICY_MISSING, "there is no RolloutPolicy production")
    world.run(5)
    return world


@pytest.mark.parametrize(
    ("made", "status", "message"),
    [
        (lambda: World.at(10), "Healthy", "Progressing at 10 %: the dwell of 10 % ends at "),
        (lambda: World.at(Phase.BAKING), "Healthy", "Baking at 100 %"),
        (lambda: World.at(Phase.SUCCEEDED), "Healthy", "Succeeded at 100 %"),
        (paused, "Healthy", "Paused at 10 %: paused by spec.paused; "),
        (disabled, "Healthy", "Disabled at 0 %"),
        (fallen, "Degraded", "RolledBack: gate errors: 0.9 "),
        (lowered, "Degraded", "LoweredElsewhere: "),
        (invalid, "Degraded", "InvalidSpec: "),
        (without_policy, "Degraded", "PolicyMissing: there is no RolloutPolicy production"),
    ],
    ids=["climbs", "bakes", "succeeded", "paused", "disabled", "rolled back", "turned down", "invalid", "no policy"],
)
def test_a_rollout_is_degraded_where_a_person_is_needed_and_healthy_however_long_it_moves(
    made: Callable[[], World], status: str, message: str
) -> None:
    world = made()
    assert (stalled_for(world.status) is None) == (status == "Healthy")
    found = health("FeatureRollout", world.raw)
    assert found[0] == status
    assert found[1].startswith(message)


def test_a_rollout_progresses_until_its_spec_was_seen_and_while_it_is_deleted() -> None:
    world = World.at(10)
    world.edit(revision="v2")
    assert health("FeatureRollout", world.raw) == ("Progressing", "waits for Tidegate to see this spec")
    world.run(5)
    assert health("FeatureRollout", world.raw)[0] == "Healthy"
    world.raw["metadata"]["deletionTimestamp"] = "2026-12-01T09:00:00Z"
    assert health("FeatureRollout", world.raw) == ("Progressing", "is being deleted")


@pytest.mark.parametrize("status", [None, {"observedGeneration": -1}])
@pytest.mark.parametrize("kind", ["FeatureRollout", "RolloutPolicy"])
def test_what_nobody_has_seen_is_not_healthy(kind: str, status: Json | None) -> None:
    body: Json = {"metadata": {"generation": 1}, "spec": {}} | ({} if status is None else {"status": status})
    assert health(kind, body)[0] == "Progressing"


def policy_body(given: Policy | Problem, source: Failure | None = None, **spec: Any) -> Json:
    view = PolicyView("production", "u", 1, "1", given, source, RolloutPolicyStatus())
    status, _ = decide_policy(view, T0)
    RolloutPolicySpec.model_validate({"prometheus": {"url": "http://prometheus:9090"}, **spec})
    return {"metadata": {"generation": 1}, "spec": spec, "status": status.to_wire()}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (policy_body(policy()), ("Healthy", "valid")),
        (policy_body(policy(), suspend={"reason": "freeze until Monday"}), ("Healthy", "suspended: freeze until Monday")),
        (
            policy_body(policy(), Failure(Reason.PROMETHEUS_UNREACHABLE, "connection refused")),
            ("Healthy", "PrometheusUnreachable: connection refused"),
        ),
        (policy_body(Problem(Reason.POLICY_INVALID, "not valid PromQL")), ("Degraded", "PolicyInvalid: not valid PromQL")),
    ],
    ids=["valid", "suspended", "source away", "invalid"],
)
def test_a_policy_is_degraded_where_it_can_not_be_used(body: Json, expected: tuple[str, str]) -> None:
    assert health("RolloutPolicy", body) == expected
