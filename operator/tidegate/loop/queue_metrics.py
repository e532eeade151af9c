"""The queue's figures, for /metrics."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tidegate.domain.keys import Kind

RESULTS = ("ok", "error", "timeout")
_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class QueueMetrics:
    """Registered once per process in `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.reconciles = Counter(
            "tidegate_reconciles", f"Reconciles, by how they ended: {', '.join(RESULTS)}.", ["kind", "result"], registry=registry
        )
        self.seconds = Histogram("tidegate_reconcile_seconds", "Duration of one reconcile.", ["kind"], buckets=_SECONDS, registry=registry)
        self.wait = Histogram(
            "tidegate_queue_wait_seconds",
            "From the time that a key was due to the start of the reconcile.",
            buckets=_SECONDS,
            registry=registry,
        )
        for kind in Kind:
            self.seconds.labels(kind.value)
            for result in RESULTS:
                self.reconciles.labels(kind.value, result)
        self._ready = Gauge("tidegate_queue_ready", "Keys that are due and wait for a worker.", registry=registry)
        self._scheduled = Gauge("tidegate_queue_scheduled", "Keys that are due later.", registry=registry)
        self._running = Gauge("tidegate_queue_running", "Keys that are being reconciled.", registry=registry)
        self._failing = Gauge("tidegate_queue_failing", "Keys whose last reconcile ended with an error.", registry=registry)

    def observe(
        self, ready: Callable[[], int], scheduled: Callable[[], int], running: Callable[[], int], failing: Callable[[], int]
    ) -> None:
        """Read the sizes from here at each scrape."""
        for gauge, size in ((self._ready, ready), (self._scheduled, scheduled), (self._running, running), (self._failing, failing)):
            gauge.set_function(size)
