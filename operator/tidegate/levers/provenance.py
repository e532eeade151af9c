"""How a flag shows that it stands as Tidegate wrote it: a seal over definition and marker, and the notes beside them."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from tidegate.api.types import format_time, parse_time
from tidegate.domain.drift import DriftNote, Provenance, Writer

_SEAL = "seal"
_NOTE_AT, _NOTE_BY, _NOTE = "driftedAt", "driftedBy", "drift"


def sealed(definition: Mapping[str, Any], metadata: Mapping[str, Any], note: DriftNote | None = None) -> dict[str, Any]:
    """The flag as it is written. The seal keeps nobody out; it shows a change by hand for what it is."""
    notes = {} if note is None else {_NOTE_AT: format_time(note.at), _NOTE_BY: note.manager, _NOTE: note.difference}
    marked = {**definition, "metadata": {**metadata, **notes}}
    return marked | {"metadata": marked["metadata"] | {_SEAL: _seal(marked)}}


def provenance(definition: Any, writer: Writer | None, around: tuple[str, ...]) -> Provenance:
    """Of a flag as it was read. One without a seal, as older versions wrote it, is taken for intact."""
    metadata = definition.get("metadata") if isinstance(definition, Mapping) else None
    if not isinstance(metadata, Mapping):
        return Provenance(writer=writer, around=around)
    seal, percent = metadata.get(_SEAL), metadata.get("percent")
    return Provenance(
        intact=seal is None or seal == _seal(definition),
        percent=percent if isinstance(percent, int) and 0 <= percent <= 100 else None,
        writer=writer,
        around=around,
        note=_note(metadata),
    )


def _seal(marked: Mapping[str, Any]) -> str:
    content = {**marked, "metadata": {key: value for key, value in marked["metadata"].items() if key != _SEAL}}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _note(metadata: Mapping[str, Any]) -> DriftNote | None:
    try:
        return DriftNote(parse_time(metadata[_NOTE_AT]), str(metadata[_NOTE_BY]), str(metadata[_NOTE]))
    except (KeyError, TypeError, ValueError):
        return None
