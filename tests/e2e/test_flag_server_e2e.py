"""The installed flag server as applications use it: OpenFeature's flagd provider in process, and OFREP."""

import asyncio
import json
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from openfeature import api as openfeature
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode

from tests.e2e.support.api import Json, RefusedError, eventually
from tests.e2e.support.application import USERS, connected, share
from tests.e2e.support.exposure import sees
from tests.e2e.support.flag_sets import FLAG_SET, ON_OFF
from tests.e2e.support.installation import OPERATOR_NAMESPACE, Cluster, once
from tests.e2e.support.pace import paced
from tests.e2e.support.port_forward import PortForward, port_forward
from tests.e2e.support.world import World

HELD = {"percents": [25, 50, 100], "dwell": "1h"}
SERVICE = "tidegate-flags"
CHANGES = 25


@pytest.fixture
def alone() -> Iterator[None]:
    """One such test at a time: what one does to the flag server's pods would disturb the other."""
    with once("tidegate-e2e-flag-server", Path(tempfile.gettempdir())):
        yield


@pytest.fixture
async def forward(cluster: Cluster) -> AsyncIterator[PortForward]:
    async with port_forward(cluster, OPERATOR_NAMESPACE, SERVICE, 8015) as forward:
        yield forward


async def becomes(client: OpenFeatureClient, percent: int, change: Coroutine[Any, Any, None], seconds: float = 60.0) -> list[int | None]:
    """Every percent that the client showed from before a change until it showed this one, each once."""
    shown = [await share(client)]
    await change

    async def check() -> bool:
        now = await share(client)
        if shown[-1:] != [now]:
            shown.append(now)
        return now == percent

    await eventually(f"the client shows {percent} %", check, seconds, every=0.02)
    return shown


async def test_an_application_sees_a_rollout_climb_and_fall(world: World, forward: PortForward, alone: None) -> None:
    await world.measured("errors", 0)
    await world.policy()
    await world.rollout(paused=True, gates=[world.errors()], bake="1h", flag_fields={"allow": ["alice"], "deny": ["bob"]})
    await world.until(phase="Waiting", percent=0)
    async with connected(forward.host, forward.port, world) as client:

        def value(user: str | None) -> bool:
            return client.get_boolean_value("feature", False, EvaluationContext(user))

        assert (value("alice"), value("bob"), value(None)) == (True, False, False)
        assert await becomes(client, 100, world.edit(paused=False)) == [0, 25, 50, 100]
        assert (value("alice"), value("bob"), value(None)) == (True, False, True), "at 100 % also those without a key"
        assert await becomes(client, 0, world.set("errors", 1)) == [100, 0]
        assert (value("alice"), value("bob"), value(None)) == (False, False, False)


async def test_an_application_keeps_its_flags_while_the_servers_are_away(world: World, forward: PortForward, alone: None) -> None:
    await world.exposed(canary=HELD)
    async with connected(forward.host, forward.port, world) as client:
        before = await pods(world)
        for pod in before:
            await world.api.delete("pods", OPERATOR_NAMESPACE, pod)

        async def replaced() -> bool:
            assert await share(client) == 25, "whoever has the flags keeps them"
            now = await pods(world)
            return not before & now.keys() and sum(now.values()) >= len(before)

        await eventually("other pods serve", replaced)
        assert await becomes(client, 0, world.edit(enabled=False)) == [25, 0]


async def pods(world: World) -> dict[str, bool]:
    """{name: whether it is ready} of the flag server's pods."""
    found = await world.api.list("pods", OPERATOR_NAMESPACE, "app.kubernetes.io/component=flags")
    conditions = {pod["metadata"]["name"]: (pod.get("status") or {}).get("conditions") or [] for pod in found}
    return {name: any((one["type"], one["status"]) == ("Ready", "True") for one in told) for name, told in conditions.items()}


