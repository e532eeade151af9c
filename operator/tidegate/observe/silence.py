"""Which sources have stopped answering, so that a dead Prometheus costs a reconcile nothing instead of a time-out."""

import asyncio
from dataclasses import dataclass

from tidegate.clients.prometheus import Endpoint
from tidegate.domain.answers import Failure

FAILURES_IN_A_ROW = 3
PROBE_EVERY = 2.0
PATIENCE = 0.5
"""Seconds that other questions wait for a probe: a source that is back answers sooner, and one that isn't must not hold them up."""


@dataclass(slots=True)
class _Source:
    answered_at: float = float("-inf")
    failures: int = 0
    last: Failure | None = None
    probe_at: float = 0.0
    probe: asyncio.Event | None = None


class Silence:
    """After three failures in a row a source is taken for dead. Every two seconds one question finds out whether it still is, and the
    others of that moment wait for its answer. A question that fails while later ones are answered was only slow: it counts for nothing.
    """

    def __init__(self) -> None:
        self._sources: dict[Endpoint, _Source] = {}

    async def known(self, endpoint: Endpoint, now: float) -> Failure | None:
        """The failure to answer with, or None where the source should be asked. `now` is in seconds of any steady clock."""
        source = self._sources.get(endpoint)
        if source is None or source.failures < FAILURES_IN_A_ROW:
            return None
        if source.probe is not None:
            try:
                async with asyncio.timeout(PATIENCE):
                    await source.probe.wait()
            except TimeoutError:
                return source.last
            return source.last if source.failures >= FAILURES_IN_A_ROW else None
        if now < source.probe_at:
            return source.last
        source.probe = asyncio.Event()
        return None

    def failed(self, endpoint: Endpoint, failure: Failure, asked_at: float, now: float) -> None:
        """A question asked at `asked_at` got no answer."""
        source = self._sources.setdefault(endpoint, _Source())
        if source.answered_at < asked_at:
            source.failures, source.last, source.probe_at = source.failures + 1, failure, now + PROBE_EVERY

    def answered(self, endpoint: Endpoint, now: float) -> None:
        """A question was answered, if only with an error."""
        source = self._sources.setdefault(endpoint, _Source())
        source.answered_at, source.failures = now, 0
        if len(self._sources) > 1024:
            self._sources = {one: known for one, known in self._sources.items() if known.failures or one == endpoint}

    def probed(self, endpoint: Endpoint) -> None:
        """A question ended, in whatever way: those that wait for a probe go on."""
        source = self._sources.get(endpoint)
        if source is not None and source.probe is not None:
            source.probe.set()
            source.probe = None
