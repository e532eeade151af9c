"""A Prometheus that doesn't answer, or asks for credentials that aren't there: said by rollout and policy, and nothing moves."""

import base64
from collections.abc import AsyncIterator

import pytest

from tests.e2e.support import witness
from tests.e2e.support.api import Api, Json
from tests.e2e.support.fake import FakePrometheus
from tests.e2e.support.installation import OPERATOR_NAMESPACE
from tests.e2e.support.world import PROMETHEUS, QUICK, World

NOBODY_LISTENS = "http://127.0.0.1:9"


@pytest.fixture
async def secret(api: Api, world: World) -> AsyncIterator[str]:
    """The name of a Secret that doesn't exist yet, in the operator's namespace; removed if the test makes it."""
    yield world.namespace
    await api.delete("secrets", OPERATOR_NAMESPACE, world.namespace)


def secret_body(name: str, **values: str) -> Json:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {"metadata": {"name": name, "namespace": OPERATOR_NAMESPACE}, "data": data}


async def test_an_unreachable_prometheus_holds_and_is_told(world: World) -> None:
    """Also past the deadline for missing data: a source that is down takes nothing back."""
    await world.exposed(noData={"deadline": "1s", "then": "rollback"})
    assert (await world.condition("feature", "MetricsAvailable", "Answering"))["status"] == "True"
    async with world.traced() as trace:
        await world.edit_policy(prometheus={"url": NOBODY_LISTENS})
        told = await world.condition("feature", "MetricsAvailable", "PrometheusUnreachable")
        assert told["status"] == "False"
        assert "Connect call failed" in told["message"]
        for kind in ("MetricsAvailable", "Ready"):
            assert (await world.policy_condition(kind, "PrometheusUnreachable"))["status"] == "False"
        assert [event["type"] for event in await world.events("PrometheusUnreachable")] == ["Warning"]
        await world.hasten()
        await witness.climbs(world, "2s")
        status = await world.until(phase="Progressing", state="ROLLING_OUT", percent=10)
        assert "gate errors has no data (" in status["waitingFor"]
        ready = await world.condition("feature", "Ready", "Progressing")
        assert ready["status"] == "True", "it is under control: it holds"
        assert "the source of metrics gives no answer" in ready["message"]
        await world.edit_policy(prometheus={"url": PROMETHEUS})
        await world.succeeded()
    assert trace.percents == [10, 50, 100]
    await world.policy_condition("Ready", "Valid", seconds=90)  # looked at every ten seconds


async def test_an_unreachable_prometheus_never_lets_a_guarded_rollout_begin(world: World) -> None:
    await world.policy(url=NOBODY_LISTENS, guards=[world.gate("uptime", rollback={"lt": 0.99})])
    async with world.traced() as trace:
        await world.rollout(canary=QUICK)
        await world.condition("feature", "MetricsAvailable", "PrometheusUnreachable")
        await witness.climbs(world)
        status = await world.until(phase="Waiting", state="DISABLED", percent=0)
        assert "guard uptime has no data (" in status["waitingFor"]
    assert trace.highest() == 0


async def test_credentials_are_waited_for_and_sent(world: World, fake: FakePrometheus, secret: str) -> None:
    await world.measured("errors", 0)
    await world.policy(secretRef={"name": secret, "key": "token"})
    await world.rollout(canary=QUICK, gates=[world.errors()])
    stalled = await world.condition("feature", "Stalled", "CredentialsMissing")
    assert f"Secret {secret} with key token is not in namespace {OPERATOR_NAMESPACE}" in stalled["message"]
    assert (await world.policy_condition("MetricsAvailable", "CredentialsMissing"))["status"] == "False"
    await witness.climbs(world)
    assert (await world.status())["phase"] == "Pending"
    assert await fake.asked() == [], "nothing is asked without the credentials that belong to the question"
    await world.api.create("secrets", secret_body(secret, token="s3cr3t-of-the-test\n"))
    await world.succeeded(seconds=90)
    asked = await fake.asked()
    assert {one.authorization for one in asked} == {"Bearer s3cr3t-of-the-test"}
    everything = str([await world.api.get("featurerollouts", world.namespace, "feature"), await world.records()])
    assert "s3cr3t" not in everything


async def test_a_tenants_header_and_a_password_are_sent(world: World, fake: FakePrometheus, secret: str) -> None:
    await world.measured("errors", 0)
    await world.api.create("secrets", secret_body(secret, username="tidegate", password="s3cr3t", tenant="team-a"))
    headers = [{"name": "X-Scope-OrgID", "secretRef": {"name": secret, "key": "tenant"}}, {"name": "X-Team", "value": "shop"}]
    await world.policy(basicAuth={"name": secret}, headers=headers)
    await world.rollout(canary=QUICK, gates=[world.errors()])
    await world.succeeded()
    asked = await fake.asked()
    pair = base64.b64encode(b"tidegate:s3cr3t").decode()
    assert {(one.authorization, one.tenant, one.team) for one in asked} == {(f"Basic {pair}", "team-a", "shop")}


async def test_a_secret_without_the_key_is_told_as_missing(world: World, secret: str) -> None:
    await world.api.create("secrets", secret_body(secret, other="x"))
    await world.policy(secretRef={"name": secret, "key": "token"})
    await world.rollout(canary=QUICK)
    assert "with key token" in (await world.condition("feature", "Stalled", "CredentialsMissing"))["message"]
