"""Looks that fail, hang or are cut short, and a queue that ends: what it costs the others."""

import asyncio
import logging

import pytest
from prometheus_client import CollectorRegistry

from tests.loop.looks import Looks, key, running
from tests.virtual_time import in_virtual_time, loop_time
from tidegate.domain.keys import Key
from tidegate.loop.queue import FailedReconcileError, Queue, QueueSettings
from tidegate.loop.queue_metrics import QueueMetrics


@in_virtual_time
async def test_a_failing_key_backs_off_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def behave(looked_at: Key) -> float | None:
        if looked_at == key("poison"):
            raise RuntimeError("bad\x1b[31m object")
        return 0.02

    looks = Looks(behave)
    async with running(looks, workers=1) as (queue, registry):
        queue.add(key("poison"))
        queue.add(key("good"))
        await looks.until(lambda: looks.started.count(key("poison")) == 4, 10)
        assert looks.gaps(key("poison")) == pytest.approx([0.2, 0.4, 0.8])
        assert looks.started.count(key("good")) == pytest.approx(1.4 / 0.02, abs=2), "every 0.02 s meanwhile"
        assert registry.get_sample_value("tidegate_reconciles_total", {"kind": "FeatureRollout", "result": "error"}) == 4
        assert registry.get_sample_value("tidegate_queue_failing") == 1
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 4
    assert all(record.exc_info and "RuntimeError" in record.getMessage() for record in errors)


@in_virtual_time
async def test_a_hung_look_is_cut_short_and_counts_as_failed() -> None:
    async def behave(looked_at: Key) -> None:
        if looked_at == key("hung") and looks.started.count(key("hung")) == 1:
            await asyncio.Event().wait()

    looks = Looks(behave)
    async with running(looks, workers=1, time_limit=0.1) as (queue, registry):
        queue.add(key("hung"))
        queue.add(key("next"))
        await looks.until(lambda: looks.started.count(key("hung")) == 2)
        assert looks.started == [key("hung"), key("next"), key("hung")]
        assert registry.get_sample_value("tidegate_reconciles_total", {"kind": "FeatureRollout", "result": "timeout"}) == 1


@pytest.mark.parametrize("error", [asyncio.CancelledError(), TimeoutError("mine"), ExceptionGroup("many", [ValueError()])])
@in_virtual_time
async def test_no_error_of_a_look_ends_a_worker(error: BaseException) -> None:
    async def behave(looked_at: Key) -> None:
        if looked_at == key("bad"):
            raise error

    looks = Looks(behave)
    async with running(looks, workers=1) as (queue, registry):
        queue.add(key("bad"))
        queue.add(key("good"))
        await looks.until(lambda: key("good") in looks.started)
        assert registry.get_sample_value("tidegate_reconciles_total", {"kind": "FeatureRollout", "result": "error"}) == 1


@in_virtual_time
async def test_a_senseless_wake_up_is_an_error_of_its_key_alone() -> None:
    async def behave(looked_at: Key) -> float:
        return float("nan") if looked_at == key("bad") else 0.01

    looks = Looks(behave)
    async with running(looks, workers=1) as (queue, registry):
        queue.add(key("bad"))
        queue.add(key("good"))
        await looks.until(lambda: looks.started.count(key("good")) == 5)
        assert registry.get_sample_value("tidegate_queue_failing") == 1


@in_virtual_time
async def test_events_cannot_drive_a_failing_key_in_a_tight_loop() -> None:
    async def behave(_: Key) -> None:
        raise RuntimeError

    looks = Looks(behave)
    async with running(looks) as (queue, _):
        queue.add(key("a"))
        for _ in range(1000):
            queue.add(key("a"))
            await asyncio.sleep(0.001)
    assert looks.gaps() == pytest.approx([0.2, 0.4], abs=0.001)


@in_virtual_time
async def test_a_look_that_failed_may_set_a_bound_to_its_backoff() -> None:
    async def fail(_: Key) -> float | None:
        raise FailedReconcileError(ConnectionError("refused"), 1.0)

    looks = Looks(fail)
    async with running(looks) as (queue, _):
        queue.add(key("watched"))
        await looks.until(lambda: len(looks.times) >= 7, 15)
    assert looks.gaps() == pytest.approx([0.2, 0.4, 0.8, 1.0, 1.0, 1.0]), "the last would be 1.6, 3.2 and 5 s otherwise"


@pytest.mark.thorough
@in_virtual_time
async def test_very_many_keys_that_fail_share_a_rate_however_soon_each_wants_to_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_: Key) -> float | None:
        raise FailedReconcileError(ConnectionError("refused"), 5.0)

    monkeypatch.setattr("tidegate.loop.queue._RETRIES_A_SECOND", 4)
    looks = Looks(fail)
    async with running(looks, workers=16) as (queue, _):
        for number in range(80):
            queue.add(key(number))
        await asyncio.sleep(600)
        before, since = len(looks.times), loop_time()
        await asyncio.sleep(100)
    rate = (len(looks.times) - before) / (loop_time() - since)
    assert 3 <= rate <= 4.1, "16 a second otherwise"


@in_virtual_time
async def test_draining_takes_nothing_new_and_lets_looks_end() -> None:
    gate = asyncio.Event()

    async def behave(_: Key) -> None:
        await gate.wait()

    looks = Looks(behave)
    registry = CollectorRegistry()
    queue = Queue(looks, QueueMetrics(registry), QueueSettings(2), clock=loop_time)
    task = asyncio.create_task(queue.run())
    for name in "abcd":
        queue.add(key(name))
    await looks.until(lambda: looks.running.total() == 2)
    draining = asyncio.create_task(queue.drain(5.0))
    await asyncio.sleep(0)
    queue.add(key("e"))
    gate.set()
    await draining
    await task
    assert looks.started == [key("a"), key("b")]


@in_virtual_time
async def test_a_look_that_outlasts_the_grace_is_cancelled() -> None:
    ended = []

    async def behave(looked_at: Key) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(looked_at)

    looks = Looks(behave)
    queue = Queue(looks, QueueMetrics(CollectorRegistry()), QueueSettings(2), clock=loop_time)
    task = asyncio.create_task(queue.run())
    queue.add(key("a"))
    await looks.until(lambda: looks.running.total() == 1)
    before = loop_time()
    await queue.drain(0.1)
    await task
    assert ended == [key("a")]
    assert loop_time() - before == pytest.approx(0.1)


@in_virtual_time
async def test_a_stall_is_seen_only_while_something_waits() -> None:
    now = 1000.0
    gate = asyncio.Event()

    async def behave(_: Key) -> None:
        await gate.wait()

    looks = Looks(behave)
    queue = Queue(looks, QueueMetrics(CollectorRegistry()), QueueSettings(1), clock=lambda: now)
    task = asyncio.create_task(queue.run())
    now = 1100.0
    assert queue.stalled_for() == 0.0, "idle for a long time is well"
    queue.add(key("a"))
    await looks.until(lambda: looks.running.total() == 1)
    now = 1200.0
    assert queue.stalled_for() == 0.0, "one long look holds nobody up"
    queue.add(key("b"))
    now = 1230.0
    assert queue.stalled_for() == 30.0
    gate.set()
    await looks.until(lambda: len(looks.started) == 2 and not looks.running.total())
    await queue.drain(1.0)
    await task
    assert queue.stalled_for() == 0.0
