"""A flag set: the ConfigMap whose `flags.flagd.json` holds many flags, ours and hand-written ones. One document, one writer, one epoch."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from tidegate.api.conditions import Reason
from tidegate.api.rollout_status import State
from tidegate.domain.decision import WriteFlag
from tidegate.domain.drift import Writer
from tidegate.domain.snapshot import FlagReading, Problem
from tidegate.levers.flag import DOCUMENT_KEY, read_exposure, read_marker, read_written, switched_off, to_metadata
from tidegate.levers.lease import in_force, is_over
from tidegate.levers.managed_fields import foreign_writer
from tidegate.levers.provenance import provenance, sealed
from tidegate.levers.targeting import NotAdoptableError

FLAG_SET_LABEL = "tidegate.io/flag-set"
EPOCH_ANNOTATION = "tidegate.io/epoch"
MAX_DOCUMENT_BYTES = 1_000_000
"""What raises and new flags may fill. The API server takes some 48 kB more, which are left for rollbacks."""
_MUCH = 1024
"""Bytes. A write that needs more brings lists: without those no flag changes by as much."""
MAX_EPOCH = 10**17 - 1
"""Nobody counts further. What is larger, by a slip of somebody's hand, is void, also to the admission policy on epochs: counting on from it
would end at a number that the policy can't compare and so refuses, rollbacks included."""
_FULL = f"the flag set would be larger than {MAX_DOCUMENT_BYTES} bytes: divide it among several ConfigMaps"
_EMPTY: Mapping[str, Any] = {"$schema": "https://flagd.dev/schema/v0/flags.json", "flags": {}}


class UnreadableError(ValueError):
    """The document is not a flagd document; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class FlagSet:
    """A flag set as it was read. `resource_version` is "" where the ConfigMap does not exist yet; without the label it isn't a flag set.

    `writer` is whoever wrote the document since our last write; `around` what somebody changed of our label and annotation.
    """

    document: Mapping[str, Any]
    epoch: int
    resource_version: str
    labelled: bool = True
    writer: Writer | None = None
    around: tuple[str, ...] = ()

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
    labelled = (metadata.get("labels") or {}).get(FLAG_SET_LABEL) == "true"
    written = (metadata.get("annotations") or {}).get(EPOCH_ANNOTATION, "0")
    annotated = int(written) if written.isascii() and written.isdigit() and len(written) <= len(str(MAX_EPOCH)) else 0
    marked = max((_epoch(flag) for flag in document["flags"].values()), default=0)
    return FlagSet(
        document,
        max(annotated, marked),
        metadata["resourceVersion"],
        labelled,
        document_writer(config_map) or _epoch_writer(metadata),
        _changed_around(metadata, labelled, annotated, marked) if marked else (),
    )


def document_writer(config_map: Mapping[str, Any] | None) -> Writer | None:
    """Who wrote the document since our last write."""
    return None if config_map is None else foreign_writer(config_map["metadata"], "data", DOCUMENT_KEY)


def _epoch_writer(metadata: Mapping[str, Any]) -> Writer | None:
    return foreign_writer(metadata, "metadata", "annotations", EPOCH_ANNOTATION)


def _changed_around(metadata: Mapping[str, Any], labelled: bool, annotated: int, marked: int) -> tuple[str, ...]:
    """What is no longer as our last write left it. An epoch above all markers is ours still where the newest flag was removed by hand."""
    out = [] if labelled else ["label removed"]
    if annotated < marked or _epoch_writer(metadata) is not None:
        out.append(f"epoch {marked} → {annotated}")
    return tuple(out)


def _epoch(flag: Any) -> int:
    marker = read_marker(flag) if isinstance(flag, Mapping) else None
    return marker.epoch if marker is not None and marker.epoch <= MAX_EPOCH else 0


def read_flag(flag_set: FlagSet, key: str, *, ours: bool = False) -> FlagReading | Problem:
    """One flag of the set, as a lever's reading. What is in no flag set is nobody's to take over, but what is ours stays ours.

    `ours`: it was read back under our marker before, so that a definition without one is somebody's work on our flag.
    """
    reading = _read(flag_set, key, ours)
    if isinstance(reading, Problem):
        return reading
    return replace(reading, provenance=provenance(flag_set.flags.get(key), flag_set.writer, flag_set.around))


def _read(flag_set: FlagSet, key: str, ours: bool) -> FlagReading | Problem:
    definition = flag_set.flags.get(key)
    marker = read_marker(definition) if isinstance(definition, Mapping) else None
    if not flag_set.labelled and marker is None and not (ours and definition is not None):
        remedy = f"label it {FLAG_SET_LABEL}=true to let Tidegate write to it"
        return Problem(Reason.FLAG_NOT_ADOPTABLE, f"the ConfigMap of spec.target.flag is not a flag set: {remedy}")
    if definition is None:
        return FlagReading(None, None, None)
    if not isinstance(definition, Mapping):
        why = f"flag {key} is not an object in the flag set"
        return FlagReading(100, {}, None, rewritten=why) if ours else Problem(Reason.FLAG_NOT_ADOPTABLE, why)
    written = read_written(definition)
    try:
        exposure = read_exposure(definition)
        return FlagReading(exposure.percent, definition, marker, lease=exposure.lease, written=written)
    except NotAdoptableError as error:
        if marker is not None or ours:
            # once ours, a definition that somebody rewrote is put right: it reads as fully exposed, so that putting right is a lowering
            return FlagReading(100, definition, marker, rewritten=_not_adoptable(key, error), written=written)
        return Problem(Reason.FLAG_NOT_ADOPTABLE, _not_adoptable(key, error))


def _not_adoptable(key: str, error: NotAdoptableError) -> str:
    return f"flag {key} exists and can't be taken over: {error}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a write was left out: the flag is no longer what the decision saw, or (`is_full`) there is no room for it."""

    write: WriteFlag
    message: str
    is_full: bool = False