async def test_a_change_reaches_applications_within_a_second(world: World, forward: PortForward, alone: None) -> None:
    """From the API server's answer to the write until the client gives the new value."""
    await world.make_flag_set(by_hand(on=False))
    async with connected(forward.host, forward.port, world) as client, paced(world) as pace:
        delays = []
        for number in range(CHANGES):
            on = number % 2 == 0
            await world.rewrite(by_hand(on=on))
            written = time.time()
            delays.append(max(0.0, await asyncio.to_thread(first_seen, client, on) - written))
    delays.sort()
    middle, worst = delays[len(delays) // 2], delays[-1]
    told = f"p50 {1000 * middle:.0f} ms, max {1000 * worst:.0f} ms; slack of this machine: {pace.slack:.2f} s"
    print(f"\nwrite → client over {CHANGES} changes: {told}")
    assert middle < 1 + pace.slack, delays
    assert worst < 5 + pace.slack, delays


def first_seen(client: OpenFeatureClient, on: bool) -> float:
    """The time at which the client first gave this value."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if client.get_boolean_value("by-hand", not on, USERS[0]) is on:
            return time.time()
        time.sleep(0.001)
    raise AssertionError(f"after 30 s the client still doesn't give {on}")


def by_hand(*, on: bool) -> str:
    return json.dumps({"flags": {"by-hand": ON_OFF | {"defaultVariant": "on" if on else "off"}}})


async def test_ofrep_gives_what_the_document_says(world: World, alone: None) -> None:
    await world.exposed(canary=HELD, flag_fields={"allow": ["alice"]})

    async def ask(path: str, user: str | None) -> Json:
        context = {} if user is None else {"targetingKey": user}
        url = f"sets/{world.namespace}/{FLAG_SET}/ofrep/v1/evaluate/flags{path}"
        answer = await world.api.proxy("POST", OPERATOR_NAMESPACE, f"{SERVICE}:8016", url, json.dumps({"context": context}))
        told: Json = json.loads(answer)
        return told

    async def served() -> bool:
        return bool((await ask("/feature", "alice"))["value"])

    await eventually("the flag server has the flag", served)
    document = await world.text()
    for user in ["alice", *(f"user-{number}" for number in range(30))]:
        assert (await ask("/feature", user))["value"] == sees(document, "feature", user)
    assert (await ask("/feature", None))["value"] is False
    everything = await ask("", "alice")
    assert [(flag["key"], flag["value"], flag["variant"]) for flag in everything["flags"]] == [("feature", True, "on")]
    assert everything["flags"][0]["metadata"] == {}, "an answer may reach a browser"
    with pytest.raises(RefusedError, match="FLAG_NOT_FOUND") as refused:
        await ask("/other", "alice")
    assert refused.value.status == 404


async def test_an_application_reads_its_flags_by_ofrep(world: World, cluster: Cluster, alone: None) -> None:
    """OpenFeature's own OFREP provider, with nothing between it and the flag server but a forwarded port."""
    await world.exposed(canary=HELD, flag_fields={"allow": ["alice"], "deny": ["user-7"]})
    domain = uuid.uuid4().hex
    async with port_forward(cluster, OPERATOR_NAMESPACE, SERVICE, 8016) as forward:
        provider = OFREPProvider(f"http://{forward.host}:{forward.port}/sets/{world.namespace}/{FLAG_SET}")
        await asyncio.to_thread(openfeature.set_provider_and_wait, provider, domain)
        client = openfeature.get_client(domain)

        async def value(user: str | None, default: bool) -> bool:
            return await asyncio.to_thread(client.get_boolean_value, "feature", default, EvaluationContext(user))

        async def seen(on: bool) -> bool:
            return await value("alice", not on) is on

        await eventually("the application has the flag", lambda: seen(True))
        document = await world.text()
        users = ["alice", *(f"user-{number}" for number in range(60))]
        given = {user: await value(user, not sees(document, "feature", user)) for user in users}
        assert given == {user: sees(document, "feature", user) for user in users}, "none of them is the default in the code"
        assert (given["alice"], given["user-7"]) == (True, False)
        assert 0 < sum(given.values()) < len(users)
        assert await value(None, True) is False
        details = await asyncio.to_thread(client.get_boolean_details, "feature", False, EvaluationContext("alice"))
        assert (details.variant, details.reason) == ("on", "TARGETING_MATCH")
        unknown = await asyncio.to_thread(client.get_boolean_details, "feture", True, EvaluationContext("alice"))
        assert (unknown.value, unknown.error_code) == (True, ErrorCode.FLAG_NOT_FOUND)
        await world.edit(enabled=False)
        await eventually("the application sees the feature off", lambda: seen(False))
        assert [user for user in users if await value(user, True)] == []
