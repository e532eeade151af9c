"""A bounded memory of our own writes, so that the watch event which each causes needs no look of its own."""

from collections import OrderedDict


class Echoes:
    """The last `capacity` versions that we wrote. Forgetting one costs a superfluous look, nothing else."""

    def __init__(self, capacity: int = 20_000) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, not {capacity}")
        self._capacity = capacity
        self._written: OrderedDict[tuple[str, str], None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._written)

    def wrote(self, uid: str, resource_version: str) -> None:
        """Note the version that the API server gave to what we wrote."""
        written = (uid, resource_version)
        self._written[written] = None
        self._written.move_to_end(written)
        if len(self._written) > self._capacity:
            self._written.popitem(last=False)

    def heard(self, uid: str, resource_version: str) -> bool:
        """True if this version is our own write. It stays known: after a reconnect the event may come again."""
        return (uid, resource_version) in self._written
