"""A flag set: the ConfigMap whose `flags.flagd.json` holds many flags, ours and hand-written ones. One document, one writer, one epoch."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from tidegate.api.conditions import Reason
from tidegate.domain.decision import WriteFlag
from tidegate.domain.snapshot import FlagReading, Problem
from tidegate.levers.flag import DOCUMENT_KEY, read_exposure, read_marker, switched_off, to_metadata
from tidegate.levers.lease import is_over
from tidegate.levers.targeting import NotAdoptableError

FLAG_SET_LABEL = "tidegate.io/flag-set"
EPOCH_ANNOTATION = "tidegate.io/epoch"
MAX_DOCUMENT_BYTES = 1_000_000
_EMPTY: Mapping[str, Any] = {"$schema": "https://flagd.dev/schema/v0/flags.json", "flags": {}}


class UnreadableError(ValueError):
    """The document is not a flagd document; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class FlagSet:
    """A flag set as it was read. `resource_version` is "" where the ConfigMap does not exist yet; without the label it isn't a flag set."""

    document: Mapping[str, Any]
    epoch: int
    resource_version: str
    labelled: bool = True

    @property
    def flags(self) -> Mapping[str, Any]:
        flags: Mapping[str, Any] = self.document["flags"]
        return flags


def parse_flag_set(config_map: Mapping[str, Any] | None) -> FlagSet:
    """ConfigMap (None: there is none) → FlagSet. UnreadableError where the document can't be kept intact by writing to it."""
    if config_map is None:
        return FlagSet(_EMPTY, 0, "")
    metadata = config_map["metadata"]
    text = (config_map.get("data") or {}).get(DOCUMENT_KEY)
    try:
        document = json.loads(text) if text else dict(_EMPTY)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"{DOCUMENT_KEY} is not JSON: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.setdefault("flags", {}), dict):
        raise UnreadableError(f'{DOCUMENT_KEY} is not a flagd document: it needs an object "flags"')
    written = (metadata.get("annotations") or {}).get(EPOCH_ANNOTATION, "0")
    epoch = max([int(written) if written.isascii() and written.isdigit() else 0, *(_epoch(flag) for flag in document["flags"].values())])
    return FlagSet(document, epoch, metadata["resourceVersion"], (metadata.get("labels") or {}).get(FLAG_SET_LABEL) == "true")


def _epoch(flag: Any) -> int:
    marker = read_marker(flag) if isinstance(flag, Mapping) else None
    return marker.epoch if marker is not None else 0


def read_flag(flag_set: FlagSet, key: str) -> FlagReading | Problem:
    """One flag of the set, as a lever's reading. What is in no flag set is nobody's to take over, but what is ours stays ours."""
    definition = flag_set.flags.get(key)
    marker = read_marker(definition) if isinstance(definition, Mapping) else None
    if not flag_set.labelled and marker is None:
        remedy = f"label it {FLAG_SET_LABEL}=true to let Tidegate write to it"
        return Problem(Reason.FLAG_NOT_ADOPTABLE, f"the ConfigMap of spec.target.flag is not a flag set: {remedy}")
    if definition is None:
        return FlagReading(None, None, None)
    if not isinstance(definition, Mapping):
        return Problem(Reason.FLAG_NOT_ADOPTABLE, f"flag {key} is not an object in the flag set")
    try:
        exposure = read_exposure(definition)
        return FlagReading(exposure.percent, definition, marker, lease=exposure.lease)
    except NotAdoptableError as error:
        if marker is not None:
            # once ours, a definition that somebody rewrote is put right: it reads as fully exposed, so that putting right is a lowering
            return FlagReading(100, definition, marker, rewritten=_not_adoptable(key, error))
        return Problem(Reason.FLAG_NOT_ADOPTABLE, _not_adoptable(key, error))


def _not_adoptable(key: str, error: NotAdoptableError) -> str:
    return f"flag {key} exists and can't be taken over: {error}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a write was left out: the flag is no longer what the decision saw."""

    write: WriteFlag
    message: str


def merged(flag_set: FlagSet, writes: Iterable[WriteFlag], now: datetime) -> tuple[FlagSet, tuple[Refusal, ...]]:
    """The flag set after all writes that still hold, under the next epoch, and those that were refused.

    A write holds only if the flag's marker is the one that its decision saw, and a write that is no raise only if it raises nothing;
    switching off holds unless the flag has another owner by now. Nothing is kept or raised behind a lease that ran out.
    """
    epoch = flag_set.epoch + 1
    flags, refused = dict(flag_set.flags), []
    for write in writes:
        reason = _refusal(write, read_flag(replace(flag_set, document={"flags": flags}), write.key), now)
        if reason is not None:
            refused.append(Refusal(write, reason))
            continue
        written = replace(write.marker, epoch=epoch, written_at=now)
        flags[write.key] = dict(write.definition) | {"metadata": to_metadata(written, write.percent)}
    return replace(flag_set, document={**flag_set.document, "flags": flags}, epoch=epoch), tuple(refused)


def _refusal(write: WriteFlag, live: FlagReading | Problem, now: datetime) -> str | None:
    if isinstance(live, Problem):
        return live.message
    seen, marker = write.expected, live.marker
    if marker is not None and marker.uid != write.marker.uid and (seen is None or marker.uid != seen.uid):
        return f"the flag belongs to {marker.rollout} by now"
    if dict(write.definition) == switched_off():
        return None
    if is_over(live, now) and live.percent and write.percent:
        return "the flag's lease ran out since this was decided: whatever shows the feature again must be decided anew"
    is_lower = not write.raises and (live.percent or 0) < write.percent  # what kept or lowered a percent then would raise it by now
    if marker != seen or is_lower or (write.raises and marker is None and live.definition is not None):
        return f"the flag was written since this {'raise' if write.raises else 'write'} was decided"
    return None


def to_config_map(flag_set: FlagSet, namespace: str, name: str) -> dict[str, Any]:
    """The fields of the ConfigMap that Tidegate writes. ValueError where the document is too large for one."""
    text = json.dumps(flag_set.document, separators=(",", ":"), ensure_ascii=False)
    if len(text.encode()) > MAX_DOCUMENT_BYTES:
        raise ValueError(f"flag set {namespace}/{name} would be larger than {MAX_DOCUMENT_BYTES} bytes: divide it among several ConfigMaps")
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {FLAG_SET_LABEL: "true"},
            "annotations": {EPOCH_ANNOTATION: str(flag_set.epoch)},
        },
        "data": {DOCUMENT_KEY: text},
    }
