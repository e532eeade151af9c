"""A rollout without fault beside the one that a test troubles: that it climbs shows that no harm spreads, and that time was given."""

from dataclasses import dataclass

from tests.e2e.support.world import World


@dataclass(frozen=True)
class Witness:
    """Has a policy and a flag set of its own, so that it shares nothing with the troubled rollout but the operator."""

    world: World
    name: str = "witness"

    @classmethod
    async def begin(cls, world: World, *, dwell: str = "1s", flag_set: str = "witness-flags") -> "Witness":
        """It climbs from now on, measuring a metric that stays good."""
        metric = "witness_errors"
        await world.set(metric, 0)
        await world.queryable(metric, 0)
        await world.policy(f"{world.namespace}-witness")
        gate = world.gate("witness-errors", advance={"lt": 0.1}, rollback={"gt": 0.5})
        await world.rollout(
            "witness",
            policyRef={"name": f"{world.namespace}-witness"},
            canary={"percents": [25, 50, 100], "dwell": dwell},
            flag_fields={"configMap": flag_set},
            gates=[gate],
        )
        return cls(world)

    async def climbed(self) -> None:
        """Waits until it is all the way up and its bake is over."""
        await self.world.until(self.name, phase="Succeeded", state="ENABLED", percent=100)
