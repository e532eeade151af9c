"""One boolean flag in flagd's format: percent → definition, definition → percent.

Precedence of the targeting is deny > allow > percentage. `on` always comes first in `fractional` and the weights always sum to the same
integer: order and total are part of a user's bucket, and changing either would re-deal everybody (measured; docs/flags.md).
"""

import json
from collections.abc import Mapping
from typing import Any

from tidegate.api.feature_rollout import FlagTarget
from tidegate.api.rollout_status import State
from tidegate.api.types import format_time, parse_time
from tidegate.domain.snapshot import Marker

DOCUMENT_KEY = "flags.flagd.json"
WEIGHT_PER_PERCENT = 1000
_TOTAL = 100 * WEIGHT_PER_PERCENT
_MAX_TOTAL = 2**31 - 1
"""Weights that sum to more make flagd fall back to the default variant, without an error."""
_KEY = {"var": "targetingKey"}
Definition = dict[str, Any]


class NotAdoptableError(ValueError):
    """A definition whose exposure can't be read, so that it can't be taken over without changing it."""


def definition_for(target: FlagTarget, percent: int) -> Definition:
    """The flagd definition (without metadata) of a flag that waits or moves: `percent` of the targeting keys, and the allow list."""
    out: Definition = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on" if percent == 100 else "off"}
    targeting = _targeting(target, percent)
    return out if targeting is None else out | {"targeting": targeting}


def switched_off() -> Definition:
    """The definition that nobody sees, the allow list included. Never `state: DISABLED` or a missing flag: both give the code's default."""
    return {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}


def _targeting(target: FlagTarget, percent: int) -> dict[str, Any] | None:
    branches: list[Any] = []
    if target.deny and (percent > 0 or target.allow):
        branches += [{"in": [_KEY, list(target.deny)]}, "off"]
    if target.allow and percent < 100:
        branches += [{"in": [_KEY, list(target.allow)]}, "on"]
    if 0 < percent < 100:
        on = percent * WEIGHT_PER_PERCENT
        rest: Any = {"fractional": [["on", on], ["off", _TOTAL - on]]}
    else:
        rest = "on" if percent == 100 else "off"
    if branches:
        return {"if": [*branches, rest]}
    return rest if isinstance(rest, dict) else None


def read_percent(definition: Mapping[str, Any]) -> int:
    """The exposure of a definition: of our own forms, and of a plain hand-written on/off flag. NotAdoptableError says why not."""
    if definition.get("state") != "ENABLED":
        raise NotAdoptableError(
            f"its state is {definition.get('state')!r}, so clients use the default in their code: set it to ENABLED first"
        )
    variants = definition.get("variants")
    if variants != {"on": True, "off": False} or not all(isinstance(value, bool) for value in variants.values()):
        raise NotAdoptableError("its variants are not exactly on: true and off: false")
    if definition.get("defaultVariant") not in ("on", "off"):
        raise NotAdoptableError("its defaultVariant is neither on nor off")
    targeting = definition.get("targeting")
    return _read_rest(_fallthrough(targeting) if targeting else definition["defaultVariant"])


def _fallthrough(targeting: Any) -> Any:
    """What is left when no list of targeting keys matches."""
    if not (isinstance(targeting, dict) and set(targeting) == {"if"} and isinstance(targeting["if"], list) and targeting["if"]):
        return targeting
    *branches, rest = targeting["if"]
    conditions, results = branches[0::2], branches[1::2]
    known = all(_is_key_list(condition) for condition in conditions) and all(result in ("on", "off") for result in results)
    if len(conditions) != len(results) or not known:
        raise NotAdoptableError("its targeting has rules that Tidegate did not write")
    return rest


def _is_key_list(condition: Any) -> bool:
    match condition:
        case {"in": [key, list(keys)]}:
            return key == _KEY and all(isinstance(one, str) for one in keys)
    return False


def _read_rest(rest: Any) -> int:
    if rest in ("on", "off"):
        return 100 if rest == "on" else 0
    match rest:
        case {"fractional": [["on", int(on)], ["off", int(off)]]} if on >= 0 <= off and 0 < on + off <= _MAX_TOTAL:
            if 100 * on % (on + off) == 0:
                return 100 * on // (on + off)
    raise NotAdoptableError("its targeting has rules that Tidegate did not write, or a share that is not a whole percent")


def to_metadata(marker: Marker, percent: int) -> dict[str, Any]:
    """The marker as flagd metadata: flat, so that every provider can read it."""
    out: dict[str, Any] = {
        "rollout": marker.rollout,
        "uid": marker.uid,
        "state": marker.state.value,
        "percent": percent,
        "attempt": marker.attempt,
        "epoch": marker.epoch,
        "revision": marker.revision,
        "rejected": marker.rejected,
        "cause": marker.cause,
        "writtenAt": None if marker.written_at is None else format_time(marker.written_at),
    }
    return {key: value for key, value in out.items() if value is not None}


def read_marker(definition: Mapping[str, Any]) -> Marker | None:
    """The marker of a definition, or None where Tidegate did not write it."""
    metadata = definition.get("metadata")
    if not isinstance(metadata, Mapping):
        return None
    try:
        written = metadata.get("writtenAt")
        return Marker(
            rollout=str(metadata["rollout"]),
            uid=str(metadata["uid"]),
            state=State(metadata["state"]),
            attempt=int(metadata["attempt"]),
            epoch=int(metadata["epoch"]),
            revision=metadata.get("revision"),
            rejected=metadata.get("rejected"),
            cause=metadata.get("cause"),
            written_at=None if written is None else parse_time(written),
        )
    except (KeyError, ValueError, TypeError):
        return None


def same_effect(live: Mapping[str, Any] | None, wished: Mapping[str, Any]) -> bool:
    """Whether two definitions treat every client alike; metadata doesn't count. Compared as JSON: to a client, 1 is not true."""
    return live is not None and _canonical({key: value for key, value in live.items() if key != "metadata"}) == _canonical(wished)


def _canonical(definition: Mapping[str, Any]) -> str:
    return json.dumps(definition, sort_keys=True)
