"""Bad input is refused by the API server itself, with a sentence that names the field and what is wrong with it."""

import contextlib
from typing import Any

import pytest

from tests.e2e import invalid_gates, invalid_policies, invalid_rollouts
from tests.e2e.support.api import Api, Json, RefusedError, eventually
from tests.e2e.support.host_operator import account_of, grant, token_of
from tests.e2e.support.installation import Cluster
from tests.e2e.support.world import World


def rollout(changes: dict[str, Any], name: str = "bad-input") -> Json:
    spec = {"target": {"flag": {"key": "k", "configMap": "flags"}}, "strategy": {"canary": {"percents": [50, 100], "dwell": "1m"}}}
    full = {key: value for key, value in (spec | changes).items() if value is not None}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": full}


def policy(changes: dict[str, Any]) -> Json:
    spec = {key: value for key, value in ({"prometheus": {"url": "http://prometheus"}} | changes).items() if value is not None}
    return {"metadata": {"name": "bad-input"}, "spec": spec}


async def refusal(api: Api, kind: str, body: Json) -> str:
    with pytest.raises(RefusedError) as refused:
        await api.create(kind, body, dry_run=True)
    return refused.value.message


REPRESENTATIVE = frozenset(
    {
        "no flag in the target",
        "a key both allowed and denied",
        "percents that fall",
        "a step inside the holdback",
        "a query and a count",
        "advance above rollback",
        "a template with thresholds",
        "an unknown field",
        "no Prometheus",
        "a guard without thresholds",
        "the short form",
        "bounds that touch",
        "everything at once",
    }
)
"""The others are tried by `make proof`."""


def case(name: str, *values: object) -> Any:
    return pytest.param(*values, id=name, marks=[] if name in REPRESENTATIVE else pytest.mark.proof)


