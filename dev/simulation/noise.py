"""What an application under traffic reads like: requests, errors, latencies and trades, with the noise that they really have."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass


def poisson(random_: random.Random, mean: float) -> int:
    """Knuth's method; by the normal approximation above 60 (its error is below what is simulated here)."""
    if mean > 60:
        return max(0, round(random_.gauss(mean, math.sqrt(mean))))
    limit, product, number = math.exp(-mean), random_.random(), 0
    while product > limit:
        product *= random_.random()
        number += 1
    return number


def binomial(random_: random.Random, n: int, p: float) -> int:
    """By counting for small n, by the normal or Poisson approximation above."""
    if n <= 30:
        return sum(random_.random() < p for _ in range(n))
    if n * p < 20:
        return min(n, poisson(random_, n * p))
    return min(n, max(0, round(random_.gauss(n * p, math.sqrt(n * p * (1 - p))))))


def daily(seconds: float) -> float:
    """Traffic over a day: from 0.4 at night to 1.6 in the afternoon."""
    return 1 + 0.6 * math.sin(2 * math.pi * (seconds - 6 * 3600) / 86400)


def drifting(random_: random.Random, spread: float, keeps: float = 0.95) -> Callable[[], float]:
    """A factor that wanders around 1 (a log-normal AR(1) process): load, neighbours, data. `spread` is its standard deviation."""
    state = random_.gauss(0, spread)

    def step() -> float:
        nonlocal state
        state = keeps * state + random_.gauss(0, spread * math.sqrt(1 - keeps * keeps))
        return math.exp(state)

    return step


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests per minute, `per_minute` on average over a day."""

    per_minute: float

    def within(self, random_: random.Random, at: float, minutes: float = 1.0) -> int:
        """Requests of the time before `at` (seconds since midnight)."""
        return poisson(random_, self.per_minute * minutes * daily(at))
