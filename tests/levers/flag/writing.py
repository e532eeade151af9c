"""Writes of one flag, as the lever makes them, and flag sets that hold them."""

from collections.abc import Mapping
from typing import Any

from tests.builders import CONFIG_MAP, KEY, after, mark, target
from tidegate.domain.exposure import Reading
from tidegate.levers.flag.definition import definition_for, switched_off
from tidegate.levers.flag.flag_set import FlagSet, WriteFlag, parse_flag_set, read_flag
from tidegate.levers.flag.merging import merged

NOTHING = Reading(None)


def a_write(
    percent: int,
    seen: Reading = NOTHING,
    *,
    key: str = KEY,
    off: bool = False,
    lease: int | None = None,
    deny: tuple[str, ...] = (),
    **marks: Any,
) -> WriteFlag:
    """To this percent from what was seen; `off`: for the allow list too."""
    return WriteFlag(
        config_map=CONFIG_MAP,
        key=key,
        percent=percent,
        definition=switched_off() if off else definition_for(target(allow=["alice"], deny=deny), percent, lease),
        mark=mark(**{"epoch": 0, "percent": percent} | marks),
        seen=seen,
        raises=percent > (seen.percent or 0),
    )


def written(*writes: WriteFlag, into: FlagSet | None = None, at: float = 0) -> FlagSet:
    flag_set, refused = merged(into or parse_flag_set(None), writes, after(at))
    assert refused == ()
    return flag_set


def reading(flag_set: FlagSet, key: str = KEY, *, owned: bool = False) -> Reading:
    found = read_flag(flag_set, key, owned=owned)
    assert isinstance(found, Reading)
    return found


def is_refused(write: WriteFlag, flag_set: FlagSet, at: float = 9) -> bool:
    """Whether a write alone does not hold; it changes nothing then, and says why."""
    after_it, refused = merged(flag_set, [write], after(at))
    assert not refused or (after_it.flags == flag_set.flags and refused[0].message)
    return bool(refused)


def holding(flags: Mapping[str, Any], epoch: int = 0) -> FlagSet:
    """A flag set with these definitions."""
    return FlagSet({"flags": flags}, epoch, "7")
