"""Which sources are taken for dead, and when they are asked again."""

import asyncio

from tidegate.api.conditions import Reason
from tidegate.clients.prometheus import Endpoint
from tidegate.domain.answers import Failure
from tidegate.observe.silence import FAILURES_IN_A_ROW, PROBE_EVERY, Silence

WRONG = Endpoint("http://wrong:9090", 5.0)
RIGHT = Endpoint("http://right:9090", 5.0)
PARTY = "shop"
REFUSED = Failure(Reason.PROMETHEUS_UNREACHABLE, "refused")


async def dead() -> Silence:
    silence = Silence()
    for _ in range(FAILURES_IN_A_ROW):
        assert await silence.known(WRONG, PARTY, 0.0) is None
        silence.failed(WRONG, PARTY, REFUSED, 0.0)
        silence.probed(WRONG, PARTY)
    return silence


async def test_others_wait_for_the_probe_and_share_what_it_finds() -> None:
    silence = await dead()
    assert await silence.known(WRONG, PARTY, PROBE_EVERY) is None
    waiting = [asyncio.create_task(silence.known(WRONG, PARTY, PROBE_EVERY)) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    silence.answered(WRONG, PARTY, PROBE_EVERY + 0.1)
    silence.probed(WRONG, PARTY)
    assert await asyncio.gather(*waiting) == [None, None, None]


async def test_a_probe_that_hangs_holds_nobody_up_for_long() -> None:
    silence = await dead()
    assert await silence.known(WRONG, PARTY, PROBE_EVERY) is None
    assert await asyncio.wait_for(silence.known(WRONG, PARTY, PROBE_EVERY), 5) == REFUSED


async def test_other_sources_are_not_touched() -> None:
    silence = await dead()
    assert await silence.known(RIGHT, PARTY, 0.1) is None
    silence.failed(RIGHT, PARTY, REFUSED, 0.1)
    assert await silence.known(RIGHT, PARTY, 0.2) is None, "one failure is not three"


async def test_what_one_namespace_finds_silent_others_ask_all_the_same() -> None:
    silence = await dead()
    assert await silence.known(WRONG, PARTY, 0.1) == REFUSED
    assert await silence.known(WRONG, "others", 0.1) is None


async def test_a_source_that_answers_somebody_is_asked_again_at_once_for_those_that_it_was_silent_for() -> None:
    silence = await dead()
    silence.answered(WRONG, "others", 0.2)
    assert silence.answers_since(WRONG, 0.2)
    assert not silence.answers_since(WRONG, 0.3)
    assert await silence.known(WRONG, PARTY, 0.3) is None, "the probe, for which the others of its namespace wait"
    silence.failed(WRONG, PARTY, REFUSED, 0.4)
    silence.probed(WRONG, PARTY)
    assert await silence.known(WRONG, PARTY, 0.5) == REFUSED, "it has failed since"
