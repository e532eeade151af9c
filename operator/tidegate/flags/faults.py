"""Broken flags of a document: which ones, why, and what is served in their place."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_KEPT_BYTES = 1_000_000
"""Good definitions that outlived their place in the ConfigMap, in all: what is served stays below the 4 MB that a gRPC client takes."""

Flags = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a flag isn't served as it is written, and whether its last good definition is served instead; if not, it is left out."""

    reason: str
    kept: bool = False


@dataclass(frozen=True, slots=True)
class LastGood:
    """Where a broken flag's last good definition is found: the flags and shared rules of the document that is served now."""

    flags: Flags
    shared: Mapping[str, Any]

    def definition(self, key: str) -> str | None:
        """As JSON that needs no shared rule, since those of the newest document may be others by now."""
        return inlined(json.dumps(self.flags[key]), self.shared)[0] if key in self.flags else None


NOTHING_GOOD = LastGood({}, {})


def inlined(definition: str, shared: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """A definition with its references to shared rules resolved as evaluators do it, in their order, and the rules that it needs."""
    needed: dict[str, Any] = {}
    if '"$ref"' not in definition:
        return definition, needed
    for name, rule in shared.items():
        reference = json.dumps({"$ref": name})
        if reference in definition:
            needed[name] = rule
            definition = definition.replace(reference, json.dumps(rule))
    return definition, needed


def without_broken(flags: Flags, reasons: Mapping[str, str], last_good: LastGood) -> tuple[dict[str, Any], dict[str, Fault]]:
    """The flags in their written order, each broken one replaced by its last good definition or left out, and the faults."""
    served, faults, room = {}, {}, MAX_KEPT_BYTES
    for key, flag in flags.items():
        if key not in reasons:
            served[key] = flag
            continue
        kept = last_good.definition(key)
        if kept is not None and len(kept) <= room:
            served[key] = json.loads(kept)
            room -= len(kept)
        faults[key] = Fault(reasons[key], kept=key in served)
    return served, faults
