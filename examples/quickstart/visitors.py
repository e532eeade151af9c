"""Visitors of the shop: up to 50 searches a second, from 2,000 users. SHOP in the environment is the shop's URL."""

import asyncio
import os
from contextlib import suppress
from random import randrange

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

USERS = 2000
AT_ONCE = 10
PAUSE_SECONDS = 0.2


async def visit(session: ClientSession) -> None:
    """One search of any user. A shop that doesn't answer is left alone."""
    user = f"user-{randrange(USERS)}"  # noqa: S311 - a simulation
    with suppress(ClientError, TimeoutError):
        async with session.get("/search", params={"user": user}):
            pass


async def visitors(shop: str) -> None:
    """Comes again and again, on new connections: else a new pod of the shop would see nobody while there is an old one."""
    async with ClientSession(shop, connector=TCPConnector(force_close=True), timeout=ClientTimeout(total=2)) as session:
        while True:
            await asyncio.gather(*(visit(session) for _ in range(AT_ONCE)), asyncio.sleep(PAUSE_SECONDS))


if __name__ == "__main__":
    asyncio.run(visitors(os.environ["SHOP"]))
