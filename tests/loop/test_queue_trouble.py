"""Reconciles that fail, hang or are cut short, and a queue that ends: what it costs the others."""

import asyncio
import logging

import pytest
from prometheus_client import CollectorRegistry

from tests.loop.reconciles import Reconciles, key, running
from tests.virtual_time import in_virtual_time, loop_time
from tidegate.domain.keys import Key
from tidegate.loop.queue import FailedReconcileError, Queue, QueueSettings
from tidegate.loop.queue_metrics import QueueMetrics


@in_virtual_time
async def test_a_failing_key_backs_off_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def behave(reconciled: Key) -> float | None:
        if reconciled == key("poison"):
            raise RuntimeError("bad\x1b[31m object")
        return 0.02

    reconciles = Reconciles(behave)
    async with running(reconciles, workers=1) as (queue, registry):
        queue.add(key("poison"))
        queue.add(key("good"))
        await reconciles.until(lambda: reconciles.started.count(key("poison")) == 4, 10)
        assert reconciles.gaps(key("poison")) == pytest.approx([0.2, 0.4, 0.8])
        assert reconciles.started.count(key("good")) == pytest.approx(1.4 / 0.02, abs=2), "every 0.02 s meanwhile"
        assert registry.get_sample_value("tidegate_reconciles_total", {"kind": "FeatureRollout", "result": "error"}) == 4
        assert registry.get_sample_value("tidegate_queue_failing") == 1
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 4
    assert all(record.exc_info and "RuntimeError" in record.getMessage() for record in errors)


@in_virtual_time
async def test_a_hung_reconcile_is_cut_short_and_counts_as_failed() -> None:
    async def behave(reconciled: Key) -> None:
        if reconciled == key("hung") and reconciles.started.count(key("hung")) == 1:
            await asyncio.Event().wait()

    reconciles = Reconciles(behave)
    async with running(reconciles, workers=1, time_limit=0.1) as (queue, registry):
        queue.add(key("hung"))
        queue.add(key("next"))
        await reconciles.until(lambda: reconciles.started.count(key("hung")) == 2)
        assert reconciles.started == [key("hung"), key("next"), key("hung")]
        assert registry.get_sample_value("tidegate_reconciles_total", {"kind": "FeatureRollout", "result": "timeout"}) == 1


@pytest.mark.parametrize("error", [asyncio.CancelledError(), TimeoutError("mine"), ExceptionGroup("many", [ValueError()]), None])
@in_virtual_time
async def test_no_error_of_a_reconcile_and_no_senseless_wake_up_ends_a_worker(error: BaseException | None) -> None:
    async def behave(reconciled: Key) -> float:
        if reconciled == key("bad") and error is not None:
            raise error
        return float("nan") if reconciled == key("bad") else 0.01

    reconciles = Reconciles(behave)
    async with running(reconciles, workers=1) as (queue, registry):
        queue.add(key("bad"))
        queue.add(key("good"))
        await reconciles.until(lambda: reconciles.started.count(key("good")) == 5)
        assert registry.get_sample_value("tidegate_reconciles_total", {"kind": "FeatureRollout", "result": "error"}) == 1
        assert registry.get_sample_value("tidegate_queue_failing") == 1


@in_virtual_time
async def test_events_cannot_drive_a_failing_key_in_a_tight_loop() -> None:
    async def behave(_: Key) -> None:
        raise RuntimeError

    reconciles = Reconciles(behave)
    async with running(reconciles) as (queue, _):
        queue.add(key("a"))
        for _ in range(1000):
            queue.add(key("a"))
            await asyncio.sleep(0.001)
    assert reconciles.gaps() == pytest.approx([0.2, 0.4], abs=0.001)


@in_virtual_time
async def test_a_reconcile_that_failed_may_set_a_bound_to_its_backoff() -> None:
    async def fail(_: Key) -> float | None:
        raise FailedReconcileError(ConnectionError("refused"), 1.0)

    reconciles = Reconciles(fail)
    async with running(reconciles) as (queue, _):
        queue.add(key("watched"))
        await reconciles.until(lambda: len(reconciles.times) >= 7, 15)
    assert reconciles.gaps() == pytest.approx([0.2, 0.4, 0.8, 1.0, 1.0, 1.0]), "the last would be 1.6, 3.2 and 5 s otherwise"


@pytest.mark.thorough
@in_virtual_time
async def test_very_many_keys_that_fail_share_a_rate_however_soon_each_wants_to_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_: Key) -> float | None:
        raise FailedReconcileError(ConnectionError("refused"), 5.0)

    monkeypatch.setattr("tidegate.loop.queue._RETRIES_A_SECOND", 4)
    reconciles = Reconciles(fail)
    async with running(reconciles, workers=16) as (queue, _):
        for number in range(80):
            queue.add(key(number))
        await asyncio.sleep(600)
        before, since = len(reconciles.times), loop_time()
        await asyncio.sleep(100)
    rate = (len(reconciles.times) - before) / (loop_time() - since)
    assert 3 <= rate <= 4.1, "16 a second otherwise"


@in_virtual_time
async def test_draining_takes_nothing_new_and_lets_reconciles_end() -> None:
    reconciles = Reconciles(is_open=False)
    async with running(reconciles, workers=2) as (queue, _):
        for name in "abcd":
            queue.add(key(name))
        await reconciles.until(lambda: reconciles.running.total() == 2)
        draining = asyncio.create_task(queue.drain(5.0))
        await asyncio.sleep(0)
        queue.add(key("e"))
        reconciles.gate.set()
        await draining
    assert reconciles.started == [key("a"), key("b")]


@in_virtual_time
async def test_a_reconcile_that_outlasts_the_grace_is_cancelled() -> None:
    reconciles = Reconciles(is_open=False)
    async with running(reconciles) as (queue, _):
        queue.add(key("a"))
        await reconciles.until(lambda: reconciles.running.total() == 1)
        before = loop_time()
        await queue.drain(0.1)
        assert loop_time() - before == pytest.approx(0.1)
    assert (reconciles.gate.is_set(), reconciles.running.total()) == (False, 0)


@in_virtual_time
async def test_a_stall_is_seen_only_while_something_waits() -> None:
    now = 1000.0
    reconciles = Reconciles(is_open=False)
    queue = Queue(reconciles, QueueMetrics(CollectorRegistry()), QueueSettings(1), clock=lambda: now)
    task = asyncio.create_task(queue.run())
    now = 1100.0
    assert queue.stalled_for() == 0.0, "idle for a long time is well"
    queue.add(key("a"))
    await reconciles.until(lambda: reconciles.running.total() == 1)
    now = 1200.0
    assert queue.stalled_for() == 0.0, "one long reconcile holds nobody up"
    queue.add(key("b"))
    now = 1230.0
    assert queue.stalled_for() == 30.0
    reconciles.gate.set()
    await reconciles.done(2)
    await queue.drain(1.0)
    await task
    assert queue.stalled_for() == 0.0
