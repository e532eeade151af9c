"""The flag of the small world: written by the real lever, stored as text, changed by hands, read again by the real lever."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from tests.builders import CONFIG_MAP, KEY

from tidegate.api.targets import FlagTarget
from tidegate.domain.exposure import Mark, Reading, Wish
from tidegate.domain.problems import Problem
from tidegate.levers.deadman import in_force
from tidegate.levers.flag.definition import definition_for, fingerprint
from tidegate.levers.flag.flag_set import (
    DOCUMENT_KEY,
    EPOCH_ANNOTATION,
    FLAG_SET_LABEL,
    FlagSet,
    WriteFlag,
    parse_flag_set,
    read_flag,
    to_config_map,
)
from tidegate.levers.flag.lever import FlagLever
from tidegate.levers.flag.mark import to_metadata
from tidegate.levers.flag.merging import merged
from tidegate.levers.managed_fields import FIELD_MANAGER

MOST = 100_000
"""Flag sets that are kept parsed."""
EDITOR = "kubectl-edit"
"""The field manager of what people do to the flag."""
FORGERIES = ("percent", "attempt", "rejected", "uid", "rollout", "garbage")
"""What a hostile writer changes of a mark that it copied from ours."""


@dataclass(frozen=True, slots=True)
class Hand:
    """What somebody made of the flag since Tidegate last wrote it. `percent` where an exposure was set; `forgery`: what of the mark."""

    what: str
    percent: int | None = None
    forgery: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """One write of Tidegate: the definition as text, and the mark."""

    percent: int
    definition: str
    mark: Mark

    @property
    def fingerprint(self) -> str:
        return fingerprint(json.loads(self.definition), self.mark)


@dataclass(frozen=True, slots=True)
class Flags:
    """The ConfigMap, told by how it came to be: Tidegate's last write, and a hand's work on it since. `older`: an earlier write that
    exposed more, which somebody may bring back."""

    epoch: int = 0
    ours: Written | None = None
    hand: Hand | None = None
    older: Written | None = None


@dataclass(frozen=True, slots=True)
class FlagWrite:
    """A write that went through. The readings are as clients have them at that moment."""

    write: WriteFlag
    before: Reading
    after: Reading
    epochs: tuple[int, int]


class NotingLever(FlagLever):
    """The real lever, which notes what its fingerprints stand for."""

    def __init__(self, target: FlagTarget) -> None:
        super().__init__(target)
        self.written: dict[str, Written] = {}

    def fingerprint(self, wish: Wish) -> str:
        made = super().fingerprint(wish)
        if made not in self.written:
            self.written[made] = Written(wish.percent, json.dumps(self._definition(wish), sort_keys=True), wish.mark)
        return made


class RefusedError(Exception):
    """A write did not go through."""


class Lever:
    """The real lever around `Flags`. `keeps_older`: whether earlier writes may come back."""

    def __init__(self, target: FlagTarget, keeps_older: bool = False) -> None:
        self._target, self._keeps_older = target, keeps_older
        self.parsed = lru_cache(maxsize=MOST)(self._parsed)
        self.found = lru_cache(maxsize=MOST)(self._found)

    def reading(self, flags: Flags | None) -> Reading:
        """The flag as it is written; nothing where nobody could tell."""
        found = self.found(flags, False)
        return found if isinstance(found, Reading) else Reading(None)

    def shown(self, flags: Flags | None, now: datetime) -> int:
        """The exposure that clients get. What can't be read is taken for nothing, as it isn't ours."""
        found = in_force(self.reading(flags), now)
        return 0 if found.unreadable else found.percent or 0

    def write(self, flags: Flags | None, write: WriteFlag, now: datetime) -> tuple[Flags, FlagWrite]:
        """One write through `merged`. RefusedError with its reason."""
        before = self.parsed(flags)
        after, refused = merged(before, [write], now)
        if refused:
            raise RefusedError(refused[0].message)
        mark = replace(write.mark, epoch=after.epoch, written_at=_to_milliseconds(now))
        written = Written(write.percent, json.dumps(write.definition, sort_keys=True), mark)
        made = Flags(after.epoch, written, older=self._older(flags))
        assert self.parsed(made).flags == after.flags, "the lever's write reads back as another"
        readings = in_force(self.reading(flags), now), in_force(self.reading(made), now)
        return made, FlagWrite(write, *readings, (before.epoch, after.epoch))

    def _older(self, flags: Flags | None) -> Written | None:
        if not self._keeps_older or flags is None:
            return None
        known = [one for one in (flags.ours, flags.older) if one is not None and one.percent]
        return max(known, key=lambda one: one.percent, default=None)

    def _found(self, flags: Flags | None, ours: bool) -> Reading | Problem:
        return read_flag(self.parsed(flags), KEY, owned=ours)

    def _parsed(self, flags: Flags | None) -> FlagSet:
        if flags is None:
            return parse_flag_set(None)
        mine = None if flags.ours is None else _as_stored(flags.ours)
        if flags.hand is not None:
            mine = self._by_hand(mine, flags.hand, flags.older)
        document: Mapping[str, Any] = {"flags": {} if mine is None else {KEY: mine}}
        stored = to_config_map(FlagSet(document, flags.epoch, ""), "shop", CONFIG_MAP)
        return parse_flag_set(stored | {"metadata": stored["metadata"] | {"resourceVersion": "1", "managedFields": _managed(flags.hand)}})

    def _by_hand(self, written: dict[str, Any] | None, hand: Hand, older: Written | None) -> dict[str, Any] | None:
        if hand.what == "removed":
            return None
        if hand.what == "rewritten":
            return dict(written or {}) | {"state": "DISABLED"}
        if hand.what == "replayed":
            assert older is not None
            return _as_stored(older)
        kept = dict(written or {})
        if hand.forgery is not None:
            kept["metadata"] = _forged(kept["metadata"], hand.forgery)
        if hand.percent is None:
            return kept
        new = definition_for(self._target, hand.percent)
        if hand.what == "replaced":
            return new
        kept.pop("targeting", None)
        return kept | {key: new[key] for key in ("defaultVariant", "targeting") if key in new}


def _as_stored(written: Written) -> dict[str, Any]:
    return {**json.loads(written.definition), "metadata": to_metadata(written.mark)}


def _forged(ours: Mapping[str, Any], forgery: str) -> dict[str, Any]:
    """A mark copied from ours, with one thing changed."""
    changes: dict[str, dict[str, Any]] = {
        "percent": {"percent": 100 if ours["percent"] < 100 else 0},
        "attempt": {"attempt": ours["attempt"] + 1},
        "rejected": {"rejected": ours.get("revision"), "state": "ROLLBACK"},
        "uid": {"uid": "x"},
        "rollout": {"uid": "x", "rollout": "shop/other"},
        "garbage": {"rollout": "ns/..", "attempt": "seven"},
    }
    return {**ours, **changes[forgery]}


def _managed(hand: Hand | None) -> list[dict[str, Any]]:
    """As the API server keeps it: whoever writes the document takes it over from whoever had it."""
    ours: dict[str, Any] = {"f:metadata": {"f:labels": {f"f:{FLAG_SET_LABEL}": {}}, "f:annotations": {f"f:{EPOCH_ANNOTATION}": {}}}}
    document: dict[str, Any] = {"f:data": {f"f:{DOCUMENT_KEY}": {}}}
    if hand is None:
        return [{"manager": FIELD_MANAGER, "fieldsV1": ours | document}]
    return [{"manager": FIELD_MANAGER, "fieldsV1": ours}, {"manager": EDITOR, "fieldsV1": document}]


def _to_milliseconds(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
