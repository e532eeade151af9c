"""The last look before every write: only the replica that holds the Lease may change anything."""

from collections.abc import Callable


class NotLeaderError(RuntimeError):
    """This replica lost the Lease: it must not write."""


class Fence:
    """Asks `is_leader` synchronously, right before a write, so that a process that was stopped for a while notices."""

    def __init__(self, is_leader: Callable[[], bool]) -> None:
        self._is_leader = is_leader

    def check(self) -> None:
        """Raises NotLeaderError unless this replica leads now."""
        if not self._is_leader():
            raise NotLeaderError("this replica no longer holds the Lease: the write was not made")
