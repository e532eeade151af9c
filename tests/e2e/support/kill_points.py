"""Where an operator can die: before each write, after the API server took it but before the answer came, and right after the answer."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from tests.e2e.support.api import eventually
from tests.e2e.support.exposure import DOCUMENT
from tests.e2e.support.faults import Call, CutError
from tests.e2e.support.host_operator import Host, HostOperator

MOMENTS = ("before", "applied, answer lost", "answered")
PATIENCE = 4.0
"""Seconds. The operator waits five for an answer; held for longer, it would be doing something else when it dies."""


@dataclass(frozen=True)
class KillPoint:
    """One moment of one write."""

    write: str
    moment: str

    def __str__(self) -> str:
        return f"{self.write} ({self.moment})"


def points_of(writes: list[str]) -> list[KillPoint]:
    """Every moment of each of these writes."""
    return [KillPoint(write, moment) for write in writes for moment in MOMENTS]


FLAG = "feature"
"""One key for all: which clients see a step depends on the key, and with it how well a step can be told from outside."""


def flag_set_of(rollout: str) -> str:
    """Every rollout of these tests has a flag set of its own, so that each write belongs to one of them."""
    return f"flags-{rollout}"


def name_of(call: Call, rollout: str) -> str | None:
    """What a call writes for this rollout, in words that are the same in each climb; None for reads and others' writes."""
    body: Any = call.body
    match call.kind:
        case "configmaps" if call.writes and call.name == flag_set_of(rollout):
            mark = json.loads(body["data"][DOCUMENT])["flags"][FLAG]["metadata"]
            return f"flag {mark['percent']} % {mark['state']}"
        case "featurerollouts" if call.writes and call.name == rollout:
            return f"finalizers {body['metadata']['finalizers']}"
        case "featurerollouts/status" if call.writes and call.name == rollout:
            return _name_of_status(body[-1]["value"])
        case "rolloutruns" if call.writes and call.name == f"{rollout}-1":
            return "run created"
        case "rolloutruns/status" if call.writes and call.name == f"{rollout}-1":
            return f"run appended {body[-1]['value']['seq']}"
        case "events" if call.writes and call.name.startswith(f"{rollout}."):
            about = call.name.split(".")[2:]  # attempt and seq of a record; or a condition, its reason, and the minute
            return f"event {about[-1] if len(about) == 2 else '.'.join(about[:2])}"
    return None


def _name_of_status(status: dict[str, Any]) -> str:
    pending = [record["transition"] for record in (status.get("pending") or {}).get("records", [])]
    gates = [f"{gate['verdict']} {gate.get('breachedSamples', '')}".strip() for gate in status.get("gates", [])]
    return f"status {status['seq']} {status['phase']} {'pending ' + '+'.join(pending) if pending else 'settled'} {' '.join(gates)}".strip()


def kind_of(write: str) -> str:
    """What sort of write it is: `flag`, `status pending`, `run appended` …"""
    words = write.split()
    if words[0] == "status":
        return f"status {words[3]}"
    return " ".join(words[:2]) if words[0] == "run" else words[0]


def one_of_each_kind(writes: list[str]) -> list[str]:
    """For each sort of write the one in the middle of its own, in the order of the writes."""
    kinds: dict[str, list[str]] = {}
    for write in writes:
        kinds.setdefault(kind_of(write), []).append(write)
    return sorted((alike[len(alike) // 2] for alike in kinds.values()), key=writes.index)


def writes_for(operator: HostOperator, rollout: str, since: float = 0.0) -> list[str]:
    """All writes for a rollout, each named once, in order."""
    return list(dict.fromkeys(name for call in operator.proxy.writes(since) if (name := name_of(call, rollout)) is not None))


@dataclass
class Ambush:
    """Holds one rollout at its kill point until the operator is dead."""

    rollout: str
    point: KillPoint
    dead: asyncio.Event
    reached_at: float | None = None

    def rules(self) -> list[dict[str, Any]]:
        """For the fault proxy. An answer can't be held once it is given, but whatever the operator does next for this rollout can."""
        at_the_point = {"matches": lambda call: name_of(call, self.rollout) == self.point.write, "times": 1}
        match self.point.moment:
            case "before":
                return [at_the_point | {"before": self._hold}]
            case "applied, answer lost":
                return [at_the_point | {"after": self._hold}]
        next_one = {"matches": lambda call: self.reached_at is not None and _is_about(call, self.rollout), "before": self._hold}
        return [next_one, at_the_point | {"replied": self._note}]

    async def _note(self, _: Call) -> None:
        self.reached_at = self.reached_at or time.time()

    async def _hold(self, call: Call) -> None:
        await self._note(call)
        await self.dead.wait()
        raise CutError


def _is_about(call: Call, rollout: str) -> bool:
    return call.name in (rollout, flag_set_of(rollout), f"{rollout}-1") or call.name.startswith(f"{rollout}.")


async def die_at(points: dict[str, KillPoint], host: Host, operator: HostOperator, begin: Callable[[], Awaitable[Any]]) -> "Death":
    """Begins, waits until each rollout stands at its point, kills the operator, starts it again, and returns when it leads."""
    dead = asyncio.Event()
    ambushes = [Ambush(rollout, point, dead) for rollout, point in points.items()]

    with ExitStack() as stack:
        for ambush in ambushes:
            for rule in ambush.rules():
                stack.enter_context(operator.proxy.rule(**rule))
        await begin()
        try:
            await eventually("every rollout reaches its kill point", lambda: all(one.reached_at for one in ambushes), 120, every=0.02)
        except AssertionError as error:
            late = [f"{one.rollout}, {one.point}: {writes_for(operator, one.rollout)}" for one in ambushes if not one.reached_at]
            raise AssertionError(f"{error}; not reached: {late}; {operator.said()}") from None
        at = operator.kill()
        dead.set()
    await host.led_again(operator)
    return Death(at, time.time(), frozenset(one.rollout for one in ambushes if at - (one.reached_at or 0) > PATIENCE))


@dataclass(frozen=True)
class Death:
    """When it was, when the operator was back, and which rollouts had been held for so long that the operator had given up waiting."""

    at: float
    back: float
    too_late_for: frozenset[str]


BATCH = 9
"""Rollouts side by side, one kill point each."""
ROUNDS = 12
"""At most, those included in which points are done again that were too slow on a busy machine."""


async def in_batches(
    points: list[KillPoint], live_through: Callable[[dict[str, KillPoint]], Awaitable[tuple[list[str], Death]]]
) -> list[str]:
    """All faults found at these points. Neighbours go together, so that all stand at their points within a second or two."""
    faults, left = list[str](), points
    for number in range(ROUNDS):
        chosen, left = {f"r{number}-{n}": point for n, point in enumerate(left[:BATCH])}, left[BATCH:]
        found, death = await live_through(chosen)
        faults += found
        left = sorted([chosen[name] for name in death.too_late_for] + left, key=points.index)
        print(f"{len(chosen)} kill points, back {death.back - death.at:.1f} s after the death, to be done again: {len(death.too_late_for)}")
        if not left:
            return faults
    return [*faults, f"never held well enough: {left}"]
