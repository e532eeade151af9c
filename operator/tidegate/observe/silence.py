"""Which sources have stopped answering, so that a dead Prometheus costs each look nothing instead of a time-out."""

from dataclasses import dataclass

from tidegate.clients.prometheus import Endpoint
from tidegate.domain.readings import Failure

FAILURES_IN_A_ROW = 3
PROBE_EVERY = 2.0


@dataclass(slots=True)
class _Trouble:
    endpoint: Endpoint
    failures: int
    last: Failure
    probe_at: float


class Silence:
    """After three failures in a row a policy's source is taken for dead; every two seconds one question finds out whether it still is.
    A policy that was given another source is asked there at once."""

    def __init__(self) -> None:
        self._troubles: dict[str, _Trouble] = {}

    def known(self, policy: str, endpoint: Endpoint, now: float) -> Failure | None:
        """The failure to answer with, or None where the source should be asked. `now` is in seconds of any steady clock."""
        trouble = self._troubles.get(policy)
        if trouble is None or trouble.endpoint != endpoint or trouble.failures < FAILURES_IN_A_ROW:
            return None
        if now >= trouble.probe_at:
            trouble.probe_at = now + PROBE_EVERY
            return None
        return trouble.last

    def failed(self, policy: str, endpoint: Endpoint, failure: Failure, now: float) -> None:
        trouble = self._troubles.get(policy)
        before = trouble.failures if trouble is not None and trouble.endpoint == endpoint else 0
        self._troubles[policy] = _Trouble(endpoint, before + 1, failure, now + PROBE_EVERY)

    def answered(self, policy: str) -> None:
        self._troubles.pop(policy, None)
