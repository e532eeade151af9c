"""The flag server's own metrics, in a registry of their own."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tidegate.build import expose_build

_LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """What is said of the process as a whole."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        expose_build(registry)
        self.push_seconds = Histogram(
            "tidegate_flags_push_seconds",
            "From the event of a changed document to its write to one stream.",
            buckets=_LATENCY_BUCKETS,
            registry=registry,
        )
        self.refused = Counter(
            "tidegate_flags_refused", "Streams and requests refused because this replica is full.", ("protocol",), registry=registry
        )
        for protocol in ("sync", "ofrep"):
            self.refused.labels(protocol)
        self.deleted_sets = Gauge(
            "tidegate_flags_deleted_sets", "Flag sets that are gone while OFREP still answers from their last document.", registry=registry
        )
        self.source_synced = Gauge("tidegate_flags_source_synced", "1 while every change is seen.", registry=registry)