def merged(flag_set: FlagSet, writes: Iterable[WriteFlag], now: datetime) -> tuple[FlagSet, tuple[Refusal, ...]]:
    """The flag set after all writes that still hold, under the next epoch, and those that were refused.

    A write holds only if the flag's marker is the one that its decision saw, a raise only if its percent is too, and any other write only
    if it raises nothing; switching off holds unless the flag has another owner by now. Nothing is kept or raised behind a lease that ran
    out. In a document that is full what can wait is left out, and everything else goes on.
    """
    writes = list(writes)
    after, refused = _merged(flag_set, writes, now)
    full = _without_room(flag_set, after, [write for write in writes if all(write is not one.write for one in refused)])
    if full:
        after, refused = _merged(flag_set, [write for write in writes if all(write is not one for one in full)], now)
    return after, refused + tuple(Refusal(write, _FULL, is_full=True) for write in full)


def _merged(flag_set: FlagSet, writes: Sequence[WriteFlag], now: datetime) -> tuple[FlagSet, tuple[Refusal, ...]]:
    epoch = flag_set.epoch + 1
    flags, refused = dict(flag_set.flags), []
    for write in writes:
        live = read_flag(replace(flag_set, document={"flags": flags}), write.key, ours=write.reclaims)
        reason = _refusal(write, live, now)
        if reason is not None:
            refused.append(Refusal(write, reason))
            continue
        written = replace(write.marker, epoch=epoch, written_at=now)
        flags[write.key] = sealed(write.definition, to_metadata(written, write.percent), write.note)
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
    is_touched = write.raises and not live.provenance.intact and not write.reclaims  # somebody may have turned it down
    if marker != seen or is_lower or is_touched or (write.raises and marker is None and live.definition is not None):
        return f"the flag was written since this {'raise' if write.raises else 'write'} was decided"
    if write.raises and write.seen_percent is not None and in_force(live, now).percent != write.seen_percent:
        return f"the flag is no longer at the {write.seen_percent} % that this raise was decided from"
    return None


def _without_room(flag_set: FlagSet, after: FlagSet, writes: Sequence[WriteFlag]) -> list[WriteFlag]:
    """What can wait and a document can't take: as many as fit go in, the first ones first."""
    excess = _size(after.document) - MAX_DOCUMENT_BYTES
    if excess <= 0:
        return []
    growth = [(write, _room_of(after, write.key) - _room_of(flag_set, write.key)) for write in writes]
    needs = [(write, need) for write, need in growth if _can_wait(flag_set, write, need)]
    room = sum(need for _, need in needs) - excess
    out = []
    for write, need in needs:
        if need > max(room, 0):
            out.append(write)
        else:
            room -= need
    return out


def _can_wait(flag_set: FlagSet, write: WriteFlag, need: int) -> bool:
    """Whether a write may be put off where there is no room: a raise, a new flag, long lists for a flag that stays on. A rollback may not,
    least of all one of a flag that was lost."""
    is_new = write.key not in flag_set.flags and write.marker.state is not State.ROLLBACK
    return write.raises or is_new or (write.percent > 0 and need > _MUCH)


def _room_of(flag_set: FlagSet, key: str) -> int:
    return _size({key: flag_set.flags[key]}) if key in flag_set.flags else 0


def _size(document: Mapping[str, Any]) -> int:
    return len(_text(document).encode("utf-8", "surrogatepass"))


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def to_config_map(flag_set: FlagSet, namespace: str, name: str) -> dict[str, Any]:
    """The fields of the ConfigMap that Tidegate writes."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {FLAG_SET_LABEL: "true"},
            "annotations": {EPOCH_ANNOTATION: str(flag_set.epoch)},
        },
        "data": {DOCUMENT_KEY: _text(flag_set.document)},
    }
