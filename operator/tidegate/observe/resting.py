"""Gates whose queries are too slow again and again are asked less often, so that they take less from the others of their namespace."""

import asyncio
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, replace

from tidegate.api.conditions import Reason
from tidegate.domain.answers import Failure, GateAnswer

_FIRST = 5.0
LONGEST = 15.0
"""Seconds. A query that is quick again is asked within this time, since it may roll something back; and it may have been others that
made it slow."""
_MOST = 20_000


@dataclass(frozen=True, slots=True)
class _Rest:
    times: int
    until: float
    failure: Failure


class Resting:
    """By gate, any key that stands for it. What is lost with the process costs a few slow queries."""

    def __init__(self) -> None:
        self._rests: OrderedDict[Hashable, _Rest] = OrderedDict()

    def failure(self, gate: Hashable) -> Failure | None:
        """What to answer in place of asking; None where the gate should be asked."""
        rest = self._rests.get(gate)
        left = 0.0 if rest is None else rest.until - asyncio.get_running_loop().time()
        if rest is None or left <= 0:
            return None
        often = f"{rest.failure.message}, {rest.times} times in a row: asked again within {left:.0f} s"
        return replace(rest.failure, message=often)

    def answered(self, gate: Hashable, answer: GateAnswer) -> None:
        """What became of asking. After the first slow answer it is asked again as ever."""
        slow = next((part for part in answer.parts() if isinstance(part, Failure) and part.reason is Reason.QUERY_SLOW), None)
        before = self._rests.pop(gate, None)
        if slow is None:
            return
        times = 1 if before is None else before.times + 1
        rest = 0.0 if times == 1 else min(_FIRST * 2.0 ** min(times - 1, 16), LONGEST)
        self._rests[gate] = _Rest(times, asyncio.get_running_loop().time() + rest, slow)
        while len(self._rests) > _MOST:
            self._rests.popitem(last=False)
