"""One boolean flag in flagd's format: percent → definition, definition → percent, and the marker that stands beside it as metadata."""

import json
from collections.abc import Mapping
from typing import Any

from tidegate.api.feature_rollout import FlagTarget
from tidegate.api.rollout_status import State
from tidegate.api.types import format_time, parse_time
from tidegate.domain.snapshot import Marker
from tidegate.levers.targeting import Exposure, NotAdoptableError, read_targeting, targeting_for

DOCUMENT_KEY = "flags.flagd.json"
Definition = dict[str, Any]


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


def read_percent(definition: Mapping[str, Any]) -> int:
    """The exposure of a definition, its lease aside. NotAdoptableError says why it can't be told."""
    return read_exposure(definition).percent


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
        "lapsed": marker.lapsed,
        "writtenAt": None if marker.written_at is None else format_time(marker.written_at),
    }
    return {key: value for key, value in out.items() if value is not None}


def read_marker(definition: Mapping[str, Any]) -> Marker | None:
    """The marker of a definition, or None where Tidegate did not write it."""
    metadata = definition.get("metadata")
    if not isinstance(metadata, Mapping):
        return None
    try:
        written, lapsed = metadata.get("writtenAt"), metadata.get("lapsed")
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
            lapsed=None if lapsed is None else int(lapsed),
        )
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def read_written(definition: Mapping[str, Any]) -> int | None:
    """The percent beside the marker, which stays where somebody changes the definition alone."""
    metadata = definition.get("metadata")
    percent = metadata.get("percent") if isinstance(metadata, Mapping) else None
    return percent if isinstance(percent, int) and 0 <= percent <= 100 else None


def same_effect(live: Mapping[str, Any] | None, wished: Mapping[str, Any]) -> bool:
    """Whether two definitions treat every client alike; metadata doesn't count. Compared as JSON: to a client, 1 is not true."""
    return live is not None and _canonical({key: value for key, value in live.items() if key != "metadata"}) == _canonical(wished)


def _canonical(definition: Mapping[str, Any]) -> str:
    return json.dumps(definition, sort_keys=True)
