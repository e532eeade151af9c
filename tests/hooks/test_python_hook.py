"""The hook for Python applications, with the real OpenFeature SDK and flagd's provider in process, on flags as Tidegate writes them."""

import asyncio
import contextvars
import json
import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode, ProviderFatalError
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from openfeature.provider import FeatureProvider, ProviderStatus
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider
from prometheus_client import REGISTRY, CollectorRegistry

from flag_metrics import MOST_FEATURES, MOST_VARIANTS, NONE, OTHER, FlagMetrics
from tests.builders import KEY, target
from tidegate.levers.flag.definition import definition_for

GUIDE = Path(__file__).resolve().parents[2] / "docs/hooks.md"
USERS = [EvaluationContext(f"user-{number}") for number in range(200)]
COUNTER = "feature_flag_evaluations_total"

Connect = Callable[..., OpenFeatureClient]


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> FlagMetrics:
    return FlagMetrics([KEY], registry)


def client_of(provider: FeatureProvider, *hooks: FlagMetrics) -> OpenFeatureClient:
    """A client of this provider that has the hooks."""
    name = uuid.uuid4().hex
    api.set_provider_and_wait(provider, name)
    client = api.get_client(name)
    client.add_hooks(list(hooks))
    return client


@pytest.fixture
def connect(metrics: FlagMetrics, tmp_path: Path) -> Iterator[Connect]:
    """A client of these flags that has the hook."""

    def connected(**flags: Mapping[str, Any]) -> OpenFeatureClient:
        path = tmp_path / f"{uuid.uuid4().hex}.json"
        path.write_text(json.dumps({"flags": {key.replace("_", "-"): definition for key, definition in flags.items()}}))
        return client_of(FlagdProvider(resolver_type=ResolverType.FILE, offline_flag_source_path=str(path)), metrics)

    yield connected
    api.shutdown()


def counted(registry: CollectorRegistry) -> dict[tuple[str, str, str], float]:
    """(feature, variant, reason) → count, without what was never counted."""
    samples = [sample for metric in registry.collect() for sample in metric.samples if sample.name == COUNTER]
    return {(one.labels["feature"], one.labels["variant"], one.labels["reason"]): one.value for one in samples if one.value}


def series(registry: CollectorRegistry) -> int:
    return sum(sample.name == COUNTER for metric in registry.collect() for sample in metric.samples)


def test_every_evaluation_is_counted_under_its_variant_and_reason_and_whatever_a_rollout_can_give_begins_at_zero(
    connect: Connect, registry: CollectorRegistry
) -> None:
    before, expected = series(registry), Counter[tuple[str, str, str]]()
    assert counted(registry) == {}
    for percent in (0, 25, 100):
        for lists in ({}, {"allow": ["user-1"], "deny": ["user-2"]}):
            client = connect(new_search=definition_for(target(**lists), percent))
            got = [client.get_boolean_details(KEY, False, user) for user in (*USERS, EvaluationContext())]
            expected.update((KEY, str(one.variant), str(one.reason).lower()) for one in got)
            assert counted(registry) == expected
    assert sum(expected.values()) == 6 * (len(USERS) + 1)
    connect().get_boolean_value(KEY, False)
    connect().get_boolean_value("another", False)
    assert sum(counted(registry).values()) == 6 * (len(USERS) + 1) + 2
    assert series(registry) == before, "nothing appeared that did not begin at zero"


@pytest.mark.parametrize("default", [True, False])
def test_a_failed_evaluation_gives_the_code_default_and_counts_as_an_error_without_a_variant(
    connect: Connect, metrics: FlagMetrics, registry: CollectorRegistry, default: bool
) -> None:
    missing, mistyped = connect(), connect(new_search={"state": "ENABLED", "variants": {"on": "yes", "off": "no"}, "defaultVariant": "on"})
    for client in (missing, mistyped):
        with metrics.request():
            assert client.get_boolean_value(KEY, default, USERS[0]) is default
            assert metrics.variant_of(KEY) == NONE
    assert counted(registry) == {(KEY, NONE, "error"): 2}


@pytest.mark.parametrize(
    ("answer", "value", "expected"),
    [
        (FlagResolutionDetails(True, error_code=ErrorCode.GENERAL, reason=Reason.STATIC, variant="on"), False, (NONE, "error")),
        (FlagResolutionDetails(True, reason="BECAUSE", variant="on"), True, ("on", OTHER)),
        (FlagResolutionDetails(True, variant="on"), True, ("on", "unknown")),
        (FlagResolutionDetails(True, reason=Reason.DEFAULT), True, (NONE, "default")),
    ],
)
def test_whatever_a_provider_answers_is_counted(
    metrics: FlagMetrics, registry: CollectorRegistry, answer: FlagResolutionDetails[bool], value: bool, expected: tuple[str, str]
) -> None:
    class Answering(InMemoryProvider):
        def resolve_boolean_details(
            self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
        ) -> FlagResolutionDetails[bool]:
            return answer

    client = client_of(Answering({}), metrics)
    assert client.get_boolean_value(KEY, False) is value
    assert counted(registry) == {(KEY, *expected): 1}


def test_a_provider_that_is_not_usable_counts_as_an_error(metrics: FlagMetrics, registry: CollectorRegistry) -> None:
    class Down(InMemoryProvider):
        def initialize(self, evaluation_context: EvaluationContext) -> None:
            raise ProviderFatalError("down")

    api.set_provider(Down({}), "down")
    client = api.get_client("down")
    client.add_hooks([metrics])
    while client.get_provider_status() is ProviderStatus.NOT_READY:
        assert client.get_boolean_value(KEY, True, USERS[0]) is True
    before = counted(registry).get((KEY, NONE, "error"), 0)
    assert client.get_boolean_value(KEY, True, USERS[0]) is True
    assert counted(registry) == {(KEY, NONE, "error"): before + 1}


