"""Broken flags of a document: which ones, why, and what is served in their place."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_KEPT_BYTES = 1_000_000
"""Good definitions that outlived their place in the ConfigMap, in all: what is served stays below the 4 MB that a gRPC client takes."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a flag isn't served as it is written, and whether its last good definition is served instead; if not, it is left out."""

    reason: str
    kept: bool = False


def without_broken(
    flags: Mapping[str, Any], reasons: Mapping[str, str], last_good: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Fault]]:
    """The flags in their written order, each broken one replaced by its last good definition or left out, and the faults."""
    served, faults, room = {}, {}, MAX_KEPT_BYTES
    for key, flag in flags.items():
        if key not in reasons:
            served[key] = flag
            continue
        if key in last_good and (needed := len(json.dumps(last_good[key]))) <= room:
            served[key] = last_good[key]
            room -= needed
        faults[key] = Fault(reasons[key], kept=key in served)
    return served, faults
