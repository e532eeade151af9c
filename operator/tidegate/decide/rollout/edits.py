"""An edit of the spec, or of the policy, in words: which field, what it was, what it is, and who changed it by metadata.managedFields.

Bounded, whatever the spec holds. Targeting keys name people: they are counted, not shown.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from tidegate.api.rollout_status import PinnedPolicy
from tidegate.api.targets import NAMES_OF_PEOPLE
from tidegate.levers.managed_fields import UNKNOWN, editor_of, name_of

_MOST, _LONGEST, _CONTEXT = 6, 60, 15
_NOTHING = "nothing"


class _Change(NamedTuple):
    """`path`: the field as it is written; `managed`: the part of it that field managers own."""

    path: str
    managed: tuple[str, ...]
    before: Any
    after: Any


def edit_in_words(before: Mapping[str, Any], after: Mapping[str, Any], managed: Iterable[Mapping[str, Any]]) -> tuple[str, str]:
    """(who, what) of an edit."""
    managed = tuple(managed)
    changes = list(_changes(before, after, ()))
    if not changes:
        return name_of(editor_of(managed, "spec")), "spec edited: nothing in it differs"
    editors = dict.fromkeys(name_of(editor_of(managed, "spec", *change.managed)) for change in changes)
    known = [name for name in editors if name != UNKNOWN] or [UNKNOWN]
    more = f", and {len(changes) - _MOST} more fields" if len(changes) > _MOST else ""
    return ", ".join(known)[:256], f"spec edited: {', '.join(map(_in_words, changes[:_MOST]))}{more}"


def policy_edit_in_words(before: PinnedPolicy, after: PinnedPolicy) -> str | None:
    """How the policy of an attempt differs from what it was; None where it doesn't. One that was made again is another, whatever it says:
    its generation begins anew."""
    generation = f"generation {before.generation} → {after.generation}"
    if before.name != after.name:
        return f"RolloutPolicy {after.name} (generation {after.generation}) instead of {before.name}"
    if before.uid != after.uid:
        return f"RolloutPolicy {after.name} was deleted and made again: uid {before.uid} → {after.uid}, {generation}"
    return f"RolloutPolicy {after.name} changed: {generation}" if before.generation != after.generation else None


def _changes(before: Any, after: Any, path: tuple[str, ...], managed: tuple[str, ...] = ()) -> Iterator[_Change]:
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in dict.fromkeys((*before, *after)):
            yield from _changes(before.get(name), after.get(name), (*path, name), (*managed, name))
    elif path == ("gates",):
        ours, theirs = _by_name(before), _by_name(after)
        for name in dict.fromkeys((*ours, *theirs)):
            for change in _changes(ours.get(name), theirs.get(name), (f"gates[{name}]",)):
                yield change._replace(managed=managed)  # the list is managed as a whole
    else:
        yield _Change(".".join(path), managed, before, after)


def _by_name(gates: Any) -> dict[str, Any]:
    return {gate.get("name") or gate.get("use") or "": gate for gate in gates or ()}


def _in_words(change: _Change) -> str:
    if change.path in NAMES_OF_PEOPLE:
        return f"{change.path} {len(change.before or ())} → {len(change.after or ())} keys"
    before, after = _text(change.before), _text(change.after)
    pairs = enumerate(zip(before, after, strict=False))
    alike = next((number for number, (one, other) in pairs if one != other), min(len(before), len(after)))
    skipped = max(alike - _CONTEXT, 0) if max(len(before), len(after)) > _LONGEST else 0
    return f"{change.path} {_cut(before, skipped)} → {_cut(after, skipped)}"


def _text(value: Any) -> str:
    if value is None:
        return _NOTHING
    return value if isinstance(value, str) else json.dumps(value, separators=(", ", ": "), ensure_ascii=False)


def _cut(text: str, skipped: int) -> str:
    """What differs, and a little around it."""
    shown = f"…{text[skipped:]}" if skipped else text
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"
