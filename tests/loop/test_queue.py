"""The keyed queue in virtual time: every wait is exact, and none of them costs any."""

import asyncio
import logging
import time
from collections import Counter

import pytest
from prometheus_client import CollectorRegistry

from tests.loop.reconciles import Reconciles, key, running
from tests.virtual_time import in_virtual_time, loop_time
from tidegate.domain.keys import Key
from tidegate.logs import key_of
from tidegate.loop.queue import Queue, QueueSettings
from tidegate.loop.queue_metrics import QueueMetrics


@in_virtual_time
async def test_a_key_that_waits_waits_once() -> None:
    reconciles = Reconciles()
    registry = CollectorRegistry()
    queue = Queue(reconciles, QueueMetrics(registry), QueueSettings(2), clock=loop_time)
    for _ in range(100):
        queue.add(key("a"))
    queue.add(key("b"), 0.05)
    queue.add(key("b"), 9.0)
    queue.add(key("c"), 9.0)
    assert registry.get_sample_value("tidegate_queue_ready") == 1
    assert registry.get_sample_value("tidegate_queue_scheduled") == 2
    task = asyncio.create_task(queue.run())
    await reconciles.until(lambda: reconciles.started == [key("a"), key("b")] and not reconciles.running.total())
    queue.add(key("c"))
    await reconciles.until(lambda: reconciles.started == [key("a"), key("b"), key("c")])
    await queue.drain(1.0)
    await task
    assert registry.get_sample_value("tidegate_queue_scheduled") == 0


@in_virtual_time
async def test_a_key_added_while_it_is_reconciled_is_reconciled_again_and_never_twice_at_once() -> None:
    reconciles = Reconciles(is_open=False)
    async with running(reconciles) as (queue, _):
        queue.add(key("a"))
        await reconciles.until(lambda: reconciles.running[key("a")] == 1)
        for _ in range(10):
            queue.add(key("a"))
        reconciles.gate.set()
        await reconciles.done(2)
    assert reconciles.started == [key("a")] * 2
    assert reconciles.most_at_once[key("a")] == 1


@in_virtual_time
async def test_keys_are_reconciled_side_by_side_up_to_the_number_of_workers() -> None:
    reconciles = Reconciles(is_open=False)
    async with running(reconciles, workers=3) as (queue, _):
        for number in range(10):
            queue.add(key(number))
        await reconciles.until(lambda: reconciles.widest == 3)
        reconciles.gate.set()
        await reconciles.done(10)
    assert reconciles.widest == 3
    assert reconciles.started == [key(number) for number in range(10)]


@in_virtual_time
async def test_a_reconcile_says_when_it_wants_the_next_one() -> None:
    async def behave(_: Key) -> float | None:
        return 0.05 if len(reconciles.started) < 4 else None

    reconciles = Reconciles(behave)
    async with running(reconciles) as (queue, registry):
        queue.add(key("a"))
        await reconciles.done(4)
        assert reconciles.gaps() == pytest.approx([0.05] * 3)
        assert registry.get_sample_value("tidegate_queue_scheduled") == 0


@in_virtual_time
async def test_every_line_of_a_reconcile_carries_its_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    keys_of_lines = dict[str, str]()

    async def behave(reconciled: Key) -> None:
        await asyncio.sleep(0)
        logging.getLogger("x").info("at %s", reconciled.name)

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            keys_of_lines[record.getMessage()] = key_of(record)

    listener = Listener()
    logging.getLogger("x").addHandler(listener)
    reconciles = Reconciles(behave)
    async with running(reconciles) as (queue, _):
        for name in "abc":
            queue.add(key(name))
        await reconciles.done(3)
    logging.getLogger("x").removeHandler(listener)
    assert keys_of_lines == {f"at {name}": f"FeatureRollout/shop/{name}" for name in "abc"}


