"""The flag of the small world: written by the real lever, stored as text, changed by hands, read again by the real lever."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from tests.builders import CONFIG_MAP, KEY

from tidegate.api.feature_rollout import FlagTarget
from tidegate.domain.decision import WriteFlag
from tidegate.domain.drift import DriftNote
from tidegate.domain.snapshot import FlagReading, Marker, Problem
from tidegate.levers.flag import DOCUMENT_KEY, definition_for
from tidegate.levers.flag_set import EPOCH_ANNOTATION, FLAG_SET_LABEL, FlagSet, merged, parse_flag_set, read_flag, to_config_map
from tidegate.levers.lease import in_force
from tidegate.levers.managed_fields import FIELD_MANAGER

MOST = 100_000
"""Flag sets that are kept parsed."""
EDITOR = "kubectl-edit"
"""The field manager of what people do to the flag."""


@dataclass(frozen=True, slots=True)
class Hand:
    """What somebody made of the flag since Tidegate last wrote it. `percent` where an exposure was set."""

    what: str
    percent: int | None = None


@dataclass(frozen=True, slots=True)
class Flags:
    """The ConfigMap, told by how it came to be: Tidegate's last write, and a hand's work on it since."""

    epoch: int = 0
    percent: int = 0
    definition: str | None = None
    marker: Marker | None = None
    hand: Hand | None = None
    note: DriftNote | None = None


@dataclass(frozen=True, slots=True)
class FlagWrite:
    """A write that went through. The readings are as clients have them at that moment."""

    write: WriteFlag
    before: FlagReading
    after: FlagReading
    epochs: tuple[int, int]


class RefusedError(Exception):
    """A write did not go through."""


class Lever:
    """The real lever around `Flags`."""

    def __init__(self, target: FlagTarget) -> None:
        self._target = target
        self.parsed = lru_cache(maxsize=MOST)(self._parsed)
        self.found = lru_cache(maxsize=MOST)(self._found)

    def reading(self, flags: Flags | None) -> FlagReading:
        """The flag as it is written; nothing where nobody could tell."""
        found = self.found(flags, False)
        return found if isinstance(found, FlagReading) else FlagReading(None, None, None)

    def shown(self, flags: Flags | None, now: datetime) -> int:
        """The exposure that clients get. What can't be read is taken for nothing, as it isn't ours."""
        return in_force(self.reading(flags), now).percent or 0

    def write(self, flags: Flags | None, write: WriteFlag, now: datetime) -> tuple[Flags, FlagWrite]:
        """One write through `merged`. RefusedError with its reason."""
        before = self.parsed(flags)
        after, refused = merged(before, [write], now)
        if refused:
            raise RefusedError(refused[0].message)
        marker = replace(write.marker, epoch=after.epoch, written_at=_to_milliseconds(now))
        note = write.note if write.note is None else replace(write.note, at=_to_milliseconds(write.note.at))
        made = Flags(after.epoch, write.percent, json.dumps(write.definition, sort_keys=True), marker, note=note)
        assert self.parsed(made).flags == after.flags, "the lever's write reads back as another"
        readings = in_force(self.reading(flags), now), in_force(self.reading(made), now)
        return made, FlagWrite(write, *readings, (before.epoch, after.epoch))

    def _found(self, flags: Flags | None, ours: bool) -> FlagReading | Problem:
        return read_flag(self.parsed(flags), KEY, ours=ours)

    def _parsed(self, flags: Flags | None) -> FlagSet:
        if flags is None:
            return parse_flag_set(None)
        document: Mapping[str, Any] = {"flags": {}}
        if flags.marker is not None and flags.definition is not None:
            document = _rewritten(flags, flags.definition, flags.marker)
        if flags.hand is not None:
            others = {key: value for key, value in document["flags"].items() if key != KEY}
            mine = self._by_hand(document["flags"].get(KEY), flags.hand)
            document = {"flags": others if mine is None else {**others, KEY: mine}}
        stored = to_config_map(FlagSet(document, flags.epoch, ""), "shop", CONFIG_MAP)
        return parse_flag_set(stored | {"metadata": stored["metadata"] | {"resourceVersion": "1", "managedFields": _managed(flags.hand)}})

    def _by_hand(self, written: Mapping[str, Any] | None, hand: Hand) -> dict[str, Any] | None:
        if hand.what == "removed":
            return None
        if hand.what == "rewritten":
            return dict(written or {}) | {"state": "DISABLED"}
        new = definition_for(self._target, hand.percent or 0)
        if hand.what == "replaced":
            return new
        kept = {key: value for key, value in (written or {}).items() if key != "targeting"}
        return kept | {key: new[key] for key in ("defaultVariant", "targeting") if key in new}


def _rewritten(flags: Flags, definition: str, marker: Marker) -> Mapping[str, Any]:
    """The document right after Tidegate's last write, made by the same lever."""
    assert marker.written_at is not None
    write = WriteFlag(CONFIG_MAP, KEY, flags.percent, json.loads(definition), marker, None, raises=True, note=flags.note)
    made, refused = merged(FlagSet({"flags": {}}, marker.epoch - 1, ""), [write], marker.written_at)
    assert not refused
    return made.document


def _managed(hand: Hand | None) -> list[dict[str, Any]]:
    """As the API server keeps it: whoever writes the document takes it over from whoever had it."""
    ours: dict[str, Any] = {"f:metadata": {"f:labels": {f"f:{FLAG_SET_LABEL}": {}}, "f:annotations": {f"f:{EPOCH_ANNOTATION}": {}}}}
    document: dict[str, Any] = {"f:data": {f"f:{DOCUMENT_KEY}": {}}}
    if hand is None:
        return [{"manager": FIELD_MANAGER, "fieldsV1": ours | document}]
    return [{"manager": FIELD_MANAGER, "fieldsV1": ours}, {"manager": EDITOR, "fieldsV1": document}]


def _to_milliseconds(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
