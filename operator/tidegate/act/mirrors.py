"""Keeps each flag set's copy in a FeatureFlag equal, where the API server serves that kind. The ConfigMap is written first and alone
decides: nothing here can delay or undo what was written there.

    flag set written or heard of, every minute ──► read both ──► plan (levers.feature_flag) ──► apply ──► compare what was stored
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tidegate.api.conditions import Reason
from tidegate.clients.errors import ApiError, FieldConflict, Forbidden, Invalid, NotFound, Refused
from tidegate.clients.kubernetes import Kubernetes
from tidegate.clients.resources import CONFIG_MAPS, FEATURE_FLAGS, FEATURE_ROLLOUTS
from tidegate.domain.mirror import MirrorView
from tidegate.domain.snapshot import Mirrored, Problem
from tidegate.levers.feature_flag import applied_flags, left_alone, own_flags, plan, unequal
from tidegate.levers.flag import read_marker
from tidegate.levers.flag_set import UnreadableError, parse_flag_set

LOOK_AGAIN = 60.0
"""Seconds between two looks at a copy: it isn't watched, since only a hand in the copy itself would be heard of earlier."""
Where = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`refused`: flags that somebody else has in the copy, and who. `failure`: why nothing could be written."""

    refused: Mapping[str, str] = field(default_factory=dict)
    failure: str | None = None


class Mirrors:
    """`told` hears of each flag set for which something else is to be said than before."""

    def __init__(self, kubernetes: Kubernetes, check_fence: Callable[[], None], told: Callable[[str, str], None], *, enabled: bool) -> None:
        self._kubernetes = kubernetes
        self._check_fence = check_fence
        self._told = told
        self._enabled = enabled
        self._outcomes: dict[Where, Outcome] = {}
        self.served = False
        """Whether the API server has the kind; found out by `discover`."""

    async def discover(self) -> bool:
        """Asks the API server; returns whether the answer is another than before."""
        before, self.served = self.served, self._enabled and await self._kubernetes.serves(FEATURE_FLAGS)
        if not self.served:
            self._outcomes.clear()
        return self.served != before

    def of(self, namespace: str, name: str, key: str) -> Mirrored | None:
        """How one flag's copy stands; None where there are none."""
        if not self.served:
            return None
        outcome = self._outcomes.get((namespace, name))
        if outcome is None:
            return Mirrored(known=False)
        if outcome.failure is not None:
            return Mirrored(True, Problem(Reason.FEATURE_FLAG_REFUSED, f"FeatureFlag {name}: {outcome.failure}"))
        if key in outcome.refused:
            text = f"FeatureFlag {name}: flag {key} is written by {outcome.refused[key]}, and not overwritten: take it out there"
            return Mirrored(True, Problem(Reason.FEATURE_FLAG_TAKEN, text))
        return Mirrored(True)

    def faults(self) -> dict[Where, int]:
        """How many flags of each flag set are not as they should be in the copy."""
        return {where: len(outcome.refused) + (outcome.failure is not None) for where, outcome in self._outcomes.items()}

    async def mirror(self, namespace: str, name: str) -> float | None:
        """One look at one copy; returns the seconds until the next. Raises what the API server says where it doesn't take the copy."""
        if not self.served:
            return None
        where = (namespace, name)
        try:
            view = await self._view(namespace, name)
            if view is None:
                self._outcomes.pop(where, None)
                return None
            self._note(where, await self._apply(view))
        except NotFound:
            if await self.discover() or not self.served:
                return None
            raise
        except FieldConflict as error:
            self._note(where, Outcome(failure=f"others own {', '.join(error.fields)[:300]}"))
        except (Forbidden, Invalid, Refused) as error:
            self._note(where, Outcome(failure=error.message[:500]))
            raise
        return LOOK_AGAIN

    async def _view(self, namespace: str, name: str) -> MirrorView | None:
        """The copy is read first: whatever is written to it after that makes our apply fail, and the flags are newer than it."""
        try:
            feature_flag = await self._kubernetes.get(FEATURE_FLAGS, namespace, name)
        except NotFound:
            feature_flag = None
        try:
            flag_set = parse_flag_set(await self._kubernetes.get(CONFIG_MAPS, namespace, name))
        except (NotFound, UnreadableError):
            return None
        flags = own_flags(flag_set)
        lonely = left_alone(feature_flag, flags)
        if not flag_set.labelled or not (flags or lonely):
            return None
        alive = await asyncio.gather(*(self._lives(namespace, flag) for flag in lonely.values()))
        kept = frozenset(key for key, lives in zip(lonely, alive, strict=True) if lives)
        return MirrorView(namespace, name, flags, flag_set.epoch, feature_flag, kept)

    async def _lives(self, namespace: str, flag: Mapping[str, object]) -> bool:
        """Whether the rollout of a flag exists. A flag that doesn't say whose it is stays: to remove it would give the code's default."""
        marker = read_marker(flag)
        owner = marker.rollout.partition("/")[2] if marker is not None else ""
        if not owner:
            return True
        try:
            await self._kubernetes.get(FEATURE_ROLLOUTS, namespace, owner)
        except NotFound:
            return False
        return True

    async def _apply(self, view: MirrorView) -> Outcome:
        todo = plan(view)
        if todo.body is None:
            return Outcome(todo.refused)
        self._check_fence()
        # Not strictly: what an older version of the kind has no place for, the metadata of a flag, is left out.
        stored = await self._kubernetes.apply(FEATURE_FLAGS, dict(todo.body), force=todo.force, strict=False)
        return Outcome({**todo.refused, **unequal(stored, applied_flags(todo.body))})

    def _note(self, where: Where, outcome: Outcome) -> None:
        before = self._outcomes.get(where)
        self._outcomes[where] = outcome
        if outcome != before:
            self._told(*where)


async def discovering(mirrors: Mirrors, changed: Callable[[], None], every: float) -> None:
    """Looks for the kind, for ever: it may be installed, or removed, while we run."""
    while True:
        try:
            if await mirrors.discover():
                changed()
        except ApiError:
            pass  # the watch and the Lease tell of an API server that doesn't answer
        await asyncio.sleep(every)
