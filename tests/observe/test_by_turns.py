"""Computing by turns: what else is ready goes between, and no namespace waits for all of another's."""

import asyncio

from tests.virtual_time import in_virtual_time
from tidegate.observe.by_turns import ByTurns


async def compute(computing: ByTurns, told: list[str], namespace: str, *, is_urgent: bool = True) -> None:
    async with computing.turn(namespace, is_urgent=is_urgent):
        told.append(namespace)


@in_virtual_time
async def test_whatever_else_is_ready_goes_between_two_turns() -> None:
    computing, told = ByTurns(), list[str]()

    async def beat() -> None:
        for _ in range(200):
            told.append(".")
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(compute(computing, told, "shop")) for _ in range(50)]
    await asyncio.gather(asyncio.create_task(beat()), *tasks)
    assert told.count("shop") == 50
    assert "shopshop" not in "".join(told)


@in_virtual_time
async def test_it_goes_round_the_namespaces_and_urgent_turns_come_first() -> None:
    computing, told = ByTurns(), list[str]()
    shop = [asyncio.create_task(compute(computing, told, "shop")) for _ in range(20)]
    late = asyncio.create_task(compute(computing, told, "late", is_urgent=False))
    bank = [asyncio.create_task(compute(computing, told, "bank")) for _ in range(2)]
    await asyncio.gather(*shop, late, *bank)
    assert told[:6].count("bank") == 2
    assert "late" in told[:6]


@in_virtual_time
async def test_one_that_is_given_up_leaves_its_turn_to_others() -> None:
    computing, told = ByTurns(), list[str]()
    async with computing.turn("shop", is_urgent=True):
        waiting = asyncio.create_task(compute(computing, told, "shop"))
        await asyncio.sleep(0)
        waiting.cancel()
    await asyncio.wait_for(compute(computing, told, "shop"), 1)
    assert told == ["shop"]
