"""Events on their way, in virtual time: their order, their number, what an API server that is away costs, and the end."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tests.fakes.writing import writer
from tests.virtual_time import in_virtual_time, loop_time
from tidegate.clients.errors import AlreadyExists, ApiError, Forbidden, Invalid, NotFound, Refused, TooManyRequests, Unavailable
from tidegate.clients.kubernetes import Kubernetes
from tidegate.clients.resources import JsonObject, Resource
from tidegate.domain.keys import Key, Kind
from tidegate.report.outbox import Outbox, OutboxSettings


def key(name: str) -> Key:
    return Key(Kind.FEATURE_ROLLOUT, "shop", name)


def bodies(about: str, *numbers: int) -> list[JsonObject]:
    return [{"metadata": {"name": f"{about}.{number}"}, "reason": "StepDecided"} for number in numbers]


def failure(kind: type[ApiError]) -> ApiError:
    return kind("create events", "no")


class Scripted(Kubernetes):
    """Takes Events after a millisecond, unless `answer` raises or waits."""

    def __init__(self, answer: Callable[[str], Any] | None = None) -> None:
        self.answer = answer
        self.tried: list[tuple[float, str]] = []
        self.posted: list[str] = []

    async def create(self, resource: Resource, body: JsonObject, *, time_limit: float | None = None) -> JsonObject:
        name: str = body["metadata"]["name"]
        self.tried.append((loop_time(), name))
        await asyncio.sleep(0.001)
        said = self.answer(name) if self.answer else None
        if isinstance(said, asyncio.Event):
            await said.wait()
        elif said is not None:
            raise said
        self.posted.append(name)
        return body

    def of(self, about: str) -> list[str]:
        return [name for name in self.posted if name.startswith(f"{about}.")]


class Running:
    def __init__(self, kubernetes: Scripted, outbox: Outbox, registry: CollectorRegistry) -> None:
        self.kubernetes, self.outbox, self.registry = kubernetes, outbox, registry

    def dropped(self, reason: str) -> float:
        return self.registry.get_sample_value("tidegate_events_dropped_total", {"reason": reason}) or 0.0

    def waiting(self) -> float | None:
        return self.registry.get_sample_value("tidegate_events_waiting")


@asynccontextmanager
async def running(kubernetes: Scripted, *, is_leader: bool = True, **settings: Any) -> AsyncIterator[Running]:
    registry = CollectorRegistry()
    outbox = Outbox(writer(kubernetes, is_leader=is_leader), registry, OutboxSettings(**settings))
    task = asyncio.create_task(outbox.run())
    try:
        yield Running(kubernetes, outbox, registry)
    finally:
        task.cancel()
        await asyncio.wait([task])


@in_virtual_time
async def test_each_rollout_s_events_go_in_their_order_and_different_ones_side_by_side() -> None:
    async with running(Scripted(), posters=4) as world:
        for number in range(1, 6):
            for about in "abcd":
                world.outbox.put(key(about), bodies(about, number))
        began = loop_time()
        await world.outbox.drain(10.0)
        assert loop_time() - began < 0.0125, "20 ms one by one"
    for about in "abcd":
        assert world.kubernetes.of(about) == [f"{about}.{number}" for number in range(1, 6)]
    assert world.waiting() == 0


@in_virtual_time
async def test_one_that_hangs_holds_up_only_those_of_its_rollout() -> None:
    never = asyncio.Event()
    async with running(Scripted(lambda name: never if name == "a.1" else None)) as world:
        world.outbox.put(key("a"), bodies("a", 1, 2))
        world.outbox.put(key("b"), bodies("b", 1, 2))
        await asyncio.sleep(1)
        assert world.kubernetes.posted == ["b.1", "b.2"]
        assert world.waiting() == 2


@in_virtual_time
async def test_an_outage_loses_nothing_changes_no_order_and_is_not_asked_often() -> None:
    kubernetes = Scripted(lambda _: failure(Unavailable))
    async with running(kubernetes) as world:
        for number in range(1, 51):
            for about in "abcd":
                world.outbox.put(key(about), bodies(about, number))
        await asyncio.sleep(60)
        assert len(kubernetes.tried) < 150, "eight posters, every five seconds"
        kubernetes.answer, over = None, loop_time()
        await world.outbox.drain(60.0)
        assert loop_time() - over < 5.2
    for about in "abcd":
        assert kubernetes.of(about) == [f"{about}.{number}" for number in range(1, 51)]
    assert all(world.dropped(reason) == 0 for reason in ("refused", "late", "full", "stopped"))


@in_virtual_time
async def test_patience_that_the_api_server_asks_for_is_had() -> None:
    kubernetes = Scripted(lambda _: TooManyRequests("create events", "busy", 429, 30.0))
    async with running(kubernetes, posters=1) as world:
        world.outbox.put(key("a"), bodies("a", 1))
        await asyncio.sleep(29)
        assert len(kubernetes.tried) == 1
        kubernetes.answer = None
        await asyncio.sleep(2)
        assert kubernetes.posted == ["a.1"]


@pytest.mark.parametrize("refusal", [Forbidden, Refused, Invalid, NotFound])
@in_virtual_time
async def test_what_is_refused_is_given_up_and_counted(refusal: type[ApiError]) -> None:
    async with running(Scripted(lambda name: failure(refusal) if name == "a.1" else None)) as world:
        world.outbox.put(key("a"), bodies("a", 1, 2))
        await world.outbox.drain(1.0)
    assert world.kubernetes.posted == ["a.2"]
    assert world.dropped("refused") == 1


@in_virtual_time
async def test_what_is_there_already_was_posted_before() -> None:
    async with running(Scripted(lambda name: failure(AlreadyExists) if name == "a.1" else None)) as world:
        world.outbox.put(key("a"), bodies("a", 1, 2))
        await world.outbox.drain(1.0)
    assert (world.kubernetes.posted, world.dropped("refused")) == (["a.2"], 0)


@in_virtual_time
async def test_what_is_too_old_is_given_up_and_what_is_young_is_not() -> None:
    kubernetes = Scripted(lambda _: failure(Unavailable))
    async with running(kubernetes, patience=100.0) as world:
        world.outbox.put(key("a"), bodies("a", 1, 2))
        await asyncio.sleep(90)
        world.outbox.put(key("a"), bodies("a", 3))
        await asyncio.sleep(30)
        assert (world.dropped("late"), world.waiting()) == (2, 1)
        kubernetes.answer = None
        await world.outbox.drain(10.0)
    assert kubernetes.posted == ["a.3"]


@in_virtual_time
async def test_no_more_than_so_many_wait() -> None:
    async with running(Scripted(lambda _: failure(Unavailable)), capacity=5) as world:
        for about in "abc":
            world.outbox.put(key(about), bodies(about, 1, 2, 3))
        assert (world.waiting(), world.dropped("full")) == (5, 4)
        world.kubernetes.answer = None
        await world.outbox.drain(10.0)
        assert Counter(name[0] for name in world.kubernetes.posted) == {"a": 3, "b": 2}
        world.outbox.put(key("c"), bodies("c", 4))
        await world.outbox.drain(10.0)
    assert world.kubernetes.posted[-1] == "c.4"


@in_virtual_time
async def test_the_end_waits_for_what_can_be_posted_and_no_longer_than_its_grace() -> None:
    kubernetes = Scripted(lambda _: failure(Unavailable))
    async with running(kubernetes) as world:
        world.outbox.put(key("a"), bodies("a", 1, 2, 3))
        began = loop_time()
        await world.outbox.drain(7.0)
        assert loop_time() - began == pytest.approx(7.0)
    assert world.dropped("stopped") == 3


@in_virtual_time
async def test_a_leader_that_was_deposed_posts_nothing() -> None:
    async with running(Scripted(), is_leader=False) as world:
        world.outbox.put(key("a"), bodies("a", 1))
        await asyncio.sleep(30)
    assert world.kubernetes.tried == []
