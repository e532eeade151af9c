"""The counter of changes by others goes with status, and goes when the rollout does."""

from prometheus_client import CollectorRegistry

from tests.decide.world import World
from tidegate.decide.rollout.deciding import decide
from tidegate.domain.keys import Key, Kind
from tidegate.report.rollout_metrics import RolloutMetrics

KEY = Key(Kind.FEATURE_ROLLOUT, "shop", "search")
LABELS = {"namespace": "shop", "name": "search"}


def test_a_correction_counts_once_it_stands_in_status() -> None:
    """What was decided, and refused by the API server, is decided again at the next look."""
    registry = CollectorRegistry()
    metrics = RolloutMetrics(registry)
    world = World(percents=(50, 100), dwell="1h")
    world.climb_to(50)

    def counted() -> float | None:
        snapshot = world.snapshot()
        metrics.show(KEY, snapshot, decide(snapshot, world.now).status)
        return registry.get_sample_value("tidegate_rollout_drifts_total", LABELS)

    assert counted() == 0
    for number in (1, 2):
        world.edit_flag(defaultVariant="on")
        assert (counted(), counted()) == (number - 1, number - 1)
        world.reconcile()
        assert (counted(), counted()) == (number, number)
    metrics.forget(KEY)
    assert registry.get_sample_value("tidegate_rollout_drifts_total", LABELS) is None
    assert counted() == 0, "another leader counts from where it begins"
