"""A rollout under a dead-man lease, and the operator that renews it."""

from typing import Any

from tests.e2e.support.api import Json
from tests.e2e.support.host_operator import Host, HostOperator
from tests.e2e.support.world import World

LEASE = 60
HELD: Json = {"percents": [50, 100], "dwell": "1h"}
CLIMB = ["AttemptStarted 0", "StepDecided 50", "StepEffective 50"]
"""What the records of a rollout tell that is held at 50 %."""


async def leased(world: World, name: str = "feature", **spec: Any) -> None:
    fields = {"leaseSeconds": LEASE} | spec.pop("flag_fields", {})
    await world.rollout(name, **{"canary": HELD, "flag_fields": fields} | spec)


async def held_at_half(host: Host, **spec: Any) -> HostOperator:
    operator = await host.leading()
    await host.world.policy()
    await leased(host.world, **spec)
    await host.world.until(percent=50, pending=None)
    return operator
