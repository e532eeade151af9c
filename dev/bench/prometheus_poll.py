"""When a bad sample is there to be queried: the real Prometheus, asked every 20 ms."""

import asyncio
import time

from tests.e2e.support.api import Api

EVERY = 0.02


class PrometheusPoll:
    """For each series of a selector (told apart by the label `flag`): its first sample above a bound."""

    def __init__(self, api: Api, selector: str, bound: float) -> None:
        self._api = api
        self._selector = selector
        self._bound = bound
        self.queryable: dict[str, float] = {}
        """By flag: when the query was sent whose answer had the sample first."""
        self.sampled: dict[str, float] = {}
        """By flag: the sample's own timestamp."""

    async def run(self) -> None:
        """Polls until cancelled."""
        while True:
            sent = time.time()
            for flag in await self._above():
                if flag not in self.queryable:
                    self.queryable[flag] = sent
                    self.sampled[flag] = await self._first_sample(flag)
            await asyncio.sleep(max(0.0, sent + EVERY - time.time()))

    async def _above(self) -> list[str]:
        return [one["metric"]["flag"] for one in await self._api.prometheus(f"{self._selector} > {self._bound}")]

    async def _first_sample(self, flag: str) -> float:
        narrowed = self._selector.replace("}", f',flag="{flag}"}}')
        (series,) = await self._api.prometheus(f"{narrowed}[1m]")
        return min(float(at) for at, value in series["values"] if float(value) > self._bound)
