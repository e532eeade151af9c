"""What `/metrics` shows of each rollout: where it stands, its conditions, every gate's value beside its thresholds, what happened."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.gates import Gate, Threshold
from tidegate.api.records import Record, Transition
from tidegate.api.rollout_status import FeatureRolloutStatus, GateSource, GateStatus
from tidegate.domain.asks import all_gates
from tidegate.domain.keys import Key, Kind
from tidegate.domain.snapshot import Policy, Rollout, Snapshot
from tidegate.report.condition_metrics import add_conditions, condition_family

_BOUNDS = ("lt", "lte", "gt", "gte")
_ROLLOUT = ("namespace", "name")
_GATE = (*_ROLLOUT, "source", "gate")


@dataclass(slots=True)
class _Shown:
    """The newest status of a rollout, and what is counted since this process met it: from 0, so that the first event is an increase."""

    status: FeatureRolloutStatus
    gates: tuple[tuple[GateSource, Gate], ...]
    corrections: int
    drifts: int = 0
    transitions: dict[Transition, int] = field(default_factory=lambda: dict.fromkeys(Transition, 0))


class RolloutMetrics(Collector):
    """Holds what is shown of every rollout that this replica decides about, and renders it when it is scraped."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._shown: dict[Key, _Shown] = {}
        registry.register(self)

    def show(self, key: Key, snapshot: Snapshot, status: FeatureRolloutStatus) -> None:
        """The newest decision about a rollout."""
        gates = tuple(_gates(snapshot.rollout.followed_spec(), snapshot))
        drift = snapshot.rollout.status.drift
        corrections = 0 if drift is None else drift.total
        shown = self._shown.setdefault(key, _Shown(status, gates, corrections))
        shown.drifts += max(0, corrections - shown.corrections)
        shown.status, shown.gates, shown.corrections = status, gates, corrections

    def recorded(self, rollout: Rollout, records: Iterable[Record]) -> None:
        """Records that were appended to a run just now: what was only decided may be decided again. One of a rollout that is gone by now
        makes no series, which nobody would remove."""
        shown = self._shown.get(Key(Kind.FEATURE_ROLLOUT, rollout.namespace, rollout.name))
        if shown is not None:
            for record in records:
                shown.transitions[record.transition] += 1

    def forget(self, key: Key) -> None:
        """The rollout is gone."""
        self._shown.pop(key, None)

    def describe(self) -> Iterator[Metric]:
        """The names, for scrapes that ask for some of them."""
        yield from _Families().all()

    def collect(self) -> Iterator[Metric]:
        families = _Families()
        for key, shown in list(self._shown.items()):  # scraped in a thread of its own
            families.add([key.namespace, key.name], shown)
        yield from families.all()


class _Families:
    """One scrape's families, to be filled rollout by rollout."""

    def __init__(self) -> None:
        self._state = GaugeMetricFamily("tidegate_rollout_state", "1 for the state that the rollout is in.", labels=[*_ROLLOUT, "state"])
        self._phase = GaugeMetricFamily("tidegate_rollout_phase", "1 for the phase that the rollout is in.", labels=[*_ROLLOUT, "phase"])
        self._percent = GaugeMetricFamily("tidegate_rollout_percent", "What clients have now, as read back, 0 to 100.", labels=_ROLLOUT)
        self._step_percent = GaugeMetricFamily(
            "tidegate_rollout_step_percent", "What was decided and seen in force, 0 to 100.", labels=_ROLLOUT
        )
        self._step = GaugeMetricFamily("tidegate_rollout_step", "Number of the current step.", labels=_ROLLOUT)
        self._condition = condition_family("tidegate_rollout_condition", _ROLLOUT)
        self._value = GaugeMetricFamily("tidegate_gate_value", "The gate's latest value: that of its worst series.", labels=_GATE)
        self._threshold = GaugeMetricFamily("tidegate_gate_threshold", "A bound of the gate.", labels=[*_GATE, "rule", "bound"])
        self._verdict = GaugeMetricFamily("tidegate_gate_verdict", "1 for the gate's verdict.", labels=[*_GATE, "verdict"])
        self._transitions = CounterMetricFamily(
            "tidegate_rollout_transitions", "Records written, by transition.", labels=[*_ROLLOUT, "transition"]
        )
        self._drifts = CounterMetricFamily("tidegate_rollout_drifts", "Changes by external writers that were corrected.", labels=_ROLLOUT)

    def all(self) -> Iterator[Metric]:
        yield from vars(self).values()

    def add(self, where: list[str], shown: _Shown) -> None:
        status = shown.status
        self._state.add_metric([*where, status.state.value], 1)
        self._phase.add_metric([*where, status.phase.value], 1)
        if status.percent is not None:
            self._percent.add_metric(where, status.percent)
        if status.step_percent is not None:
            self._step_percent.add_metric(where, status.step_percent)
        self._step.add_metric(where, status.step)
        add_conditions(self._condition, where, status.conditions)
        _add_values(self._value, self._verdict, where, status.gates)
        _add_thresholds(self._threshold, where, shown.gates)
        for transition, number in shown.transitions.items():
            self._transitions.add_metric([*where, transition.value], number)
        self._drifts.add_metric(where, shown.drifts)


def _gates(spec: FeatureRolloutSpec | None, snapshot: Snapshot) -> Iterator[tuple[GateSource, Gate]]:
    if spec is None:
        return
    if isinstance(snapshot.policy, Policy):
        yield from ((asked.source, asked.gate) for asked in all_gates(spec, snapshot.policy.spec))
    else:
        yield from ((GateSource.ROLLOUT, gate.written_out) for gate in spec.gates if gate.use is None)


def _add_values(value: GaugeMetricFamily, verdict: GaugeMetricFamily, where: list[str], gates: Iterable[GateStatus]) -> None:
    for gate in gates:
        labels = [*where, gate.source.value, gate.name]
        if gate.value is not None:
            value.add_metric(labels, float(gate.value))
        verdict.add_metric([*labels, gate.verdict.value], 1)


def _add_thresholds(threshold: GaugeMetricFamily, where: list[str], gates: Iterable[tuple[GateSource, Gate]]) -> None:
    for source, gate in gates:
        rules: tuple[tuple[str, Threshold | None], ...] = (("advance", gate.advance), ("rollback", gate.rollback))
        for rule, bounds in rules:
            for bound in _BOUNDS:
                limit = getattr(bounds, bound) if bounds is not None else None
                if limit is not None:
                    threshold.add_metric([*where, source.value, gate.name, rule, bound], limit)
