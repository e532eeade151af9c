"""A flag's reading, and whose the flag is."""

import asyncio
from collections.abc import Callable, Iterable

from tidegate.api.conditions import Reason
from tidegate.api.targets import FlagTarget
from tidegate.clients.errors import NotFound
from tidegate.clients.kubernetes import Kubernetes
from tidegate.clients.resources import CONFIG_MAPS, FEATURE_ROLLOUTS, JsonObject
from tidegate.domain.exposure import Reading
from tidegate.domain.keys import Key, Ref, RefKind
from tidegate.domain.problems import Problem
from tidegate.domain.snapshot import Rollout
from tidegate.levers.flag.flag_set import FlagSet, UnreadableError, document_writer, parse_flag_set, read_flag
from tidegate.observe.parsing import parse_rollout
from tidegate.observe.recent import Recent

SHARED_FOR = 1.0
"""Seconds for which one read of a flag set serves all rollouts, unless a change of it is known."""


class Flags:
    """Reads flags. `others` gives the keys of rollouts that are known to move a flag."""

    def __init__(self, kubernetes: Kubernetes, others: Callable[[Ref], Iterable[Key]]) -> None:
        self._kubernetes = kubernetes
        self._others = others
        self.sets: Recent[tuple[str, str], FlagSet | Problem] = Recent(self._flag_set, SHARED_FOR)
        self._unseen: set[tuple[str, str, str]] = set()

    async def read(self, rollout: Rollout, target: FlagTarget) -> Reading | Problem:
        """The flag as it stands, or why it can't be read or is another rollout's."""
        flag_set = await self.sets.get((rollout.namespace, target.config_map))
        if isinstance(flag_set, Problem):
            return flag_set
        reading = read_flag(flag_set, target.key, owned=rollout.owns)
        if self._was_gone(rollout, target):
            return Reading(None)
        if isinstance(reading, Problem):
            return reading
        return await self._claimed(rollout, reading, target) or reading

    def stored(self, namespace: str, config_map: str, own: Iterable[str], put_back: Iterable[str]) -> None:
        """A flag set was written. Whoever's flag was put back for it sees it gone once all the same: that it was lost is recorded."""
        self._unseen |= {(namespace, config_map, key) for key in put_back}
        self._unseen -= {(namespace, config_map, key) for key in own}

    def _was_gone(self, rollout: Rollout, target: FlagTarget) -> bool:
        where = (rollout.namespace, target.config_map, target.key)
        if where not in self._unseen:
            return False
        self._unseen.discard(where)
        return rollout.owns

    async def owners(self, namespace: str, config_map: str) -> list[Rollout]:
        """All rollouts that move a flag of this flag set, the oldest first."""
        found = []
        async for page in self._kubernetes.pages(FEATURE_ROLLOUTS, namespace):
            for raw in page.items:
                if config_map in _named_by(raw):
                    found.append(parse_rollout(raw))
                    await asyncio.sleep(0)  # there may be a thousand
        return sorted((one for one in found if _flag_set_of(one) == config_map), key=_age)

    async def _claimed(self, rollout: Rollout, reading: Reading, target: FlagTarget) -> Problem | None:
        """The first claimant keeps a flag for as long as it lives. Whose it is follows from the rollouts' status. A mark, which anybody may
        write, only names whom to check."""
        names = {key.name for key in self._others(flag_ref(rollout.namespace, target))} if not rollout.owns else set()
        if reading.mark is not None and reading.mark.uid != rollout.uid:
            namespace, _, name = reading.mark.rollout.partition("/")
            names |= {name} if namespace == rollout.namespace else set()
        for name in sorted(names - {rollout.name}):
            other = await self._claimant(rollout.namespace, name, target)
            if other is not None and (not rollout.owns or _age(other) < _age(rollout)):
                why = f"flag {target.key} belongs to FeatureRollout {name}: delete that one, or choose another flag"
                return Problem(Reason.CLAIMED, why)
        return None

    async def _claimant(self, namespace: str, name: str, target: FlagTarget) -> Rollout | None:
        """A rollout that has the flag by its status."""
        try:
            other = parse_rollout(await self._kubernetes.get(FEATURE_ROLLOUTS, namespace, name))
        except NotFound:
            return None
        spec = other.followed_spec()
        theirs = None if spec is None else spec.target.flag
        is_same = theirs is not None and (theirs.config_map, theirs.key) == (target.config_map, target.key)
        return other if is_same and other.owns else None

    async def _flag_set(self, where: tuple[str, str]) -> FlagSet | Problem:
        namespace, name = where
        raw: JsonObject | None
        try:
            raw = await self._kubernetes.get(CONFIG_MAPS, namespace, name)
        except NotFound:
            raw = None
        try:
            return parse_flag_set(raw)
        except UnreadableError as error:
            writer = document_writer(raw)
            who = f", last written by {writer.manager}" if writer is not None else ""
            return Problem(Reason.UNREADABLE, f"ConfigMap {name}: {error}{who}; mend it by hand, Tidegate won't overwrite it")


def flag_set_ref(namespace: str, target: FlagTarget) -> Ref:
    """What a flag target refers to."""
    return Ref(RefKind.FLAG_SET, namespace, target.config_map)


def flag_ref(namespace: str, target: FlagTarget) -> Ref:
    """The one flag in it: others that move it too are its rivals."""
    return Ref(RefKind.FLAG, namespace, f"{target.config_map}/{target.key}")


def _named_by(raw: JsonObject) -> list[str | None]:
    """The flag sets that a rollout names, in the spec that is written and in the last valid one."""
    specs = raw.get("spec") or {}, (raw.get("status") or {}).get("validSpec") or {}
    return [((spec.get("target") or {}).get("flag") or {}).get("configMap") for spec in specs]


def _flag_set_of(rollout: Rollout) -> str | None:
    spec = rollout.followed_spec()
    return None if spec is None or spec.target.flag is None else spec.target.flag.config_map


def _age(rollout: Rollout) -> tuple[str, str]:
    """Of two that both have a flag, after a mark was swapped, the older object keeps it."""
    return rollout.created, rollout.uid
