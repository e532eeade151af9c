import asyncio
import logging
from collections.abc import AsyncIterator

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter

from tests.virtual_time import in_virtual_time, loop_time
from tidegate.loop.health import HealthSettings, Pulse, loop_check, queue_check, serve_health

SETTINGS = HealthSettings(host="127.0.0.1", port=0, stuck_after=10.0, stalled_after=90.0)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def fetch(http: aiohttp.ClientSession, port: int, path: str) -> tuple[int, str]:
    async with http.get(f"http://127.0.0.1:{port}/{path}") as response:
        return response.status, await response.text()


async def test_probes_say_what_is_wrong_and_when_it_is_over(http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    problems: dict[str, str] = {"lease": "no contact with the API server", "list": "the first listing is not done"}
    ready = [lambda: problems.get("lease"), lambda: problems.get("list")]
    async with serve_health(SETTINGS, CollectorRegistry(), alive=[], ready=ready) as port:
        assert await fetch(http, port, "healthz") == (200, "ok\n")
        assert await fetch(http, port, "readyz") == (503, "no contact with the API server\nthe first listing is not done\n")
        del problems["lease"]
        assert await fetch(http, port, "readyz") == (503, "the first listing is not done\n")
        del problems["list"]
        assert await fetch(http, port, "readyz") == (200, "ok\n")
        assert (await fetch(http, port, "elsewhere"))[0] == 404
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "INFO"], "when it is over is said too"


async def test_a_queue_that_stands_still_is_not_healthy(http: aiohttp.ClientSession) -> None:
    stalled = 0.0
    async with serve_health(SETTINGS, CollectorRegistry(), alive=[queue_check(lambda: stalled, SETTINGS)], ready=[]) as port:
        stalled = 89.0
        assert (await fetch(http, port, "healthz"))[0] == 200
        stalled = 91.0
        assert await fetch(http, port, "healthz") == (503, "keys are due, and no reconcile has ended for 91 s\n")


async def test_a_loop_that_stood_still_is_not_healthy(http: aiohttp.ClientSession) -> None:
    now = 1000.0
    pulse = Pulse(CollectorRegistry(), clock=lambda: now)
    async with serve_health(SETTINGS, CollectorRegistry(), alive=[loop_check(pulse, SETTINGS)], ready=[]) as port:
        assert (await fetch(http, port, "healthz"))[0] == 200
        now += 11.0
        assert await fetch(http, port, "healthz") == (503, "the event loop has stood still for 11 s\n")


@in_virtual_time
async def test_the_pulse_measures_how_long_the_loop_was_blocked() -> None:
    registry = CollectorRegistry()
    blocked = 0.0
    pulse = Pulse(registry, clock=lambda: loop_time() + blocked)

    def lag() -> float | None:
        return registry.get_sample_value("tidegate_event_loop_lag_seconds")

    beating = asyncio.create_task(pulse.beat())
    await asyncio.sleep(0.7)
    assert lag() == pytest.approx(0)
    assert pulse.still_for() == pytest.approx(0.2)
    blocked = 0.8
    assert pulse.still_for() == pytest.approx(1.0)
    await asyncio.sleep(0.4)
    assert lag() == pytest.approx(0.8)
    assert pulse.still_for() == pytest.approx(0.1)
    await asyncio.sleep(0.5)
    assert lag() == pytest.approx(0)
    beating.cancel()


async def test_metrics_are_those_of_the_given_registry(http: aiohttp.ClientSession) -> None:
    registry = CollectorRegistry()
    Counter("tidegate_things", "Things.", registry=registry).inc(3)
    async with serve_health(SETTINGS, registry, alive=[], ready=[]) as port:
        status, text = await fetch(http, port, "metrics")
        assert status == 200
        assert "tidegate_things_total 3.0" in text
        assert "python_info" not in text, "not the process-wide default registry"
        accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
        async with http.get(f"http://127.0.0.1:{port}/metrics", headers=accept) as response:
            assert response.content_type == "application/openmetrics-text"
            assert (await response.text()).endswith("# EOF\n")


async def test_a_taken_port_is_an_error_at_the_start() -> None:
    async with serve_health(SETTINGS, CollectorRegistry(), alive=[], ready=[]) as port:
        with pytest.raises(OSError, match="address already in use"):
            async with serve_health(HealthSettings("127.0.0.1", port), CollectorRegistry(), alive=[], ready=[]):
                pass
