"""What must hold at every moment of every scene. Each claim gives a sentence where it doesn't."""

import math
from collections.abc import Iterator

from search.election.wire import Fate
from search.election.world import Process, World

MOST_UNHELD = 3
PERIOD, SETTLED, GIVEN_UP = 2.5, 1.2, 40.0
FOLLOWED = 0.2
"""Seconds in which a process that may lead at once does."""


def holders(world: World) -> list[Process]:
    """Who may write now, also if it is stopped."""
    return [one for one in world.processes if one.alive and one.leadership.held()]


class Watcher:
    """Looks at a world whenever anything has happened in it. `duration`: of its Lease."""

    def __init__(self, duration: float) -> None:
        self.duration = duration
        self.look, self.patience = 1.2 * min(0.5, 0.15 * duration), max(1.0, 0.7 * duration / 3)
        """As the product has them: the longest time between two looks, and for an answer."""
        self.faults: dict[str, str] = {}
        self.held_since = math.inf
        """Since when somebody has held it without a gap."""
        self.unheld_since = 0.0
        self.longest_unheld = 0.0
        self._stored_unheld: dict[str, int] = {}
        self._stored = 0

    def __call__(self, world: World) -> None:
        held = holders(world)
        self._note_gap(world, held)
        for name, sentence in self._broken(world, held):
            self.faults.setdefault(name, f"at {world.now:.3f} s {sentence}")

    def _note_gap(self, world: World, held: list[Process]) -> None:
        if held:
            self.held_since, self.unheld_since = min(self.held_since, world.now), math.inf
            self._stored_unheld.clear()
        else:
            self.held_since, self.unheld_since = math.inf, min(self.unheld_since, world.now)
            self.longest_unheld = max(self.longest_unheld, world.now - self.unheld_since)
        for _, holder in world.stored[self._stored :]:
            if holder and not held:
                self._stored_unheld[holder] = self._stored_unheld.get(holder, 0) + 1
        self._stored = len(world.stored)

    def _broken(self, world: World, held: list[Process]) -> Iterator[tuple[str, str]]:
        if len(held) > 1:
            yield "one_writer", f"{' and '.join(one.name for one in held)} may write"
        yield from self._gives_up_after_its_work(world)
        yield from self._extends_only_what_it_can_hold()
        if not held:
            for one in world.processes:
                yield from self._follows_in_time(world, one)
        for one in world.processes:
            yield from self._leaves_no_name(world, one)
            if one.life.done() and (error := one.life.exception()) is not None:
                yield "nothing_breaks", f"{one.name} has ended with {error!r}"

    def _gives_up_after_its_work(self, world: World) -> Iterator[tuple[str, str]]:
        request = world.sending
        if request is None or request.body is None or request.body["spec"]["holderIdentity"]:
            return
        sender = next(one for one in world.processes if one.name == request.sender)
        if sender.writing:
            yield "given_up_after_its_work", f"{sender.name} gives the Lease up while a write of it is under way"

    def _extends_only_what_it_can_hold(self) -> Iterator[tuple[str, str]]:
        """The first write is the one by which it might hold it; as many may be tried in vain."""
        for holder, times in self._stored_unheld.items():
            if times > MOST_UNHELD + 1:
                yield "extends_only_what_it_can_hold", f"{holder} has extended the Lease {times} times while nobody could hold it"

    def _follows_in_time(self, world: World, one: Process) -> Iterator[tuple[str, str]]:
        """Nobody holds it: how long may that last, as this process could do something about it?"""
        lease = world.server.lease
        if not one.runs or one.heard_since == math.inf or one.life.done() or one.asked_to_stop_at < math.inf or lease is None:
            return
        spec = lease["spec"]
        holder, written = str(spec["holderIdentity"] or ""), world.stored[-1][0]
        if one.leadership.identity == holder and one.writes:
            due, why = max(written, one.heard_since) + self.patience + self.look, "its own name stands there"
        elif not holder:
            due, why = max(written, one.heard_since) + self.look, "it was given up"
        elif one.place and holder.startswith(f"{one.candidate}_{one.place}_"):
            due, why = max(written, one.heard_since) + self.look, "its predecessor in the same pod is dead"
        else:
            seen = one.saw[1] if one.saw and one.saw[0] == spec else max(written, one.heard_since) + self.look
            due, why = (
                max(seen + self.duration, one.heard_since + self.look),
                f"it has known what stands there for {world.now - seen:.3f} s",
            )
        if world.now > due + FOLLOWED:
            yield "followed_in_time", f"{one.name} does not lead, though {why}"

    def _leaves_no_name(self, world: World, one: Process) -> Iterator[tuple[str, str]]:
        """Who ends in order, while the API server answers, keeps nobody waiting."""
        if not one.life.done() or world.server.lease is None or one.good_since == math.inf:
            return
        looked_in_vain = one.wrote_at <= one.read_at <= world.stored[-1][0]  # what is carried out after that is known to nobody
        if not looked_in_vain and world.server.lease["spec"]["holderIdentity"] == one.leadership.identity:
            yield "leaves_no_name", f"{one.name} has ended, and its name stands in the Lease"


def settled(world: World, watcher: Watcher) -> bool:
    """Whether all is quiet, and somebody has held it for a while since; or it is clear that nobody will."""
    if watcher.faults or world.now > max(world.quiet_at, PERIOD) + GIVEN_UP:
        return True
    is_plain = all(fate is Fate.FINE for fate in world.scene.fates)
    watched = max(world.began_at + PERIOD, world.quiet_at, watcher.held_since)
    return world.now > watched + (1.2 * watcher.duration if is_plain else SETTLED)  # what was miscounted shows after a whole Lease
