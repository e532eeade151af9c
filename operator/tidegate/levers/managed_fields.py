"""metadata.managedFields: which field manager owns a field, and since when."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from tidegate.api.types import parse_time
from tidegate.domain.exposure import ExternalWriter

FIELD_MANAGER = "tidegate"
"""Under which all of Tidegate's own writes are made."""
UNKNOWN = "unknown"
"""Who changed something, where the API server doesn't say."""
_LONGEST = 128
_NEVER = datetime.min.replace(tzinfo=UTC)


def foreign_writer(metadata: Mapping[str, Any], *path: str) -> ExternalWriter | None:
    """The newest other manager of a field that Tidegate no longer manages. Whoever changes a field takes it over. A manager is what its
    client calls itself. None too where nobody manages the field: who removes one leaves no trace."""
    owners = [manager_of(entry) for entry in _owners_of(metadata, *path)]
    if any(owner.manager == FIELD_MANAGER for owner in owners):
        return None
    return max(owners, key=lambda owner: owner.at or _NEVER, default=None)


def name_of(writer: ExternalWriter | None) -> str:
    """A field manager as a record names it. It must not pass for ourselves."""
    if writer is None:
        return UNKNOWN
    return f"{writer.manager} (field manager)" if writer.manager in ("operator", FIELD_MANAGER) else writer.manager


def editor_of(managed: Iterable[Mapping[str, Any]], *path: str) -> ExternalWriter | None:
    """Who changed a field last: the newest manager of it, or of anything below it; where nobody manages it, as after it was removed, the
    newest of the whole spec. Writes to status don't count."""
    metadata = {"managedFields": [entry for entry in managed if not entry.get("subresource")]}
    owners = list(_owners_of(metadata, *path)) or list(_owners_of(metadata, "spec"))
    return max(map(manager_of, owners), key=lambda owner: owner.at or _NEVER, default=None)


def _owners_of(metadata: Mapping[str, Any], *path: str) -> Iterator[Mapping[str, Any]]:
    """The entries whose managers own the field, or anything below it."""
    for entry in metadata.get("managedFields") or ():
        node: Any = entry.get("fieldsV1")
        for part in path:
            node = node.get(f"f:{part}") if isinstance(node, Mapping) else None
        if node is not None:
            yield entry


def manager_of(entry: Mapping[str, Any]) -> ExternalWriter:
    """Whose entry it is, and when it last changed."""
    try:
        at = parse_time(entry["time"])
    except (KeyError, TypeError, ValueError):
        at = None
    return ExternalWriter(str(entry.get("manager") or UNKNOWN)[:_LONGEST], at)
