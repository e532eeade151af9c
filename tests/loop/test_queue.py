"""The keyed queue in virtual time: every wait is exact, and none of them costs any."""

import asyncio
import logging
import time

import pytest
from prometheus_client import CollectorRegistry

from tests.loop.looks import Looks, key, running
from tests.virtual_time import in_virtual_time, loop_time
from tidegate.domain.keys import Key
from tidegate.logs import key_of
from tidegate.loop.queue import Queue, QueueSettings
from tidegate.loop.queue_metrics import QueueMetrics


@in_virtual_time
async def test_a_key_that_waits_waits_once() -> None:
    looks = Looks()
    registry = CollectorRegistry()
    queue = Queue(looks, QueueMetrics(registry), QueueSettings(2), clock=loop_time)
    for _ in range(100):
        queue.add(key("a"))
    queue.add(key("b"), 0.05)
    queue.add(key("b"), 9.0)
    queue.add(key("c"), 9.0)
    assert registry.get_sample_value("tidegate_queue_ready") == 1
    assert registry.get_sample_value("tidegate_queue_scheduled") == 2
    task = asyncio.create_task(queue.run())
    await looks.until(lambda: looks.started == [key("a"), key("b")] and not looks.running.total())
    queue.add(key("c"))
    await looks.until(lambda: looks.started == [key("a"), key("b"), key("c")])
    await queue.drain(1.0)
    await task
    assert registry.get_sample_value("tidegate_queue_scheduled") == 0


@in_virtual_time
async def test_a_key_added_while_it_is_looked_at_is_looked_at_again_and_never_twice_at_once() -> None:
    gate = asyncio.Event()

    async def behave(_: Key) -> None:
        await gate.wait()

    looks = Looks(behave)
    async with running(looks) as (queue, _):
        queue.add(key("a"))
        await looks.until(lambda: looks.running[key("a")] == 1)
        for _ in range(10):
            queue.add(key("a"))
        gate.set()
        await looks.until(lambda: len(looks.started) == 2 and not looks.running.total())
    assert looks.started == [key("a")] * 2
    assert looks.most_at_once[key("a")] == 1


@in_virtual_time
async def test_keys_are_looked_at_side_by_side_up_to_the_number_of_workers() -> None:
    gate = asyncio.Event()

    async def behave(_: Key) -> None:
        await gate.wait()

    looks = Looks(behave)
    async with running(looks, workers=3) as (queue, _):
        for number in range(10):
            queue.add(key(number))
        await looks.until(lambda: looks.widest == 3)
        gate.set()
        await looks.until(lambda: len(looks.started) == 10 and not looks.running.total())
    assert looks.widest == 3
    assert looks.started == [key(number) for number in range(10)]


@in_virtual_time
async def test_a_look_says_when_it_wants_the_next_one() -> None:
    async def behave(_: Key) -> float | None:
        return 0.05 if len(looks.started) < 4 else None

    looks = Looks(behave)
    async with running(looks) as (queue, registry):
        queue.add(key("a"))
        await looks.until(lambda: len(looks.started) == 4 and not looks.running.total())
        assert looks.gaps() == pytest.approx([0.05] * 3)
        assert registry.get_sample_value("tidegate_queue_scheduled") == 0


@in_virtual_time
async def test_an_earlier_wake_up_overtakes_a_later_one() -> None:
    looks = Looks()
    async with running(looks) as (queue, _):
        queue.add(key("later"), 30.0)
        queue.add(key("late"), 0.2)
        queue.add(key("soon"), 0.02)
        queue.add(key("later"), 0.1)
        await looks.until(lambda: len(looks.started) == 3)
    assert [looked.name for looked in looks.started] == ["soon", "later", "late"]


@in_virtual_time
async def test_every_line_of_a_look_carries_its_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    keys_of_lines = dict[str, str]()

    async def behave(looked_at: Key) -> None:
        await asyncio.sleep(0)
        logging.getLogger("x").info("at %s", looked_at.name)

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            keys_of_lines[record.getMessage()] = key_of(record)

    listener = Listener()
    logging.getLogger("x").addHandler(listener)
    looks = Looks(behave)
    async with running(looks) as (queue, _):
        for name in "abc":
            queue.add(key(name))
        await looks.until(lambda: len(looks.started) == 3 and not looks.running.total())
    logging.getLogger("x").removeHandler(listener)
    assert keys_of_lines == {f"at {name}": f"FeatureRollout/shop/{name}" for name in "abc"}


@in_virtual_time
async def test_a_busy_key_takes_its_turn_among_others() -> None:
    async def behave(looked_at: Key) -> float | None:
        return 0.0 if looked_at == key("hot") else None

    looks = Looks(behave)
    async with running(looks, workers=1) as (queue, _):
        queue.add(key("hot"))
        await looks.until(lambda: len(looks.started) > 10)
        for number in range(50):
            queue.add(key(number))
        await looks.until(lambda: key(49) in looks.started)
        first = looks.started.index(key(0))
        assert looks.started[first : first + 50].count(key("hot")) <= 1


async def cost_of(keys: int) -> float:
    """CPU seconds for two looks at each of so many keys."""
    looks = 0
    done = asyncio.Event()

    async def look(_: Key) -> float | None:
        nonlocal looks
        looks += 1
        if looks == 2 * keys:
            done.set()
        return 0.05 if looks <= keys else None

    queue = Queue(look, QueueMetrics(CollectorRegistry()), clock=loop_time)
    task = asyncio.create_task(queue.run())
    before = time.process_time()
    for number in range(keys):
        queue.add(key(number))
    await done.wait()
    spent = time.process_time() - before
    await queue.drain(1.0)
    await task
    return spent


@pytest.mark.thorough
@in_virtual_time
async def test_a_key_costs_the_same_among_ten_thousand() -> None:
    few, many = await cost_of(1000), await cost_of(10_000)
    assert many < 40 * few, "ten times as many keys cost a hundred times as much where each is compared with all"