@in_virtual_time
async def test_a_busy_key_takes_its_turn_among_others() -> None:
    async def behave(reconciled: Key) -> float | None:
        return 0.0 if reconciled == key("hot") else None

    reconciles = Reconciles(behave)
    async with running(reconciles, workers=1) as (queue, _):
        queue.add(key("hot"))
        await reconciles.until(lambda: len(reconciles.started) > 10)
        for number in range(50):
            queue.add(key(number))
        await reconciles.until(lambda: key(49) in reconciles.started)
        first = reconciles.started.index(key(0))
        assert reconciles.started[first : first + 50].count(key("hot")) <= 1


@in_virtual_time
async def test_a_namespace_that_never_catches_up_serves_all_of_its_keys() -> None:
    """Each is due again after a second, and one worker serves 100 in a second: at the start half of them would wait behind the others."""
    served = Counter[Key]()

    async def reconcile(one: Key) -> float:
        await asyncio.sleep(0.01)
        served[one] += 1
        return 1.0

    queue = Queue(reconcile, QueueMetrics(CollectorRegistry()), QueueSettings(1), clock=loop_time)
    task = asyncio.create_task(queue.run())
    for number in range(200):
        queue.add(key(number), is_urgent=False)
    await asyncio.sleep(70)
    assert len(served) == 200
    await queue.drain(1.0)
    await task


@in_virtual_time
async def test_a_key_that_is_not_urgent_is_so_once_its_own_time_comes() -> None:
    reconciles = Reconciles(is_open=False)
    async with running(reconciles, workers=1) as (queue, _):
        queue.add(key("first"))
        await reconciles.until(lambda: reconciles.running[key("first")] == 1)
        queue.add(key("due"), 0.2)
        for name in ("due", "other"):
            queue.add(key(name), is_urgent=False)
        await asyncio.sleep(0.4)
        queue.add(key("later"))
        reconciles.gate.set()
        await reconciles.done(4)
    assert [one.name for one in reconciles.started] == ["first", "due", "later", "other"]


@in_virtual_time
async def test_keys_are_taken_round_the_namespaces_and_urgent_ones_first() -> None:
    reconciles = Reconciles(is_open=False)
    async with running(reconciles, workers=1) as (queue, _):
        queue.add(key("first"))
        for number in range(3):
            queue.add(key(number), is_urgent=False)
        queue.add(key("urgent"))
        queue.add(key("a", "bank"), is_urgent=False)
        queue.add(key("b", "bank"), is_urgent=False)
        queue.add(key("b", "bank"))  # moves up
        await reconciles.until(lambda: reconciles.running.total() == 1)
        reconciles.gate.set()
        await reconciles.done(7)
    names = [one.name for one in reconciles.started]
    assert names in (["first", "b", "urgent", "a", "0", "1", "2"], ["first", "urgent", "b", "0", "a", "1", "2"])


@in_virtual_time
async def test_reconciles_that_take_long_keep_no_other_namespace_waiting() -> None:
    async def behave(reconciled: Key) -> float | None:
        if reconciled.namespace == "shop":
            await asyncio.sleep(30)
            return 0.0
        return 5.0

    reconciles = Reconciles(behave)
    async with running(reconciles, workers=16, time_limit=60) as (queue, _):
        for number in range(200):
            queue.add(key(number))
        await asyncio.sleep(7)
        queue.add(key("quiet", "bank"))
        await reconciles.until(lambda: reconciles.started.count(key("quiet", "bank")) == 20, 200)
        assert max(reconciles.gaps(key("quiet", "bank"))) <= 5.0 + 0.5
        assert sum(reconciles.running[key(number)] for number in range(200)) == QueueSettings().share


async def cost_of(keys: int) -> float:
    """CPU seconds for two reconciles of each of so many keys."""

    async def behave(_: Key) -> float | None:
        return 0.05 if len(reconciles.started) <= keys else None

    reconciles = Reconciles(behave)
    async with running(reconciles) as (queue, _):
        before = time.process_time()
        for number in range(keys):
            queue.add(key(number))
        while len(reconciles.started) < 2 * keys:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return time.process_time() - before


@pytest.mark.thorough
@in_virtual_time
async def test_a_key_costs_the_same_among_ten_thousand() -> None:
    few, many = await cost_of(1000), await cost_of(10_000)
    assert many < 40 * few, "ten times as many keys cost a hundred times as much where each is compared with all"
