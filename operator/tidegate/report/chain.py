"""The hash chain of a RolloutRun: hash = sha256(previous hash + canonical JSON of the record)."""

import hashlib
import json
from collections.abc import Iterable

from tidegate.api.records import Record


def canonical(record: Record) -> str:
    """The record without its hash, as JSON with sorted keys and no white space. Numbers of readings are strings already."""
    wire = record.model_copy(update={"hash": None}).to_wire()
    return json.dumps(wire, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def chained(head: str, records: Iterable[Record]) -> tuple[Record, ...]:
    """The records with their hashes set, continuing from `head` ("" at the start of an attempt)."""
    out = []
    for record in records:
        head = hashlib.sha256((head + canonical(record)).encode()).hexdigest()
        out.append(record.model_copy(update={"hash": head}))
    return tuple(out)
