"""One boolean flag in flagd's format: percent → definition, and definition → percent."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from tidegate.api.targets import FlagTarget
from tidegate.domain.exposure import Mark
from tidegate.levers.flag.targeting import Exposure, NotAdoptableError, read_targeting, targeting_for

Definition = dict[str, Any]
_LEASE_END = re.compile(r'(?<="\$flagd\.timestamp"\}, )-?\d+')
HASH_GENERATION = "v3"
"""Which users a percentage means: that of the evaluator in this release (openfeature-flagd-core 2.x), with which its flag server answers:
murmur3 over the CBOR encoding of [flag key, targeting key]. v1 hashed with floating-point buckets, v2 the two keys put together."""


def definition_for(target: FlagTarget, percent: int, lease: int | None = None) -> Definition:
    """The flagd definition (without metadata) of a flag that waits or moves: `percent` of the targeting keys, and the allow list.
    With a `lease` (Unix seconds) all of them see the feature until then, and nobody afterwards."""
    rule = targeting_for(target, percent, lease)
    is_for_everybody = percent == 100 and target.segment is None and lease is None
    out = switched_off() | {"defaultVariant": "on" if is_for_everybody else "off"}
    return out if isinstance(rule, str) else out | {"targeting": rule}


def switched_off() -> Definition:
    """The definition that nobody sees, the allow list included. Never `state: DISABLED` or a missing flag: both give the code's default."""
    return {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}


def read_exposure(definition: Mapping[str, Any]) -> Exposure:
    """Who sees a definition: of our own forms, and of a plain hand-written on/off flag. NotAdoptableError says why it can't be told."""
    if definition.get("state") != "ENABLED":
        raise NotAdoptableError(
            f"its state is {definition.get('state')!r}, so clients use the default in their code: set it to ENABLED first"
        )
    variants = definition.get("variants")
    if variants != {"on": True, "off": False} or not all(isinstance(value, bool) for value in variants.values()):
        raise NotAdoptableError("its variants are not exactly on: true and off: false")
    if definition.get("defaultVariant") not in ("on", "off"):
        raise NotAdoptableError("its defaultVariant is neither on nor off")
    return read_targeting(definition.get("targeting") or definition["defaultVariant"])


def same_effect(live: Mapping[str, Any] | None, wished: Mapping[str, Any]) -> bool:
    """Whether two definitions treat every client alike; metadata doesn't count. Compared as JSON: to a client, 1 is not true."""
    return live is not None and canonical(without_metadata(live)) == canonical(wished)


def fingerprint(definition: Mapping[str, Any], mark: Mark | None) -> str:
    """What a write sets, in 16 digits: the definition but for the end of a lease, and what the mark says."""
    said = None if mark is None else [None if part is None else str(part) for part in mark.claim]
    text = _LEASE_END.sub("0", canonical(without_metadata(definition))) + json.dumps(said)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def without_metadata(definition: Mapping[str, Any]) -> Definition:
    return {key: value for key, value in definition.items() if key != "metadata"}


def canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True)
