"""What the operator's /metrics has before anything happened, and what is left of objects that are gone."""

from prometheus_client import CollectorRegistry

from tests.operated import KEY, Operated
from tidegate import build
from tidegate.app import expose_process
from tidegate.domain.keys import Key, Kind

POLICY = Key(Kind.ROLLOUT_POLICY, "", "production")


def test_which_replica_leads_and_which_build_it_is() -> None:
    registry, leads = CollectorRegistry(), [False]
    expose_process(registry, lambda: leads[0], lambda: 2)
    assert registry.get_sample_value("tidegate_leader") == 0
    leads[0] = True
    assert registry.get_sample_value("tidegate_leader") == 1
    assert registry.get_sample_value("tidegate_build_info", {"version": build.version()}) == 1
    assert registry.get_sample_value("tidegate_watch_missing") == 2


async def test_what_never_happened_is_counted_as_0(world: Operated) -> None:
    def at_zero(metric: str) -> set[str]:
        families = world.registry.collect()
        return {":".join(one.labels.values()) for family in families for one in family.samples if one.name == metric and one.value == 0}

    assert {f"{kind}:{result}" for kind in Kind for result in ("error", "timeout")} <= at_zero("tidegate_reconciles_total")
    assert at_zero("tidegate_events_dropped_total") == {"refused", "late", "full", "stopped"}
    assert "shop:search:RolledBack" in at_zero("tidegate_rollout_transitions_total")
    assert at_zero("tidegate_rollout_drifts_total") == {"shop:search"}


async def test_nothing_is_left_of_a_policy_that_is_gone(world: Operated) -> None:
    def series() -> set[str]:
        return {one.name for family in world.registry.collect() for one in family.samples if one.labels.get("policy") == "production"}

    world.parts.enqueue(POLICY)
    await world.until(lambda: series() == {"tidegate_policy_condition", "tidegate_source_errors_total"})
    await world.server.remove("rolloutpolicies", "", "production")
    world.parts.enqueue(POLICY)
    await world.until(lambda: series() == set())


async def test_nothing_is_left_of_a_rollout_that_is_gone(world: Operated) -> None:
    def series() -> set[str]:
        return {one.name for family in world.registry.collect() for one in family.samples if one.labels.get("name") == KEY.name}

    assert "tidegate_rollout_condition" in series()
    await world.delete()
    await world.until(lambda: series() == set())
    await world.reconciled(1)
    assert series() == set()
