"""The lever of one flag: a wish → the write that makes it so."""

from collections.abc import Mapping
from typing import Any

from tidegate.api.conditions import Reason
from tidegate.api.rollout_status import FlagStatus
from tidegate.api.targets import FlagTarget
from tidegate.domain.exposure import Change, Expires, Mark, Mode, Reading, Wish
from tidegate.domain.problems import Problem
from tidegate.levers.flag.definition import (
    HASH_GENERATION,
    Definition,
    canonical,
    definition_for,
    fingerprint,
    read_exposure,
    same_effect,
    switched_off,
    without_metadata,
)
from tidegate.levers.flag.flag_set import WriteFlag
from tidegate.levers.flag.targeting import read_lists, segment_of

_MEMBERS = ("state", "variants", "defaultVariant", "targeting")


class FlagLever(Expires):
    """Moves `target`. A Lever that expires where the target has a lease."""

    def __init__(self, target: FlagTarget) -> None:
        self._target = target
        self._fingerprints: dict[Wish, str] = {}

    @property
    def identity(self) -> str:
        return f"flag/{self._target.config_map}/{self._target.key}"

    @property
    def label(self) -> str:
        return f"flag {self._target.key}"

    @property
    def lease_seconds(self) -> int | None:
        return self._target.lease_seconds

    def adoptable(self, reading: Reading, rollout: str) -> Problem | None:
        why = reading.unreadable or self._other_segment(reading) or self._other_lists(reading, rollout)
        return None if why is None else Problem(Reason.NOT_ADOPTABLE, why)

    def lowers(self, reading: Reading) -> bool:
        """A share of the same segment, no key let in that the spec doesn't, none shut out less. Nobody at all is always less."""
        if reading.percent is None or reading.unreadable is not None:
            return False
        named = read_lists(reading.live.get("targeting"))
        lets_in = named["on"] <= frozenset(self._target.allow)
        if reading.percent == 0:
            return lets_in and not named["on"] & frozenset(self._target.deny)
        is_same = read_exposure(reading.live).segment == segment_of(self._target)
        return is_same and lets_in and named["off"] >= frozenset(self._target.deny)

    def writes(self, wish: Wish, reading: Reading) -> tuple[WriteFlag, ...]:
        if reading.fingerprint == self.fingerprint(wish) and reading.expires == wish.expires and not wish.anew:
            return ()
        definition = self._definition(wish)
        is_said = wish.mark.says_as(reading.mark) and not wish.anew
        if is_said and reading.percent is not None and same_effect(reading.live, definition):
            return ()
        renews = is_said and wish.expires is not None and same_effect(reading.live, self._definition(wish, reading.expires))
        return (self._write(wish.percent, definition, wish.mark, reading, renews=renews, anew=wish.anew, owned=wish.owned),)

    def last(self, reading: Reading, mark: Mark, *, keep: bool, anew: bool, owned: bool) -> tuple[WriteFlag, ...]:
        definition = self._kept(reading) if keep else switched_off()
        if same_effect(reading.live, definition) and not anew:
            return ()
        percent = (reading.percent or 0) if keep else 0
        return (self._write(percent, definition, mark, reading, anew=anew, owned=owned),)

    def fingerprint(self, wish: Wish) -> str:
        if wish not in self._fingerprints:
            self._fingerprints[wish] = fingerprint(self._definition(wish), wish.mark)
        return self._fingerprints[wish]

    def differences(self, wish: Wish, reading: Reading, meant: int | None) -> tuple[Change, ...]:
        if reading.percent is None:
            return (Change(f"{self.label} removed"), *reading.around)
        out: list[Change] = []
        if reading.unreadable is None and reading.percent != meant:
            out.append(Change("percent", str(meant), str(reading.percent)))
        if wish.percent == meant:  # else the definition changes by itself
            wanted = self._definition(wish, reading.expires if wish.expires is not None else None)
            members = ((member, wanted.get(member), reading.live.get(member)) for member in _MEMBERS)
            out += [_changed(member, ours, theirs) for member, ours, theirs in members if canonical(ours) != canonical(theirs)]
        if reading.mark is None:
            out.append(Change("mark removed"))
        elif not out and not reading.around:
            out.append(Change("mark"))
        return (*out, *reading.around)

    def own_status(self) -> Mapping[str, Any]:
        return {"flag": FlagStatus(hash_generation=HASH_GENERATION)}

    def _definition(self, wish: Wish, expires: int | None = None) -> Definition:
        if wish.mode is Mode.OFF:
            return switched_off()
        return definition_for(self._target, wish.percent, wish.expires if expires is None else expires)

    def _write(
        self,
        percent: int,
        definition: Definition,
        mark: Mark,
        seen: Reading,
        *,
        renews: bool = False,
        anew: bool = False,
        owned: bool = False,
    ) -> WriteFlag:
        return WriteFlag(
            config_map=self._target.config_map,
            key=self._target.key,
            percent=percent,
            definition=definition,
            mark=mark,
            seen=seen,
            raises=percent > (seen.percent or 0),
            renews=renews,
            anew=anew,
            owned=owned,
        )

    def _kept(self, reading: Reading) -> Definition:
        """As it is, but without a lease: nobody will renew it. What an expired lease has turned off already stays off."""
        if reading.expires is None:
            return without_metadata(reading.live)
        return definition_for(self._target, reading.percent) if reading.percent else switched_off()

    def _other_segment(self, reading: Reading) -> str | None:
        """A percentage means little without whom it is a share of: to take over a share of others would raise some and lower some."""
        if not reading.percent or read_exposure(reading.live).segment == segment_of(self._target):
            return None
        remedy = "make spec.target.flag.segment and the flag's targeting equal, or turn the flag off first"
        return f"{self.label} exists and can't be taken over: it is on for a share of others than the segment: {remedy}"

    def _other_lists(self, reading: Reading, rollout: str) -> str | None:
        """Keys that are named in a flag are somebody's decision, and the first write would drop a list that the spec doesn't have. A flag
        without lists gets those of the spec."""
        if reading.percent is None or (reading.mark is not None and reading.mark.rollout == rollout):
            return None
        named = read_lists(reading.live.get("targeting"))
        for field, result, wanted in (("deny", "off", self._target.deny), ("allow", "on", self._target.allow)):
            if named[result] and named[result] != frozenset(wanted):
                differs = f"its list of targeting keys that are always {result} ({len(named[result])}) is not spec.target.flag.{field}"
                return f"{self.label} exists and can't be taken over: {differs}: copy it there, or take it out of the flag"
        return None


def _changed(member: str, ours: Any, theirs: Any) -> Change:
    """Values of others are shown only where they are a plain word: they may be anything."""
    if isinstance(ours, str) and isinstance(theirs, str) and theirs.isascii() and theirs.isalnum() and len(theirs) <= 32:
        return Change(member, ours, theirs)
    return Change(member)