def test_flags_variants_and_reasons_that_are_not_listed_share_one_value(metrics: FlagMetrics, registry: CollectorRegistry) -> None:
    many = [f"v{number}" for number in range(100)]
    flags = {f"flag-{number}": InMemoryFlag("on", {"on": True}) for number in range(100)}
    before = series(registry)
    for variant in many:
        flag = InMemoryFlag(variant, dict.fromkeys(many, True))
        client = client_of(InMemoryProvider({**flags, KEY: flag}), metrics)
        with metrics.request():
            assert client.get_boolean_value(KEY, False) is True
            assert metrics.variant_of(KEY) == OTHER
        client.get_boolean_value(f"flag-{variant[1:]}", False)
    assert counted(registry) == {(KEY, OTHER, "static"): 100, (OTHER, OTHER, OTHER): 100}
    assert series(registry) == before + 1
    assert metrics.variant_of("flag-1") == OTHER


def test_variants_may_have_any_name(registry: CollectorRegistry) -> None:
    metrics = FlagMetrics({"button": ["red", "blue"], KEY: ["on", "off"]}, registry)
    client = client_of(InMemoryProvider({"button": InMemoryFlag("red", {"red": "#f00", "blue": "#00f"})}), metrics)
    assert client.get_string_value("button", "") == "#f00"
    assert counted(registry) == {("button", "red", "static"): 1}
    assert metrics.variants("button") == ("red", "blue", NONE, OTHER)


def test_a_request_knows_its_variants_and_the_next_one_on_the_same_thread_does_not(connect: Connect, metrics: FlagMetrics) -> None:
    client = connect(new_search=definition_for(target(allow=["alice"]), 0))
    for user, variant in (("alice", "on"), ("bob", "off")):
        with metrics.request():
            assert metrics.variant_of(KEY) == NONE
            client.get_boolean_value(KEY, False, EvaluationContext(user))
            with metrics.request():
                assert metrics.variant_of(KEY) == NONE, "a request within a request is one of its own"
            assert metrics.variant_of(KEY) == variant
        assert metrics.variant_of(KEY) == NONE
    client.get_boolean_value(KEY, False, EvaluationContext("alice"))
    assert metrics.variant_of(KEY) == NONE, "outside of a request nothing is kept"


def test_requests_on_threads_are_apart(connect: Connect, metrics: FlagMetrics) -> None:
    client = connect(new_search=definition_for(target(), 50))

    def handle(user: EvaluationContext) -> bool:
        with metrics.request():
            on = client.get_boolean_value(KEY, False, user)
            return metrics.variant_of(KEY) == ("on" if on else "off")

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(handle, USERS))


async def test_requests_in_tasks_are_apart_and_see_what_their_own_tasks_evaluate(connect: Connect, metrics: FlagMetrics) -> None:
    client = connect(new_search=definition_for(target(), 50))

    async def handle(user: EvaluationContext) -> bool:
        with metrics.request():
            on, _ = await asyncio.gather(client.get_boolean_value_async(KEY, False, user), asyncio.sleep(0))
            await asyncio.sleep(0)
            return metrics.variant_of(KEY) == ("on" if on else "off")

    assert all(await asyncio.gather(*map(handle, USERS)))


def test_a_request_may_end_in_another_context_than_it_began_in(metrics: FlagMetrics) -> None:
    request = metrics.request()
    contextvars.copy_context().run(request.__enter__)
    request.__exit__(None, None, None)
    assert metrics.variant_of(KEY) == NONE


def test_an_error_of_the_application_passes_through_a_request(metrics: FlagMetrics) -> None:
    with pytest.raises(LookupError, match="mine"), metrics.request():
        raise LookupError("mine")
    assert metrics.variant_of(KEY) == NONE


def test_a_hook_that_fails_costs_the_application_nothing(connect: Connect, metrics: FlagMetrics, monkeypatch: pytest.MonkeyPatch) -> None:
    client = connect(new_search=definition_for(target(), 100))
    monkeypatch.setattr(metrics, "_evaluations", None)
    assert client.get_boolean_value(KEY, False, USERS[0]) is True


@pytest.mark.parametrize(
    "features", [[f"flag-{number}" for number in range(MOST_FEATURES + 1)], {"button": [f"v{number}" for number in range(MOST_VARIANTS)]}]
)
def test_more_than_a_metric_should_have_is_refused(registry: CollectorRegistry, features: Any) -> None:
    with pytest.raises(ValueError, match="at most 50 features, with fewer than 20 variants each"):
        FlagMetrics(features, registry)
    assert series(registry) == 0


def test_what_the_guide_shows_works() -> None:
    shown = re.search(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert shown is not None
    api.set_provider_and_wait(InMemoryProvider({KEY: InMemoryFlag("on", {"on": True, "off": False})}))
    made: dict[str, Any] = {}
    try:
        exec(shown[1], made)
        made["handle"]("user-1")
        value = REGISTRY.get_sample_value
        assert value("http_requests_total", {"code": "200", "variant": "on"}) == 1
        assert value("http_requests_total", {"code": "500", "variant": "on"}) == 0
        assert value(COUNTER, {"feature": KEY, "variant": "on", "reason": "static"}) == 1
    finally:
        api.clear_hooks()
        for counter in (made["REQUESTS"], made["flag_metrics"]._evaluations):
            REGISTRY.unregister(counter)
