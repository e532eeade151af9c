"""Which sources have stopped answering, so that a dead Prometheus costs each look nothing instead of a time-out."""

from dataclasses import dataclass

from tidegate.domain.readings import Failure

FAILURES_IN_A_ROW = 3
PROBE_EVERY = 2.0


@dataclass(slots=True)
class _Trouble:
    failures: int
    last: Failure
    probe_at: float


class Silence:
    """After three failures in a row a source is taken for dead; every two seconds one question finds out whether it still is."""

    def __init__(self) -> None:
        self._troubles: dict[str, _Trouble] = {}

    def known(self, source: str, now: float) -> Failure | None:
        """The failure to answer with, or None where the source should be asked. `now` is in seconds of any steady clock."""
        trouble = self._troubles.get(source)
        if trouble is None or trouble.failures < FAILURES_IN_A_ROW:
            return None
        if now >= trouble.probe_at:
            trouble.probe_at = now + PROBE_EVERY
            return None
        return trouble.last

    def failed(self, source: str, failure: Failure, now: float) -> None:
        trouble = self._troubles.setdefault(source, _Trouble(0, failure, 0.0))
        trouble.failures += 1
        trouble.last = failure
        trouble.probe_at = now + PROBE_EVERY

    def answered(self, source: str) -> None:
        self._troubles.pop(source, None)
