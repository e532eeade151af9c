"""How long a key that fails waits. Pure: the caller supplies the time and the randomness."""

from collections.abc import Callable
from dataclasses import dataclass

from tidegate.domain.keys import Key

_FIRST = 0.2
_SOON = 5.0
_LONGEST = 60.0
# With a twelfth of the time that it has failed for, a key waits 5 s after a minute and 60 s after twelve.
_SHARE_OF_TROUBLE = 1 / 12
# An event may shorten the wait of a key that fails, but never into a tight loop.
_SHORTEST_AFTER_FAILURE = 1.0


@dataclass(frozen=True, slots=True)
class _Trouble:
    since: float
    failures: int
    not_before: float


class Backoff:
    """Exponential from 0.2 s, at most 5 s during the first minute of failing and 60 s later, jittered downwards by a fifth."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._troubles: dict[Key, _Trouble] = {}

    def failed(self, key: Key, now: float) -> float:
        """The seconds that `key` has to wait after another failure."""
        trouble = self._troubles.get(key)
        since = trouble.since if trouble else now
        failures = trouble.failures + 1 if trouble else 1
        longest = min(max(_SOON, (now - since) * _SHARE_OF_TROUBLE), _LONGEST)
        # 2**20 times the first wait is beyond the longest one; larger powers would only overflow.
        delay: float = min(_FIRST * 2 ** min(failures - 1, 20), longest) * (0.8 + 0.2 * self._random())
        self._troubles[key] = _Trouble(since, failures, now + min(delay, _SHORTEST_AFTER_FAILURE))
        return delay

    def succeeded(self, key: Key) -> None:
        """Forget that `key` failed."""
        self._troubles.pop(key, None)

    def not_before(self, key: Key) -> float:
        """The earliest time at which `key` may run again, whoever asks."""
        trouble = self._troubles.get(key)
        return trouble.not_before if trouble else float("-inf")

    def failing(self) -> int:
        """How many keys failed when they last ran."""
        return len(self._troubles)
