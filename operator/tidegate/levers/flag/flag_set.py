"""A flag set: the ConfigMap whose `flags.flagd.json` holds many flags, ours and hand-written ones. One document, one writer, one epoch."""

import json
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tidegate.api.conditions import Reason
from tidegate.domain.exposure import Change, ExternalWriter, Reading, Write
from tidegate.domain.problems import Problem
from tidegate.levers.flag.definition import fingerprint, read_exposure
from tidegate.levers.flag.mark import MAX_EPOCH, read_mark
from tidegate.levers.flag.targeting import NotAdoptableError
from tidegate.levers.managed_fields import foreign_writer

DOCUMENT_KEY = "flags.flagd.json"
FLAG_SET_LABEL = "tidegate.io/flag-set"
EPOCH_ANNOTATION = "tidegate.io/epoch"
MAX_DOCUMENT_BYTES = 1_000_000
"""What raises and new flags may fill. The API server takes some 48 kB more, which are left for rollbacks."""
_INDENT = re.compile(r"\n([ \t]{1,8})\S")
_EMPTY: Mapping[str, Any] = {"$schema": "https://flagd.dev/schema/v0/flags.json", "flags": {}}


class UnreadableError(ValueError):
    """The document is not a flagd document; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteFlag(Write):
    """Write one flag of a flag set."""

    config_map: str
    key: str
    definition: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FlagSet:
    """A flag set as it was read. `resource_version` is "" where the ConfigMap does not exist yet; without the label it isn't a flag set.

    `writer` is whoever wrote the document since our last write; `around` what an external writer changed of our label and annotation.
    """

    document: Mapping[str, Any]
    epoch: int
    resource_version: str
    labelled: bool = True
    writer: ExternalWriter | None = None
    around: tuple[Change, ...] = ()
    indent: str | None = None
    """What its lines are indented by, so that people who wrote it can go on editing it; None where it is one line."""

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
        document = json.loads(text, parse_constant=_finite, parse_float=_finite) if text else dict(_EMPTY)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"{DOCUMENT_KEY} is not JSON: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.setdefault("flags", {}), dict):
        raise UnreadableError(f'{DOCUMENT_KEY} is not a flagd document: it needs an object "flags"')
    labelled = (metadata.get("labels") or {}).get(FLAG_SET_LABEL) == "true"
    written = (metadata.get("annotations") or {}).get(EPOCH_ANNOTATION, "0")
    annotated = int(written) if written.isascii() and written.isdigit() and len(written) <= len(str(MAX_EPOCH)) else 0
    marks = (read_mark(flag) for flag in document["flags"].values())
    marked = max((mark.epoch for mark in marks if mark is not None and mark.epoch <= MAX_EPOCH), default=0)
    return FlagSet(
        document,
        max(annotated, marked),
        metadata["resourceVersion"],
        labelled,
        document_writer(config_map) or _epoch_writer(metadata),
        _changed_around(metadata, labelled, annotated, marked) if marked else (),
        indented[1] if text and (indented := _INDENT.search(text)) else None,
    )


def document_writer(config_map: Mapping[str, Any] | None) -> ExternalWriter | None:
    """Who wrote the document since our last write."""
    return None if config_map is None else foreign_writer(config_map["metadata"], "data", DOCUMENT_KEY)


def _epoch_writer(metadata: Mapping[str, Any]) -> ExternalWriter | None:
    return foreign_writer(metadata, "metadata", "annotations", EPOCH_ANNOTATION)


def _changed_around(metadata: Mapping[str, Any], labelled: bool, annotated: int, marked: int) -> tuple[Change, ...]:
    """What is no longer as our last write left it. An epoch above all marks is ours still where the newest flag was removed by hand."""
    out = [] if labelled else [Change("label removed")]
    if annotated < marked or _epoch_writer(metadata) is not None:
        out.append(Change("epoch", str(marked), str(annotated)))
    return tuple(out)


def read_flag(flag_set: FlagSet, key: str, *, owned: bool = False) -> Reading | Problem:
    """One flag of the set. What is in no flag set is nobody's to take over, but what is ours by status (`owned`) stays ours."""
    definition = flag_set.flags.get(key)
    mark = read_mark(definition)
    if not flag_set.labelled and mark is None and not owned:
        remedy = f"label it {FLAG_SET_LABEL}=true to let Tidegate write to it"
        return Problem(Reason.NOT_ADOPTABLE, f"the ConfigMap of spec.target.flag is not a flag set: {remedy}")
    if definition is None:
        return Reading(None, around=flag_set.around, writer=flag_set.writer)
    if not isinstance(definition, Mapping):
        why = f"flag {key} is not an object in the flag set"
        unreadable = Reading(100, fingerprint="", around=flag_set.around, writer=flag_set.writer, unreadable=why)
        return unreadable if owned else Problem(Reason.NOT_ADOPTABLE, why)
    if _is_deep(definition):
        definition, mark = {}, None
    found = Reading(100, mark, fingerprint(definition, mark), flag_set.around, flag_set.writer, live=definition)
    try:
        exposure = read_exposure(definition)
    except NotAdoptableError as error:
        why = f"flag {key} exists and can't be taken over: {error}"
        # once ours, a definition that somebody rewrote is corrected: it counts as fully exposed, so that the correction is a lowering
        return replace(found, unreadable=why) if owned or mark is not None else Problem(Reason.NOT_ADOPTABLE, why)
    return replace(found, percent=exposure.percent, expires=exposure.lease)


def _is_deep(value: Any, room: int = 64) -> bool:
    """Whether a definition is nested further than any of ours: nothing that walks it may run out of stack."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return room == 0 or any(_is_deep(one, room - 1) for one in inside if isinstance(one, (dict, list)))


def size_of(document: Mapping[str, Any]) -> int:
    return len(_text(document).encode("utf-8", "surrogatepass"))


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _indented(flag_set: FlagSet) -> str | None:
    """The document in lines, as it was read; None where it was one line, or doesn't fit so. Ends as soon as it is too long: indentation
    makes many times as much of what is nested deeply."""
    if flag_set.indent is None:
        return None
    parts, room = [], MAX_DOCUMENT_BYTES
    try:
        for part in json.JSONEncoder(indent=flag_set.indent, ensure_ascii=False, allow_nan=False).iterencode(flag_set.document):
            parts.append(part)
            room -= len(part.encode("utf-8", "surrogatepass"))
            if room <= 0:
                return None
    except RecursionError:  # on one line it can be nested further, from Python 3.12 on
        return None
    return "".join(parts) + "\n"


def _finite(text: str) -> float | None:
    """JSON has no numbers beyond floats: what would be written back as Infinity or NaN is bounded, so that every parser reads it again."""
    value = float(text)
    return None if math.isnan(value) else max(-sys.float_info.max, min(sys.float_info.max, value))


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
        "data": {DOCUMENT_KEY: _indented(flag_set) or _text(flag_set.document)},
    }
