"""Writes of a flag, as a fault proxy sees them pass."""

import json

from tests.e2e.support.exposure import DOCUMENT
from tests.e2e.support.faults import Call, Matches


def written_percent(call: Call, flag: str = "feature") -> int | None:
    """The percent that a write gives the flag; None for everything that writes no flag."""
    if call.kind != "configmaps" or not call.writes:
        return None
    document = json.loads(call.body["data"][DOCUMENT])
    percent: int | None = document["flags"].get(flag, {}).get("metadata", {}).get("percent")
    return percent


def flag_to(percent: int, flag: str = "feature") -> Matches:
    """Writes that give the flag this percent."""
    return lambda call: written_percent(call, flag) == percent
