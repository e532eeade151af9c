"""Steady traffic from inside the application: users ask, flags are evaluated by the OpenFeature SDK, requests are handled."""

import asyncio
import time
from collections.abc import Callable
from random import Random

from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext

from demo.application.measures import Measures
from demo.application.trading import FEATURES, TradingEngine

USERS = 5000
TICK_SECONDS = 0.02
MOST_PER_TICK = 100


Flags = Callable[[str, str], bool]
"""(feature, user) → whether the user has it on."""


def flags_of(client: OpenFeatureClient) -> Flags:
    """The flags as the SDK evaluates them; off where they are not known."""

    def is_on(feature: str, user: str) -> bool:
        return client.get_boolean_value(feature, False, EvaluationContext(targeting_key=user))

    return is_on


class Traffic:
    """Users drawn evenly from `user-0` to `user-4999`."""

    def __init__(self, flags: Flags, engine: TradingEngine, measures: Measures, random: Random) -> None:
        self._flags = flags
        self._engine = engine
        self._measures = measures
        self._random = random

    def request(self) -> None:
        """One request of one user."""
        user = f"user-{self._random.randrange(USERS)}"
        features = {}
        for feature in FEATURES:
            features[feature] = on = self._flags(feature, user)
            self._measures.seen(feature, on=on, at=time.time())
        self._engine.handle(features)

    async def run(self, per_second: float) -> None:
        """Requests at a steady rate until cancelled. What a stall leaves undone beyond a bound is dropped, not made up for in a burst."""
        clock = asyncio.get_running_loop().time
        due, before = 0.0, clock()
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = clock()
            due = min(due + (now - before) * per_second, MOST_PER_TICK)
            before = now
            for _ in range(int(due)):
                self.request()
            due -= int(due)
