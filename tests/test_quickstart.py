"""The quickstart's shop counts what its gate asks for, its manifests fit each other, and its page names what there is."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from examples.quickstart.shop import FLAG, shop
from examples.quickstart.visitors import visitors
from openfeature import api
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider
from prometheus_client import CollectorRegistry

from tests.pages import commands
from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.rollout_policy import DEFAULT_POLICY_ANNOTATION, RolloutPolicySpec
from tidegate.domain.placeholders import render
from tidegate.domain.queries import compile_query, matched_labels

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "examples/quickstart"
PAGE = (ROOT / "docs/quickstart.md").read_text()
MANIFESTS = sorted(set(FOLDER.glob("*.yaml")) - {FOLDER / "kustomization.yaml"})
VALUES = {"IMAGE": "localhost/tidegate:1", "PROMETHEUS": "http://prometheus:9090", "JOB": "pods"}


def objects(name: str) -> list[dict[str, Any]]:
    """Of a manifest, with its placeholders filled in."""
    text = (FOLDER / name).read_text()
    for placeholder, value in VALUES.items():
        text = text.replace(placeholder, value)
    return list(yaml.safe_load_all(text))


def one(kind: str, name: str = "application.yaml") -> dict[str, Any]:
    return next(body for body in objects(name) if body["kind"] == kind)


@pytest.fixture(params=["on", "off"])
def variant(request: pytest.FixtureRequest) -> str:
    """Everybody has this variant of the new search."""
    found: str = request.param
    api.set_provider_and_wait(InMemoryProvider({FLAG: InMemoryFlag(found, {"on": True, "off": False})}))
    return found


@pytest.mark.parametrize("fails", [0.0, 1.0])
async def test_a_search_is_counted_by_code_and_variant_and_only_new_ones_fail(variant: str, fails: float) -> None:
    registry = CollectorRegistry()
    expected = 500 if variant == "on" and fails else 200
    async with TestClient(TestServer(shop(fails, registry))) as client:
        for each in ("on", "off"):
            for code in ("200", "500"):
                assert registry.get_sample_value("http_requests_total", {"code": code, "variant": each}) == 0
        assert (await client.get("/search", params={"user": "user-1"})).status == expected
        assert f'http_requests_total{{code="{expected}",variant="{variant}"}} 1.0' in await (await client.get("/metrics")).text()


async def test_a_shop_whose_flags_have_not_come_has_the_old_search() -> None:
    api.clear_providers()
    async with TestClient(TestServer(shop(1.0, CollectorRegistry()))) as client:
        assert (await client.get("/search", params={"user": "user-1"})).status == 200


async def test_visitors_come_again_and_again_also_while_the_shop_fails() -> None:
    users: set[str] = set()
    enough = asyncio.Event()

    async def search(request: web.Request) -> web.Response:
        users.add(request.query["user"])
        if len(users) > 15:
            enough.set()
        assert request.transport is not None
        if len(users) % 2:
            request.transport.close()
        return web.Response(status=500)

    application = web.Application()
    application.add_routes([web.get("/search", search)])
    async with TestServer(application) as server:
        task = asyncio.create_task(visitors(str(server.make_url("/"))))
        await asyncio.wait_for(enough.wait(), 30)
        assert not task.done()
        task.cancel()


def test_the_gate_gives_a_number_without_errors_and_names_the_job() -> None:
    spec = FeatureRolloutSpec.model_validate(one("FeatureRollout", "rollout.yaml")["spec"])
    (gate,) = spec.gates
    assert gate.query is not None
    assert "or vector(0)) / sum(" in " ".join(gate.query.split())
    for selector in compile_query(render(gate.query, {"namespace": "shop"}, spec.strategy.ladder()[0].dwell)).selectors:
        assert selector.text.startswith("http_requests_total{")
        assert {"job", "namespace", "variant"} <= matched_labels(selector.text)


def test_the_policy_has_a_name_and_no_other_rollout_comes_under_it() -> None:
    policy, rollout, namespace = one("RolloutPolicy", "policy.yaml"), one("FeatureRollout", "rollout.yaml"), one("Namespace")
    assert DEFAULT_POLICY_ANNOTATION not in policy["metadata"].get("annotations", {})
    assert rollout["spec"]["policyRef"]["name"] == policy["metadata"]["name"]
    selector = RolloutPolicySpec.model_validate(policy["spec"]).namespace_selector
    assert selector is not None
    assert selector.match_labels == {"kubernetes.io/metadata.name": namespace["metadata"]["name"]}


def test_the_shop_gets_the_flags_of_the_rollout_and_its_service_is_what_prometheus_operator_looks_for() -> None:
    rollout, service, monitor = one("FeatureRollout", "rollout.yaml"), one("Service"), one("ServiceMonitor", "service-monitor.yaml")
    flag, place = rollout["spec"]["target"]["flag"], rollout["metadata"]["namespace"]
    environment = {entry["name"]: entry["value"] for entry in one("Deployment")["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert flag["key"] == FLAG
    assert environment["FLAGD_SOURCE_SELECTOR"] == f"{place}/{flag['configMap']}"
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert [each["port"] for each in monitor["spec"]["endpoints"]] == [port["name"] for port in service["spec"]["ports"]]
    places = {body["metadata"]["namespace"] for path in MANIFESTS for body in objects(path.name) if "namespace" in body["metadata"]}
    assert places == {one("Namespace")["metadata"]["name"]}


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_a_manifest_says_at_its_top_what_it_needs_or_gives_and_which_placeholder_it_has(path: Path) -> None:
    head, _, body = path.read_text().partition("apiVersion:")
    assert "series" in head or "job=" in head
    for placeholder in VALUES:
        assert (f"{placeholder} is a placeholder" in head) == (re.search(rf"\b{placeholder}\b", body) is not None)


def test_what_the_page_replaces_is_what_the_manifests_leave_open() -> None:
    known = {command.assigns[0] for command in commands(PAGE) if command.assigns}
    replaced = {found for command in commands(PAGE) for found in re.findall(r"s\|(\w+)\|\$\1\|", command.text)}
    assert known == replaced == set(VALUES)
    code = "".join((FOLDER / name).read_text() for name in one("Kustomization", "kustomization.yaml")["configMapGenerator"][0]["files"])
    assert not re.search("|".join(VALUES), code), "would be replaced in the code as well"


def test_the_page_names_files_that_exist() -> None:
    named = {word for command in commands(PAGE) for word in command.text.split() if word.startswith(("examples/", "helm/"))}
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
