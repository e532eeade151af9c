"""The demo's clock: the manifests hold the production plan's own durations, and every one of them is shortened by the same factor."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tidegate.api.types import format_duration, parse_duration

DAY = timedelta(days=1)
_DURATIONS = frozenset({"dwell", "for", "bake", "reach", "deadline", "stepDeadline"})
_RANGE = re.compile(r"\[(\d+[smhd])\]")


@dataclass(frozen=True, slots=True)
class Clock:
    """`day`: how long a day of the plan takes. `interval`: how often gates are evaluated; it isn't scaled.

    Two durations can't be shortened at will, since they are spans over samples and Prometheus takes one each second: a query's range
    needs at least three seconds, and a rule's `for` five evaluations, which also keeps it longer than the ranges.
    """

    day: timedelta
    interval: timedelta

    def scaled(self, value: timedelta, least: timedelta = timedelta(seconds=1)) -> timedelta:
        """A duration of the plan as it is in the demo, in whole seconds; zero stays zero."""
        if not value:
            return value
        return max(timedelta(seconds=round(value / DAY * self.day.total_seconds())), least)

    def scaled_object(self, value: Any) -> Any:
        """A manifest with all its durations, and the ranges of its queries, on this clock."""
        if isinstance(value, list):
            return [self.scaled_object(one) for one in value]
        if not isinstance(value, dict):
            return value
        return {name: self._scaled_field(name, inner) for name, inner in value.items()}

    def _scaled_field(self, name: str, value: Any) -> Any:
        if not isinstance(value, str):
            return self.scaled_object(value)
        if name in _DURATIONS:
            return format_duration(self.scaled(parse_duration(value), 5 * self.interval if name == "for" else timedelta(seconds=1)))
        if name in ("query", "count"):
            return _RANGE.sub(lambda found: f"[{format_duration(self.scaled(parse_duration(found[1]), timedelta(seconds=3)))}]", value)
        return value
