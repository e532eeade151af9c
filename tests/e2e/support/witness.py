"""A rollout without fault beside the one that a test troubles: that it climbs shows that no harm spreads, and that time was given."""

from tests.e2e.support.world import PROMETHEUS, World


async def begin(world: World, dwell: str = "1s") -> None:
    """It climbs from now on, measuring a metric that stays good. It shares nothing with the troubled rollout but the operator."""
    await world.measured("witness_errors", 0)
    policy = f"{world.namespace}-witness"
    await world.policy(policy, url=PROMETHEUS)
    gates = [world.gate("witness-errors", advance={"lt": 0.1}, rollback={"gt": 0.5})]
    canary = {"percents": [25, 50, 100], "dwell": dwell}
    await world.rollout("witness", policyRef={"name": policy}, canary=canary, flag_fields={"configMap": "witness-flags"}, gates=gates)


async def climbs(world: World, dwell: str = "1s") -> None:
    """All the way up, until its bake is over."""
    await begin(world, dwell)
    await world.succeeded("witness")
