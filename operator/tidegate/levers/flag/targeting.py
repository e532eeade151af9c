"""The targeting rule of one boolean flag in flagd's format, built and read back. Pure.

Precedence is deny > lease > allow > segment > percentage. `on` always comes first in `fractional` and the weights always sum to the same
integer: order and total are part of a user's bucket, and changing either would re-deal everybody (measured; docs/flags.md). The forms:

    deny → off, allow → on, SHARE                                 without a lease
    deny → off, {"if": [now < end, {allow → on, SHARE}, "off"]}   with one: nobody but the operator keeps the feature on
    SHARE = on | off | FRACTIONAL | {"if": [segment, on | FRACTIONAL, "off"]}
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from tidegate.api.targets import FlagTarget

WEIGHT_PER_PERCENT = 1000
_TOTAL = 100 * WEIGHT_PER_PERCENT
_MAX_TOTAL = 2**31 - 1
"""Weights that sum to more make flagd fall back to the default variant, without an error."""
_KEY = {"var": "targetingKey"}
_NOW = {"var": "$flagd.timestamp"}
"""The evaluator's own clock, in whole Unix seconds."""
_LAST_SECOND = 2**32 - 1
_FOREIGN = "its targeting has rules that Tidegate did not write"


class NotAdoptableError(ValueError):
    """A definition whose exposure can't be read, so that it can't be taken over without changing it."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """Who sees a flag: `percent` of those in the `segment` (None: of everybody), until `lease` (Unix seconds; None: for good)."""

    percent: int
    lease: int | None = None
    segment: Any = None


def segment_of(target: FlagTarget) -> dict[str, Any] | None:
    """The segment as a condition; None where it is everybody. In `and` also where it is one: it is never taken for a list of users."""
    if target.segment is None:
        return None
    return {"and": [{"in": [{"var": condition.attribute}, list(condition.in_)]} for condition in target.segment]}


def targeting_for(target: FlagTarget, percent: int, lease: int | None = None) -> Any:
    """The rule for `percent` of the targeting keys in the segment, and the allow list; a plain "on" or "off" where no rule is needed."""
    share = _share(percent, segment_of(target))
    allow = _listed(target.allow, "on") if share != "on" else []
    if share == "off" and not allow:
        return "off"
    deny = _listed(target.deny, "off")
    if lease is None:
        return _first_of([*deny, *allow], share)
    return _first_of(deny, {"if": [{"<": [_NOW, lease]}, _first_of(allow, share), "off"]})


def _share(percent: int, segment: dict[str, Any] | None) -> Any:
    if percent == 0:
        return "off"
    on = percent * WEIGHT_PER_PERCENT
    share = "on" if percent == 100 else {"fractional": [["on", on], ["off", _TOTAL - on]]}
    return share if segment is None else {"if": [segment, share, "off"]}


def _listed(keys: Iterable[str], result: str) -> list[Any]:
    listed = list(keys)
    return [{"in": [_KEY, listed]}, result] if listed else []


def _first_of(branches: list[Any], rest: Any) -> Any:
    return {"if": [*branches, rest]} if branches else rest


def read_targeting(rule: Any) -> Exposure:
    """The exposure of a rule: of our own forms, and of plain hand-written ones. NotAdoptableError says why not."""
    rest = _behind_lists(rule, ("on", "off"))
    match _parts(rest):
        case [{"<": [now, int(end)]} as condition, inner, "off"] if now == _NOW and len(condition) == 1 and not isinstance(end, bool):
            if not 0 <= end <= _LAST_SECOND:
                raise NotAdoptableError(_FOREIGN)
            _behind_lists(rule, ("off",))
            return replace(_read_share(_behind_lists(inner, ("on",))), lease=end)
    return _read_share(rest)


def read_lists(rule: Any) -> dict[str, frozenset[str]]:
    """The targeting keys that a rule which can be read names, by what they get: "on" or "off"."""
    found: dict[str, frozenset[str]] = {"on": frozenset(), "off": frozenset()}
    for inner in (rule, *_parts(_behind_lists(rule, ("on", "off")))[1:2]):  # the lists in front of a lease, and those behind it
        parts = _parts(inner)
        for condition, result in zip(parts[0:-1:2], parts[1::2], strict=False):
            if _is_membership(condition, _KEY):
                found[result] |= frozenset(condition["in"][1])
    return found


def _parts(rule: Any) -> list[Any]:
    """The arguments of an `if`; none for anything else."""
    if isinstance(rule, dict) and set(rule) == {"if"} and isinstance(rule["if"], list):
        return rule["if"]
    return []


def _behind_lists(rule: Any, allowed: tuple[str, ...]) -> Any:
    """What is left when no list of targeting keys matches; the rule itself where it doesn't begin with one."""
    if not (parts := _parts(rule)) or not _is_membership(parts[0], _KEY):
        return rule
    *branches, rest = parts
    conditions, results = branches[0::2], branches[1::2]
    known = all(_is_membership(condition, _KEY) for condition in conditions) and all(result in allowed for result in results)
    if len(conditions) != len(results) or not known:
        raise NotAdoptableError(_FOREIGN)
    return rest


def _is_membership(condition: Any, of: Any = None) -> bool:
    match condition:
        case {"in": [{"var": str(name)} as attribute, list(values)]} if len(condition) == len(attribute) == 1:
            return (of is None or attribute == of) and name != "" and all(isinstance(value, str) for value in values)
    return False


def _read_share(share: Any) -> Exposure:
    match _parts(share):
        case [{"and": [_, *_] as conditions} as segment, inner, "off"] if len(segment) == 1 and all(map(_is_membership, conditions)):
            if inner != "off":
                return Exposure(_read_percent(inner), segment=segment)
    return Exposure(_read_percent(share))


def _read_percent(share: Any) -> int:
    if share in ("on", "off"):
        return 100 if share == "on" else 0
    match share:
        case {"fractional": [["on", int(on)], ["off", int(off)]]} if on >= 0 <= off and 0 < on + off <= _MAX_TOTAL:
            if not isinstance(on, bool) and not isinstance(off, bool) and len(share) == 1 and 100 * on % (on + off) == 0:
                return 100 * on // (on + off)
    raise NotAdoptableError(f"{_FOREIGN}, or a share that is not a whole percent")
