"""Whose question is sent next, and what is said of those that come too late."""

import asyncio
import math
from collections import Counter
from dataclasses import replace

import pytest

from tests.virtual_time import in_virtual_time, loop_time
from tidegate.api.conditions import Reason
from tidegate.clients.errors import SourceTimeout
from tidegate.clients.prometheus import Endpoint, InstantVector, Prometheus, Series
from tidegate.domain.answers import Failure
from tidegate.observe.age import Source
from tidegate.observe.questions import Questions
from tidegate.observe.sending import BOUNDS, Asker
from tidegate.observe.silence import FAILURES_IN_A_ROW, PROBE_EVERY

AT = 1_800_000_000.0
SOURCE = Source("production", Endpoint("http://prometheus:9090", timeout=10.0))
TICK = 5.0
ONE = InstantVector("vector", (Series((), 1.0),), 1)


class Slow(Prometheus):
    """Takes a hundredth of a second for each query, and more than the time-out for those with `slow` in them."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.under_way = Counter[str]()
        self.most = Counter[str]()
        self.is_dead = False

    async def instant(self, endpoint: Endpoint, query: str, at: float, keep: int = 0) -> InstantVector:
        kind = query.partition("_")[0]
        self.sent.append(query)
        self.under_way[kind] += 1
        self.most[kind] = max(self.most[kind], self.under_way[kind])
        try:
            if kind == "slow" or self.is_dead:
                await asyncio.sleep(endpoint.timeout)
                raise SourceTimeout(f"no complete answer within {endpoint.timeout:g} s")
            await asyncio.sleep(0.01)
            return ONE
        finally:
            self.under_way[kind] -= 1


def of(namespace: str, rollout: str = "r", *, place: float = -math.inf, patience: float = TICK, is_urgent: bool = False) -> Source:
    return replace(SOURCE, asker=Asker(namespace, rollout, place, loop_time(), patience, is_urgent))


@in_virtual_time
async def test_sixty_rollouts_with_sixteen_slow_gates_each_delay_no_neighbour() -> None:
    prometheus = Slow()
    questions = Questions(prometheus)

    async def trouble() -> None:
        for tick in range(20):
            asks = (
                questions.vector(of("shop", f"r{rollout}"), f"slow_{rollout}_{gate}", AT + tick)
                for rollout in range(60)
                for gate in range(16)
            )
            await asyncio.gather(*asks)

    beside = asyncio.create_task(trouble())
    for tick in range(20):
        await asyncio.sleep(TICK)
        began = loop_time()
        answers = await asyncio.gather(*(questions.vector(of("bank"), f"quick_{number}", AT + tick) for number in range(10)))
        assert answers == [ONE] * 10
        assert loop_time() - began < 1.0
    assert prometheus.most["slow"] <= BOUNDS.share
    beside.cancel()


@in_virtual_time
async def test_the_time_out_counts_from_the_sending() -> None:
    """Twenty queries of nine seconds, eight at a time: the last one is sent after eighteen."""

    class Nine(Slow):
        async def instant(self, endpoint: Endpoint, query: str, at: float, keep: int = 0) -> InstantVector:
            await asyncio.sleep(9.0)
            return ONE

    questions = Questions(Nine())
    asked = [questions.vector(of("shop", patience=30.0), f"slow_{number}", AT) for number in range(20)]
    assert await asyncio.gather(*asked) == [ONE] * 20


@in_virtual_time
async def test_what_may_roll_back_goes_before_what_may_not_and_who_waited_longest_before_others() -> None:
    prometheus = Slow()
    questions = Questions(prometheus)
    first = [asyncio.create_task(questions.vector(of("shop", "busy", place=5), f"quick_{number}", AT)) for number in range(30)]
    await asyncio.sleep(0)
    others = [asyncio.create_task(questions.vector(of("shop", "other", place=4), f"other_{number}", AT)) for number in range(2)]
    guard = asyncio.create_task(questions.vector(of("shop", "busy", place=5, is_urgent=True), "guard", AT))
    await asyncio.gather(*first, *others, guard)
    assert prometheus.sent[BOUNDS.share :][:3] == ["guard", "other_0", "other_1"]


@in_virtual_time
async def test_where_not_all_rollouts_can_be_answered_in_time_each_is_answered_as_a_whole_by_and_by() -> None:
    """Twenty rollouts with sixteen queries of half a second: five of them in an interval."""

    class Half(Slow):
        async def instant(self, endpoint: Endpoint, query: str, at: float, keep: int = 0) -> InstantVector:
            await asyncio.sleep(0.49)
            return ONE

    questions = Questions(Half())
    complete = Counter[int]()

    async def look(rollout: int, tick: int) -> None:
        asker = replace(questions.asker("shop", str(rollout)), patience=TICK)
        asked = [questions.vector(replace(SOURCE, asker=asker), f"quick_{rollout}_{number}", AT + tick) for number in range(16)]
        complete[rollout] += all(answer == ONE for answer in await asyncio.gather(*asked))

    for tick in range(20):
        await asyncio.gather(*(look(rollout, tick) for rollout in range(20)))
    assert min(complete[rollout] for rollout in range(20)) >= 3, complete
    assert complete.total() >= 20 * 4


@in_virtual_time
async def test_a_slow_query_is_neither_a_silent_source_nor_a_namespace_that_asks_too_much() -> None:
    questions = Questions(Slow())
    slow = [questions.vector(of("shop", f"r{number}"), f"slow_{number}", AT) for number in range(BOUNDS.share + 1)]
    found, _ = await asyncio.gather(asyncio.gather(*slow), _asks_on(questions))
    reasons = [one.reason for one in found if isinstance(one, Failure)]
    assert reasons == [Reason.QUERY_SLOW] * BOUNDS.share + [Reason.SOURCE_BUSY]
    assert [one.message for one in found if isinstance(one, Failure)][-2:] == [
        "no complete answer within 5 s, when the other gates were judged, while other queries are answered",
        "its turn did not come within 5 s: namespace shop asks more than 8 queries at once, or slow ones",
    ]


async def _asks_on(questions: Questions) -> None:
    for number in range(8):
        await questions.vector(of("bank"), f"quick_{number}", AT)
        await asyncio.sleep(1)


@in_virtual_time
async def test_a_source_that_answers_nothing_has_timed_out_for_those_that_were_not_sent_too() -> None:
    prometheus = Slow()
    prometheus.is_dead = True
    questions = Questions(prometheus)
    found = await asyncio.gather(*(questions.vector(of("shop"), f"quick_{number}", AT) for number in range(20)))
    assert {one.reason for one in found if isinstance(one, Failure)} == {Reason.PROMETHEUS_TIMEOUT}
    before = len(prometheus.sent)
    assert before == BOUNDS.share
    await asyncio.gather(*(questions.vector(of("shop"), f"quick_{number}", AT + 1) for number in range(20)))
    assert len(prometheus.sent) == before, f"silent after {FAILURES_IN_A_ROW}"


@in_virtual_time
async def test_a_probe_whose_turn_never_comes_leaves_the_next_one_to_find_out() -> None:
    prometheus = Slow()
    prometheus.is_dead = True
    questions = Questions(prometheus)
    await asyncio.gather(*(questions.vector(of("shop"), f"quick_{number}", AT) for number in range(4)))
    await asyncio.sleep(2 * PROBE_EVERY)
    asked = [(namespace, number) for namespace in ("a", "b") for number in range(BOUNDS.share)]
    others = [asyncio.create_task(questions.vector(of(namespace), f"slow_{namespace}{number}", AT)) for namespace, number in asked]
    await asyncio.sleep(0.01)
    prober = asyncio.create_task(questions.vector(of("shop"), "quick_5", AT))
    await asyncio.sleep(0.01)
    prober.cancel()
    assert "quick_5" not in prometheus.sent, "all slots are taken"
    prometheus.is_dead = False
    await asyncio.sleep(PROBE_EVERY)
    assert await questions.vector(of("shop"), "quick_6", AT) == ONE
    for task in others:
        task.cancel()


@in_virtual_time
async def test_slow_queries_of_one_namespace_make_the_source_silent_for_no_other() -> None:
    """Nobody else asks meanwhile, so that nothing shows that the source still answers."""
    questions = Questions(Slow())
    for tick in range(3):
        await asyncio.gather(*(questions.vector(of("shop"), f"slow_{number}", AT + tick) for number in range(4)))
    assert await questions.vector(of("bank"), "quick_0", AT) == ONE


@in_virtual_time
async def test_a_question_that_nobody_waits_for_any_more_is_given_up() -> None:
    prometheus = Slow()
    questions = Questions(prometheus)
    await asyncio.gather(*(questions.vector(of("shop"), f"slow_{number}", AT) for number in range(12)))
    await asyncio.sleep(0)
    assert (prometheus.under_way.total(), len(prometheus.sent)) == (0, BOUNDS.share), "neither goes on nor is sent later"


@in_virtual_time
async def test_a_question_of_two_namespaces_is_asked_at_the_first_turn_of_either() -> None:
    prometheus = Slow()
    questions = Questions(prometheus)
    trouble = [asyncio.create_task(questions.vector(of("shop"), f"slow_{number}", AT)) for number in range(20)]
    behind = asyncio.create_task(questions.vector(of("shop"), "quick_shared", AT))
    await asyncio.sleep(0.1)
    assert await asyncio.wait_for(questions.vector(of("bank"), "quick_shared", AT), 0.1) == ONE
    assert await behind == ONE
    assert prometheus.sent.count("quick_shared") == 1
    for task in trouble:
        task.cancel()


@pytest.mark.parametrize("patience", [TICK, 60.0])
@in_virtual_time
async def test_what_got_no_answer_is_counted_by_its_reason(patience: float) -> None:
    failed: list[tuple[str, Reason]] = []
    questions = Questions(Slow(), failed=lambda policy, reason: failed.append((policy, reason)))
    await asyncio.gather(questions.vector(of("shop", patience=patience), "slow_1", AT), _asks_on(questions))
    assert failed == [("production", Reason.QUERY_SLOW)]
