"""What RolloutRuns tell, for tests that compare it with what they saw themselves."""

from datetime import datetime

from tests.e2e.support.api import Json


def transitions(records: list[Json]) -> list[str]:
    """The names of what happened, in order."""
    return [record["transition"] for record in records]


def record_of(records: list[Json], transition: str) -> Json:
    """The newest record of a transition."""
    return next(record for record in reversed(records) if record["transition"] == transition)


def seconds(text: str) -> float:
    """RFC 3339 → Unix seconds."""
    return datetime.fromisoformat(text).timestamp()
