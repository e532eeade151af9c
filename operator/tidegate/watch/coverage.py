"""What is watched and what is not. A namespace that is gone, or in which a right was taken away, must be reported."""

import logging
from collections.abc import Iterable

from tidegate.watch.watched import Part

logger = logging.getLogger("tidegate.watch.coverage")

_NAMED_AT_ONCE, _LENGTH = 4, 300


class Coverage:
    """Which parts can't be listed or watched, and why. Belongs to the program's own event loop."""

    def __init__(self) -> None:
        self._missing: dict[Part, str] | None = None

    def begin(self, parts: Iterable[Part]) -> None:
        """None of these has been listed yet."""
        self._missing = dict.fromkeys(parts, "")

    def missing(self, part: Part, why: str) -> None:
        if self._missing is None or self._missing.get(part) == why:
            return
        if not self._missing.get(part):
            logger.warning("%s: not looked after: %s", part, why)
        self._missing[part] = why

    def covered(self, part: Part) -> None:
        if self._missing is not None and self._missing.pop(part, ""):
            logger.info("%s: looked after", part)

    def count(self) -> int:
        """How many parts can't be listed or watched."""
        return len(self._missing or ())

    def problem(self) -> str | None:
        """What can't be listed or watched, in one sentence; None where nothing is missing."""
        if self._missing is None or "" in self._missing.values():
            return "the first listing is under way"
        parts = [f"{part} ({why[:_LENGTH]})" for part, why in self._missing.items()]
        more = f", and {len(parts) - _NAMED_AT_ONCE} more" if len(parts) > _NAMED_AT_ONCE else ""
        return f"not looked after: {', '.join(parts[:_NAMED_AT_ONCE])}{more}" if parts else None