def named(cases: tuple[invalid_rollouts.Case, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("changes", "words"), [case(*one) for one in cases])


@named(invalid_rollouts.CASES + invalid_gates.ROLLOUTS)
async def test_an_invalid_rollout_is_refused(api: Api, changes: dict[str, Any], words: tuple[str, ...]) -> None:
    message = await refusal(api, "featurerollouts", rollout(changes))
    assert all(word in message for word in words), message


@named(invalid_policies.CASES + invalid_gates.POLICIES)
async def test_an_invalid_policy_is_refused(api: Api, changes: dict[str, Any], words: tuple[str, ...]) -> None:
    message = await refusal(api, "rolloutpolicies", policy(changes))
    assert all(word in message for word in words), message


async def test_a_name_that_can_not_be_a_label_is_refused(api: Api) -> None:
    message = await refusal(api, "featurerollouts", rollout({}, name="n" * 64))
    assert "metadata.name must have at most 63 characters" in message


VALID: dict[str, dict[str, Any]] = {
    **invalid_gates.VALID,
    "the short form": {},
    "one step": invalid_rollouts.canary(percents=[100], dwell="1s"),
    "32 steps": invalid_rollouts.canary(percents=[*range(1, 32), 100], dwell="999999d"),
    "bounds that touch": invalid_rollouts.gate(advance={"lt": 0.1}, rollback={"gt": 0.1, "for": "1s"}),
    "closed bounds that touch": invalid_rollouts.gate(advance={"gte": 0.2}, rollback={"lte": 0.2}),
    "a band": invalid_rollouts.gate(advance={"gt": 0.4, "lt": 0.6}, rollback={"lt": 0.3, "gt": 0.7}),
    "whole numbers": invalid_rollouts.gate(advance={"lt": 1}, rollback={"gt": 2}),
    "negative and tiny": invalid_rollouts.gate(advance={"lt": -1e-9}, rollback={"gt": 0}),
    "advance above a low floor": invalid_rollouts.gate(advance={"lt": 1}, rollback={"lt": 0.4}),
    "a rule that only rolls back": {"gates": [{"name": "errors", "query": "x", "rollback": {"gt": 1}}]},
    "a slash in the key": invalid_rollouts.flag(key="shop/new_search.v2"),
    "no bake": {"bake": "0s"},
    "a segment of all that fits": invalid_rollouts.segment(
        *({"attribute": f"{'a' * 62}{n}", "in": [f"{m:0128}" for m in range(64)]} for n in range(8))
    ),
    "a segment by an odd name": invalid_rollouts.tier(attribute="_tier-2"),
    "a segment by targeting key": invalid_rollouts.tier(attribute="targetingKey"),
    "the shortest lease": invalid_rollouts.flag(leaseSeconds=60),
    "the longest lease": invalid_rollouts.flag(leaseSeconds=86_400),
    "the largest holdback": invalid_rollouts.held_back(percents=[49, 100], holdback=50),
    "a holdback of nothing": invalid_rollouts.held_back(percents=[99, 100], holdback=0),
    "a step right below the holdback": invalid_rollouts.held_back(percents=[94, 100], holdback=5),
    "one step and a holdback": invalid_rollouts.held_back(percents=[100], holdback=5),
    "everything at once": invalid_rollouts.flag(
        allow=["alice"], deny=["bob"], segment=[{"attribute": "tier", "in": ["pro"]}], leaseSeconds=900
    ),
}


@pytest.mark.parametrize("changes", [case(*one) for one in VALID.items()])
async def test_a_valid_edge_is_accepted(api: Api, changes: dict[str, Any]) -> None:
    await api.create("featurerollouts", rollout(changes), dry_run=True)


async def test_an_object_that_nobody_has_looked_at_says_so(api: Api) -> None:
    created = await api.create("featurerollouts", rollout({}), dry_run=True)
    assert created["status"] == {"observedGeneration": -1}


@pytest.mark.parametrize(("field", "value"), [("key", "other"), ("configMap", "other")])
async def test_what_a_rollout_moves_can_not_be_changed(api: Api, field: str, value: str) -> None:
    body = rollout({}, name=f"immutable-{field.lower()}")
    await api.create("featurerollouts", body)
    try:
        with pytest.raises(RefusedError, match=f"spec.target.flag.{field}.*is immutable: delete this rollout"):
            await api.patch("featurerollouts", "default", body["metadata"]["name"], {"spec": {"target": {"flag": {field: value}}}})
    finally:
        await api.delete("featurerollouts", "default", body["metadata"]["name"])


async def test_a_record_can_not_be_rewritten(world: World, api: Api, cluster: Cluster) -> None:
    """Not even by the operator's own account, whom the chart's policy lets write, and not even where RBAC would let it too."""
    await world.policy()
    await world.rollout(canary={"percents": [100], "dwell": "1s"}, bake="1s", revision="v1")
    run = (await world.until(phase="Succeeded", pending=None))["run"]
    namespace, account = await account_of(api, "operator")
    rules = [{"apiGroups": ["tidegate.io"], "resources": ["rolloutruns"], "verbs": ["patch"]}]
    await grant(api, world.namespace, namespace, account, rules)
    before = await api.get("rolloutruns", world.namespace, run)
    async with Api.connect(cluster.kubeconfig, await token_of(api, namespace, account)) as operator:

        async def allowed() -> bool:
            with contextlib.suppress(RefusedError):
                return bool(await operator.patch("rolloutruns", world.namespace, run, {"metadata": {"labels": {"kept": "yes"}}}))
            return False

        await eventually("the account may write the run", allowed, 20)
        for spec in ({"rollout": "other"}, {"revision": "v2"}, {"revision": None}, {"previous": {"name": "other-1"}}):
            with pytest.raises(RefusedError, match="spec is immutable: a RolloutRun is a record"):
                await operator.patch("rolloutruns", world.namespace, run, {"spec": spec})
    assert (await api.get("rolloutruns", world.namespace, run))["spec"] == before["spec"]
