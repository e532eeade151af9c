"""Conditions as metrics: 1 for the reason that each of them has now."""

from collections.abc import Iterable, Sequence

from prometheus_client.core import GaugeMetricFamily

from tidegate.api.conditions import Condition


def condition_family(name: str, labels: Sequence[str]) -> GaugeMetricFamily:
    """To be filled by `add_conditions`; `labels` name the object."""
    return GaugeMetricFamily(name, "1 for the reason that each condition has now.", labels=[*labels, "type", "reason"])


def add_conditions(family: GaugeMetricFamily, where: list[str], conditions: Iterable[Condition]) -> None:
    for condition in conditions:
        family.add_metric([*where, condition.type.value, condition.reason], 1)
