"""Which keys are due, and when the next one is. Pure: the caller supplies the time."""

import heapq
import itertools

from tidegate.domain.keys import Key


class Timetable:
    """Each key at most once, at the earliest time that was asked for. All operations are O(log n)."""

    def __init__(self) -> None:
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._order = itertools.count()

    def __len__(self) -> int:
        return len(self._due)

    def add(self, key: Key, due: float) -> bool:
        """Wake `key` at `due` or before. True if it is now the first of all."""
        if self._due.get(key, float("inf")) <= due:
            return False
        self._due[key] = due
        heapq.heappush(self._heap, (due, next(self._order), key))
        if len(self._heap) > 2 * len(self._due) + 100:
            self._rebuild()
        self._drop_outdated()
        return self._heap[0][2] == key

    def discard(self, key: Key) -> None:
        """Forget `key`, if it is here."""
        self._due.pop(key, None)
        self._drop_outdated()

    def next_due(self) -> float | None:
        """The time of the first key, or None."""
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float) -> list[tuple[Key, float]]:
        """Take out the keys that are due at `now`, each with the time it was due at, the longest due first."""
        taken = []
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            del self._due[key]
            taken.append((key, due))
            self._drop_outdated()
        return taken

    def _drop_outdated(self) -> None:
        # A key that was moved or discarded leaves its old entry behind; only the entry at the top must be true.
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)

    def _rebuild(self) -> None:
        self._heap = [(due, next(self._order), key) for key, due in self._due.items()]
        heapq.heapify(self._heap)
