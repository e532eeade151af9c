"""How often a gate is asked whose query is too slow."""

import asyncio
from itertools import pairwise

from tests.virtual_time import in_virtual_time, loop_time
from tidegate.api.conditions import Reason
from tidegate.domain.answers import Answer, Failure, GateAnswer
from tidegate.observe.resting import LONGEST, Resting

SLOW = GateAnswer(Failure(Reason.QUERY_SLOW, "no complete answer within 10 s"))
GOOD = GateAnswer(Answer(0.0, "vector", (), None, 0.0, 0))


async def asked_at(answers: list[GateAnswer], ticks: int) -> list[float]:
    """When a gate was asked, looked at once a second."""
    resting, times = Resting(), list[float]()
    for _ in range(ticks):
        if resting.failure("gate") is None:
            times.append(loop_time())
            resting.answered("gate", answers.pop(0) if answers else SLOW)
        await asyncio.sleep(1)
    return times


@in_virtual_time
async def test_it_is_asked_less_often_and_at_least_so_often() -> None:
    times = await asked_at([], 300)
    assert [later - earlier for earlier, later in pairwise(times)][:7] == [1, 10, LONGEST, LONGEST, LONGEST, LONGEST, LONGEST]


@in_virtual_time
async def test_an_answer_ends_the_rest_and_other_failures_make_none() -> None:
    refused = GateAnswer(Failure(Reason.PROMETHEUS_TIMEOUT, "no complete answer within 10 s"))
    times = await asked_at([SLOW, SLOW, GOOD, *[refused] * 5, SLOW, SLOW], 30)
    assert [later - earlier for earlier, later in pairwise(times)] == [1, 10, *[1] * 7, 10]


@in_virtual_time
async def test_what_is_said_meanwhile_names_how_often_and_until_when() -> None:
    resting = Resting()
    assert resting.failure("gate") is None
    for _ in range(2):
        resting.answered("gate", SLOW)
    await asyncio.sleep(3)
    found = resting.failure("gate")
    assert found == Failure(Reason.QUERY_SLOW, "no complete answer within 10 s, 2 times in a row: asked again within 7 s")
    assert resting.failure("other") is None
