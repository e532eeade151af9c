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

from demo.application.measures import Measures, MovingAverage
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

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    def of(self, name: str, feature: str, variant: str, **labels: str) -> float:
        found = self.value(name, feature=feature, variant=variant, **labels)
        assert found is not None
        return found


@pytest.fixture
def business() -> Business:
    return Business()


ALL_ON = dict.fromkeys(FEATURES, True)
ALL_OFF = dict.fromkeys(FEATURES, False)


def test_healthy_features_read_inside_every_advance_bound(business: Business) -> None:
    business.handle(ALL_ON)
    assert business.of("calibration_error", CALIBRATION, "on") < 0.1
    calibrated, raw = business.value("risk_fraction", stage="calibrated"), business.value("risk_fraction", stage="raw")
    assert calibrated is not None
    assert raw is not None
    assert calibrated / raw - 1 < 0
    assert business.of("kelly_scale", KELLY, "on") > 0.3
    assert business.of("max_drawdown", KELLY, "on") < 0.05
    ratio = business.of("position_size", KELLY, "on", sizing="scaled") / business.of("position_size", KELLY, "on", sizing="unscaled")
    assert 0.4 < ratio < 1


def test_the_guards_metrics_read_inside_their_bounds(business: Business) -> None:
    business.handle(ALL_OFF)
    errors, fine = business.value("requests_total", outcome="error"), business.value("requests_total", outcome="ok")
    assert errors is not None
    assert fine is not None
    assert errors + fine == ENOUGH_TRADES
    assert errors / fine < 0.05
    seconds, count = business.value("request_duration_seconds_sum"), business.value("request_duration_seconds_count")
    assert seconds is not None
    assert count == ENOUGH_TRADES
    assert abs(seconds / count / 0.020 - 1) < 0.1
    quality = business.value("data_quality_ratio")
    assert quality is not None
    assert quality > 0.95


def test_a_variant_that_nobody_had_has_no_series(business: Business) -> None:
    business.handle(ALL_OFF)
    assert business.value("kelly_scale", feature=KELLY, variant="on") is None
    assert business.value("risk_fraction", stage="calibrated") is None
    assert business.value("feature_last_seen_on_timestamp_seconds", feature=KELLY) is None


def test_a_bad_drawdown_kelly_passes_its_rollback_bound_for_those_who_have_it(business: Business) -> None:
    business.handle(ALL_ON)
    business.engine.bad = {KELLY}
    business.handle(ALL_ON)
    business.handle(ALL_OFF)
    assert business.of("max_drawdown", KELLY, "on") > 0.07
    assert business.of("max_drawdown", KELLY, "off") < 0.05
    assert business.of("calibration_error", CALIBRATION, "on") < 0.1


def test_a_bad_confidence_calibration_passes_its_rollback_bounds(business: Business) -> None:
    business.engine.bad = {CALIBRATION}
    business.handle(ALL_ON)
    calibrated, raw = business.value("risk_fraction", stage="calibrated"), business.value("risk_fraction", stage="raw")
    assert business.of("calibration_error", CALIBRATION, "on") > 0.15
    assert calibrated is not None
    assert raw is not None
    assert calibrated / raw - 1 > 0.2


def test_a_moving_average_begins_at_its_first_value_and_follows() -> None:
    average = MovingAverage()
    assert average.add(10.0) == 10.0
    assert average.add(20.0) == 10.5
    for _ in range(200):
        average.add(20.0)
    assert average.value == pytest.approx(20.0, abs=0.01)


def traffic_of(business: Business, on: frozenset[str] = frozenset()) -> Traffic:
    return Traffic(lambda feature, user: feature in on, business.engine, business.measures, Random(7))


def test_the_last_time_that_a_request_saw_a_feature_on_is_kept(business: Business) -> None:
    before = time.time()
    traffic_of(business, frozenset({KELLY})).request()
    last = business.value("feature_last_seen_on_timestamp_seconds", feature=KELLY)
    assert last is not None
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
