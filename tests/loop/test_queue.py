"""The keyed queue in virtual time: every wait is exact, and none of them costs any."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from prometheus_client import CollectorRegistry

from tests.virtual_time import in_virtual_time, loop_time
from tidegate.domain.keys import Key, Kind
from tidegate.logs import key_of
from tidegate.loop.queue import FailedLookError, Queue, QueueSettings
from tidegate.loop.queue_metrics import QueueMetrics


def key(name: object) -> Key:
    return Key(Kind.FEATURE_ROLLOUT, "shop", str(name))


class Looks:
    """Records each look; `behave` says what a look does."""

    def __init__(self, behave: Callable[[Key], Awaitable[float | None]] | None = None) -> None:
        self.behave = behave
        self.started: list[Key] = []
        self.times: list[float] = []
        self.running: Counter[Key] = Counter()
        self.most_at_once: Counter[Key] = Counter()
        self.widest = 0
        self.changed = asyncio.Condition()

    async def __call__(self, looked_at: Key) -> float | None:
        self.started.append(looked_at)
        self.times.append(loop_time())
        self.running[looked_at] += 1
        self.most_at_once[looked_at] = max(self.most_at_once[looked_at], self.running[looked_at])
        self.widest = max(self.widest, self.running.total())
        await self._tell()
        try:
            return await self.behave(looked_at) if self.behave else None
        finally:
            self.running[looked_at] -= 1
            await self._tell()

    def gaps(self, of: Key | None = None) -> list[float]:
        """The seconds from each look to the next, of one key or of all."""
        times = [at for at, looked in zip(self.times, self.started, strict=True) if of in (None, looked)]
        return [later - earlier for earlier, later in pairwise(times)]

    async def until(self, condition: Callable[[], bool], seconds: float = 5.0) -> None:
        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(condition)

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()


@asynccontextmanager
async def running(looks: Looks, workers: int = 4, time_limit: float = 5.0) -> AsyncIterator[tuple[Queue, CollectorRegistry]]:
    registry = CollectorRegistry()
    queue = Queue(looks, QueueMetrics(registry), QueueSettings(workers, time_limit), clock=loop_time, jitter=lambda: 1.0)
    task = asyncio.create_task(queue.run())
    try:
        yield queue, registry
    finally:
        await queue.drain(1.0)
        await task


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
        raise FailedLookError(ConnectionError("refused"), 1.0)

    looks = Looks(fail)
    async with running(looks) as (queue, _):
        queue.add(key("watched"))
        await looks.until(lambda: len(looks.times) >= 7, 15)
    assert looks.gaps() == pytest.approx([0.2, 0.4, 0.8, 1.0, 1.0, 1.0]), "the last would be 1.6, 3.2 and 5 s otherwise"


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


@in_virtual_time
async def test_a_key_costs_the_same_among_ten_thousand() -> None:
    few, many = await cost_of(1000), await cost_of(10_000)
    assert many < 40 * few, "ten times as many keys cost a hundred times as much where each is compared with all"
