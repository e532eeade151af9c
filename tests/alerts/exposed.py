"""The names of the metrics that the two programs expose, each with the names of its labels, read off the programs' own registries."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from prometheus_client import CollectorRegistry

from tests.fakes.apiserver import ApiServer
from tests.flags.support import document, flag
from tests.operated import operated
from tidegate.app import expose_process
from tidegate.domain.keys import Key, Kind
from tidegate.flags.changes import Change, FlagSetKey, Synced, Upserted
from tidegate.flags.flag_set_metrics import FlagSetMetrics
from tidegate.flags.metrics import Metrics
from tidegate.flags.store import FlagSets
from tidegate.loop.health import Pulse

Exposed = dict[str, frozenset[str]]


async def exposed_by_operator(server: ApiServer, folder: Path) -> Exposed:
    """With one rollout that shows 10 %, and its policy."""
    async with operated(server, folder) as world:
        expose_process(world.registry, lambda: True, lambda: 0)
        Pulse(world.registry)
        world.parts.enqueue(Key(Kind.ROLLOUT_POLICY, "", "production"))
        await world.tick(lambda: {"tidegate_policy_condition", "tidegate_gate_value"} <= set(_of(world.registry)))
        return _of(world.registry)


async def exposed_by_flag_server() -> Exposed:
    """With one flag set."""
    metrics = Metrics()
    sets = FlagSets(metrics)
    FlagSetMetrics(metrics.registry, sets.live)
    await sets.follow(_OneSet())
    return _of(metrics.registry)


class _OneSet:
    async def changes(self) -> AsyncIterator[Change]:
        yield Upserted(FlagSetKey("shop", "flags"), document(search=flag(on=True)))
        yield Synced()
        await asyncio.sleep(0)


def _of(registry: CollectorRegistry) -> Exposed:
    samples = [sample for family in registry.collect() for sample in family.samples if sample.name.startswith("tidegate_")]
    return {sample.name: frozenset(sample.labels) for sample in samples}
