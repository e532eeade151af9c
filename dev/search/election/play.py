"""Plays scenes."""

import math
from dataclasses import dataclass

from search.election.claims import Watcher, holders, settled
from search.election.scenes import Scene
from search.election.world import World


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a scene. `unheld`: the longest time for which nobody led, in seconds. `leaders`: who leads in the end."""

    scene: Scene
    faults: dict[str, str]
    unheld: float
    leaders: tuple[str, ...]


def play(scene: Scene) -> Played:
    """One scene, to its end."""
    watcher = Watcher(scene.duration)
    world = World(scene, watcher)
    try:
        world.run(lambda found: settled(found, watcher))
        if watcher.held_since == math.inf and not watcher.faults:
            watcher.faults["somebody_leads_in_the_end"] = f"at {world.now:.3f} s nobody leads, and all is quiet"
        return Played(scene, watcher.faults, watcher.longest_unheld, tuple(one.name for one in holders(world)))
    finally:
        world.end()
