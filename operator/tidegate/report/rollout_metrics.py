"""What `/metrics` shows of each rollout: state, phase, percent, step, and every gate's value beside its thresholds."""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tidegate.api.feature_rollout import FeatureRolloutSpec
from tidegate.api.gates import Gate, Threshold
from tidegate.api.records import Record
from tidegate.api.rollout_status import FeatureRolloutStatus, GateSource, GateStatus
from tidegate.domain.asks import all_gates
from tidegate.domain.keys import Key
from tidegate.domain.snapshot import Policy, Rollout, Snapshot

_BOUNDS = ("lt", "lte", "gt", "gte")
_ROLLOUT = ("namespace", "name")
_GATE = (*_ROLLOUT, "source", "gate")


class RolloutMetrics(Collector):
    """Holds the newest status of every rollout that this replica decides about, and renders it when it is scraped."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._shown: dict[Key, tuple[FeatureRolloutStatus, tuple[tuple[GateSource, Gate], ...]]] = {}
        self._transitions = Counter(
            "tidegate_rollout_transitions", "Records written, by transition.", [*_ROLLOUT, "transition"], registry=registry
        )
        self._corrections: dict[Key, int] = {}
        self._drifts = Counter("tidegate_rollout_drifts", "Changes by external writers that were corrected.", _ROLLOUT, registry=registry)
        registry.register(self)

    def show(self, key: Key, snapshot: Snapshot, status: FeatureRolloutStatus) -> None:
        """The newest decision about a rollout."""
        spec = snapshot.rollout.followed_spec()
        self._shown[key] = (status, tuple(_gates(spec, snapshot)))
        drift = snapshot.rollout.status.drift
        corrections = 0 if drift is None else drift.total
        self._drifts.labels(key.namespace, key.name).inc(max(0, corrections - self._corrections.get(key, corrections)))
        self._corrections[key] = corrections

    def recorded(self, rollout: Rollout, records: Iterable[Record]) -> None:
        """Records that were appended to a run just now: what was only decided may be decided again."""
        for record in records:
            self._transitions.labels(rollout.namespace, rollout.name, record.transition.value).inc()

    def forget(self, key: Key) -> None:
        """The rollout is gone."""
        self._shown.pop(key, None)
        self._corrections.pop(key, None)
        for counter in (self._transitions, self._drifts):
            counter.remove_by_labels({"namespace": key.namespace, "name": key.name})

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """The names, for scrapes that ask for some of them."""
        yield from _families()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        families = state, phase, percent, step_percent, step, value, threshold, verdict = _families()
        for key, (status, gates) in list(self._shown.items()):  # scraped in a thread of its own
            where = [key.namespace, key.name]
            state.add_metric([*where, status.state.value], 1)
            phase.add_metric([*where, status.phase.value], 1)
            if status.percent is not None:
                percent.add_metric(where, status.percent)
            if status.step_percent is not None:
                step_percent.add_metric(where, status.step_percent)
            step.add_metric(where, status.step)
            _add_values(value, verdict, where, status.gates)
            _add_thresholds(threshold, where, gates)
        yield from families


def _families() -> tuple[GaugeMetricFamily, ...]:
    return (
        GaugeMetricFamily("tidegate_rollout_state", "1 for the state that the rollout is in.", labels=[*_ROLLOUT, "state"]),
        GaugeMetricFamily("tidegate_rollout_phase", "1 for the phase that the rollout is in.", labels=[*_ROLLOUT, "phase"]),
        GaugeMetricFamily("tidegate_rollout_percent", "What clients have now, as read back, 0 to 100.", labels=_ROLLOUT),
        GaugeMetricFamily("tidegate_rollout_step_percent", "What was decided and seen in force, 0 to 100.", labels=_ROLLOUT),
        GaugeMetricFamily("tidegate_rollout_step", "Number of the current step.", labels=_ROLLOUT),
        GaugeMetricFamily("tidegate_gate_value", "The gate's latest value: that of its worst series.", labels=_GATE),
        GaugeMetricFamily("tidegate_gate_threshold", "A bound of the gate.", labels=[*_GATE, "rule", "bound"]),
        GaugeMetricFamily("tidegate_gate_verdict", "1 for the gate's verdict.", labels=[*_GATE, "verdict"]),
    )


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
