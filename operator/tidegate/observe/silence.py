"""Which sources have stopped answering, so that a dead Prometheus costs a reconcile nothing instead of a time-out."""

import asyncio
from dataclasses import dataclass, field

from tidegate.clients.prometheus import Endpoint
from tidegate.domain.answers import Failure

FAILURES_IN_A_ROW = 3
PROBE_EVERY = 1.0
PATIENCE = 0.5
"""Seconds that other questions wait for a probe: a source that is back answers sooner, and one that isn't must not hold them up."""
_NEVER = float("-inf")


@dataclass(slots=True)
class _Party:
    failures: int = 0
    last: Failure | None = None
    failed_at: float = _NEVER
    probe: asyncio.Event | None = None


@dataclass(slots=True)
class _Source:
    answered_at: float = _NEVER
    parties: dict[str, _Party] = field(default_factory=dict)


class Silence:
    """After three failures in a row of one party, a namespace, a source is taken for dead for that party. A second after each failure, or
    as soon as anybody else is answered, one of its questions finds out whether it still is, and the others of that moment wait for its
    answer. A question that fails while later ones are answered, whoever asked these, was only slow: it counts for nothing.
    """

    def __init__(self) -> None:
        self._sources: dict[Endpoint, _Source] = {}

    async def known(self, endpoint: Endpoint, party: str, now: float) -> Failure | None:
        """The failure to answer with, or None where the source should be asked. `now` is in seconds of any steady clock."""
        source = self._sources.get(endpoint, _Source())
        of = source.parties.get(party)
        if of is None or of.failures < FAILURES_IN_A_ROW:
            return None
        if of.probe is not None:
            try:
                async with asyncio.timeout(PATIENCE):
                    await of.probe.wait()
            except TimeoutError:
                return of.last
            return of.last if of.failures >= FAILURES_IN_A_ROW else None
        if now < of.failed_at + PROBE_EVERY and source.answered_at <= of.failed_at:
            return of.last
        of.probe = asyncio.Event()
        return None

    def answers_since(self, endpoint: Endpoint, moment: float) -> bool:
        """Whether anybody's question was answered after a moment."""
        source = self._sources.get(endpoint)
        return source is not None and source.answered_at >= moment

    def failed(self, endpoint: Endpoint, party: str, failure: Failure, now: float) -> None:
        """A question got no answer, nor did any that was asked after it."""
        of = self._sources.setdefault(endpoint, _Source()).parties.setdefault(party, _Party())
        of.failures, of.last, of.failed_at = of.failures + 1, failure, now

    def answered(self, endpoint: Endpoint, party: str, now: float) -> None:
        """A question was answered, if only with an error."""
        source = self._sources.setdefault(endpoint, _Source())
        source.answered_at = now
        of = source.parties.get(party)
        if of is not None:
            of.failures = 0
            if of.probe is None:
                del source.parties[party]
        if len(self._sources) > 1024:
            self._sources = {one: known for one, known in self._sources.items() if known.parties or one == endpoint}

    def probed(self, endpoint: Endpoint, party: str) -> None:
        """Who asked a question goes on, in whatever way: so do those that wait for a probe."""
        source = self._sources.get(endpoint)
        of = None if source is None else source.parties.get(party)
        if of is not None and of.probe is not None:
            of.probe.set()
            of.probe = None
