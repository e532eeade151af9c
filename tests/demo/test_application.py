"""The simulated business trades as the plan's thresholds expect, and badly where it was made bad."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from random import Random

import pytest
from aiohttp.test_utils import TestClient, TestServer
from openfeature import api
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider
from prometheus_client import CollectorRegistry

from demo.application.measures import Measures
from demo.application.trading import CALIBRATION, FEATURES, KELLY, TradingEngine
from demo.application.traffic import Traffic, flags_of
from demo.application.web import serve

ENOUGH_TRADES = 1500


class Business:
    """An engine with its metrics, deterministic."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.measures = Measures(self.registry)
        self.engine = TradingEngine(self.measures, Random(7))

    def handle(self, features: Mapping[str, bool], requests: int = ENOUGH_TRADES) -> None:
        for _ in range(requests):
            self.engine.handle(features)

    def value(self, name: str, **labels: str) -> float:
        found = self.registry.get_sample_value(name, labels)
        assert found is not None, f"{name} {labels} has no series"
        return found

    def of(self, name: str, feature: str, variant: str, **labels: str) -> float:
        return self.value(name, feature=feature, variant=variant, **labels)

    @property
    def added_risk(self) -> float:
        """By how much calibration changes the risk, as a share of it."""
        return self.value("risk_fraction", stage="calibrated") / self.value("risk_fraction", stage="raw") - 1


@pytest.fixture
def business() -> Business:
    return Business()


ALL_ON = dict.fromkeys(FEATURES, True)
ALL_OFF = dict.fromkeys(FEATURES, False)


def test_healthy_features_read_inside_every_advance_bound(business: Business) -> None:
    business.handle(ALL_ON)
    assert business.of("calibration_error", CALIBRATION, "on") < 0.1
    assert business.added_risk < 0
    assert business.of("kelly_scale", KELLY, "on") > 0.3
    assert business.of("max_drawdown", KELLY, "on") < 0.05
    ratio = business.of("position_size", KELLY, "on", sizing="scaled") / business.of("position_size", KELLY, "on", sizing="unscaled")
    assert 0.4 < ratio < 1


def test_the_guards_metrics_read_inside_their_bounds_and_a_variant_that_nobody_had_has_no_series(business: Business) -> None:
    business.handle(ALL_OFF)
    errors, fine = business.value("requests_total", outcome="error"), business.value("requests_total", outcome="ok")
    assert errors + fine == business.value("request_duration_seconds_count") == ENOUGH_TRADES
    assert errors / fine < 0.05
    assert abs(business.value("request_duration_seconds_sum") / ENOUGH_TRADES / 0.020 - 1) < 0.1
    assert business.value("data_quality_ratio") > 0.95
    told = {tuple(sample.labels.values()) for metric in business.registry.collect() for sample in metric.samples}
    assert (KELLY, "off") in told
    assert not {(KELLY, "on"), (KELLY,), ("calibrated",)} & told


def test_a_feature_that_is_made_bad_passes_its_rollback_bounds_for_those_who_have_it(business: Business) -> None:
    business.handle(ALL_ON)
    business.engine.bad = {KELLY}
    business.handle(ALL_ON)
    business.handle(ALL_OFF)
    assert business.of("max_drawdown", KELLY, "on") > 0.07
    assert business.of("max_drawdown", KELLY, "off") < 0.05
    assert business.of("calibration_error", CALIBRATION, "on") < 0.1
    business.engine.bad = {CALIBRATION}
    business.handle(ALL_ON)
    assert business.of("calibration_error", CALIBRATION, "on") > 0.15
    assert business.added_risk > 0.2


def test_a_moving_average_begins_at_its_first_value_and_follows(business: Business) -> None:
    for value, expected in ((10.0, 10.0), (20.0, 10.5)):
        business.measures.average("data_quality_ratio", value)
        assert business.value("data_quality_ratio") == expected
    for _ in range(200):
        business.measures.average("data_quality_ratio", 20.0)
    assert business.value("data_quality_ratio") == pytest.approx(20.0, abs=0.01)


def traffic_of(business: Business, on: frozenset[str] = frozenset()) -> Traffic:
    return Traffic(lambda feature, user: feature in on, business.engine, business.measures, Random(7))


def test_the_last_time_that_a_request_saw_a_feature_on_is_kept(business: Business) -> None:
    before = time.time()
    traffic_of(business, frozenset({KELLY})).request()
    last = business.value("feature_last_seen_on_timestamp_seconds", feature=KELLY)
    assert before <= last <= time.time()
    traffic_of(business).request()
    assert business.value("feature_last_seen_on_timestamp_seconds", feature=KELLY) == last
    assert business.value("feature_requests_total", feature=KELLY, variant="on") == 1
    assert business.value("feature_requests_total", feature=KELLY, variant="off") == 1
    assert business.value("feature_requests_total", feature=CALIBRATION, variant="off") == 2


class Counted:
    """Flags that are all off, and an event for when they were asked for often enough."""

    def __init__(self, requests: int) -> None:
        self._left = requests * len(FEATURES)
        self.enough = asyncio.Event()

    def __call__(self, feature: str, user: str) -> bool:
        self._left -= 1
        if self._left == 0:
            self.enough.set()
        return False


async def test_traffic_never_runs_faster_than_asked(business: Business) -> None:
    flags = Counted(100)
    began = time.monotonic()
    task = asyncio.create_task(Traffic(flags, business.engine, business.measures, Random(7)).run(500))
    await flags.enough.wait()
    assert time.monotonic() - began > 100 / 500 * 0.9
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def test_flags_are_what_the_sdk_evaluates_and_off_where_they_are_unknown() -> None:
    flag: InMemoryFlag[bool] = InMemoryFlag("on", {"on": True, "off": False})
    api.set_provider_and_wait(InMemoryProvider({KELLY: flag}), "demo")
    flags = flags_of(api.get_client("demo"))
    assert flags(KELLY, "user-1") is True
    assert flags(CALIBRATION, "user-1") is False


async def test_the_http_side(business: Business) -> None:
    flags = Counted(5)
    traffic = Traffic(flags, business.engine, business.measures, Random(7))
    async with TestClient(TestServer(serve(traffic, business.engine, business.registry, 200))) as client:
        assert (await client.get("/healthz")).status == 200
        await flags.enough.wait()
        assert 'feature_requests_total{feature="drawdown-kelly",variant="off"}' in await (await client.get("/metrics")).text()

        refused = await client.post("/bad", params={"feature": "nonsense"})
        assert refused.status == 404
        assert KELLY in await refused.text()
        assert not business.engine.bad

        assert await (await client.post("/bad", params={"feature": KELLY})).json() == {"bad": [KELLY]}
        assert business.engine.bad == {KELLY}


async def test_health_fails_once_the_traffic_has_ended(business: Business) -> None:
    asked = asyncio.Event()

    def broken(feature: str, user: str) -> bool:
        asked.set()
        raise RuntimeError("no flags")

    traffic = Traffic(broken, business.engine, business.measures, Random(7))
    client = TestClient(TestServer(serve(traffic, business.engine, business.registry, 1000)))
    await client.start_server()
    await asked.wait()
    assert (await client.get("/healthz")).status == 500
    with pytest.raises(RuntimeError, match="no flags"):
        await client.close()
