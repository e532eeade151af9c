"""What `/metrics` shows of each RolloutPolicy: its conditions, and why its Prometheus gave no answer."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tidegate.api.conditions import Condition, Reason
from tidegate.report.condition_metrics import add_conditions, condition_family

SOURCE_ERRORS = (
    Reason.PROMETHEUS_UNREACHABLE,
    Reason.PROMETHEUS_TIMEOUT,
    Reason.PROMETHEUS_ERROR,
    Reason.PROMETHEUS_WARNING,
    Reason.QUERY_REFUSED,
    Reason.QUERY_SLOW,
    Reason.SOURCE_BUSY,
)


@dataclass(slots=True)
class _Shown:
    """Errors are counted since this process met the policy: from 0, so that the first one is an increase."""

    conditions: tuple[Condition, ...]
    errors: dict[Reason, int] = field(default_factory=lambda: dict.fromkeys(SOURCE_ERRORS, 0))


class PolicyMetrics(Collector):
    """Holds the newest conditions of every policy, and counts the errors of its source. No label has anything of an answer or a URL."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._shown: dict[str, _Shown] = {}
        registry.register(self)

    def show(self, policy: str, conditions: tuple[Condition, ...]) -> None:
        self._shown.setdefault(policy, _Shown(conditions)).conditions = conditions

    def failed(self, policy: str, reason: Reason) -> None:
        """A question of this policy got no answer. One of a policy that is gone by now, or not met yet, makes no series."""
        if policy in self._shown:
            self._shown[policy].errors[reason] += 1

    def forget(self, policy: str) -> None:
        """The policy is gone."""
        self._shown.pop(policy, None)

    def describe(self) -> Iterator[Metric]:
        """The names, for scrapes that ask for some of them."""
        yield from self._families({})

    def collect(self) -> Iterator[Metric]:
        yield from self._families(dict(self._shown))  # scraped in a thread of its own

    def _families(self, shown: dict[str, _Shown]) -> tuple[Metric, ...]:
        condition = condition_family("tidegate_policy_condition", ("policy",))
        errors = CounterMetricFamily(
            "tidegate_source_errors", "Questions to the policy's Prometheus that got no answer, by reason.", labels=("policy", "reason")
        )
        for policy, one in shown.items():
            add_conditions(condition, [policy], one.conditions)
            for reason, number in one.errors.items():
                errors.add_metric([policy, reason.value], number)
        return condition, errors
