"""The flag server's own metrics, in a registry of their own."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tidegate.flags.changes import FlagSetKey

_PER_SET = ("namespace", "name")
_LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counts what is served, per flag set. Label values only ever come from flag sets that exist, so clients can't add series."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.connected_streams = Gauge("tidegate_flags_connected_streams", "Clients that hold a sync stream.", _PER_SET, registry=registry)
        self.pushes = Counter(
            "tidegate_flags_pushes", "Documents written to sync streams, the first one of a stream included.", _PER_SET, registry=registry
        )
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
        self.evaluations = Counter(
            "tidegate_flags_evaluations", "Flags evaluated for OFREP requests.", (*_PER_SET, "reason"), registry=registry
        )
        self.invalid_documents = Gauge(
            "tidegate_flags_invalid_documents",
            "1 while the newest document is refused and the last good one is served instead.",
            _PER_SET,
            registry=registry,
        )
        self.invalid_flags = Gauge(
            "tidegate_flags_invalid_flags",
            "Broken flags of the document: each is served by its last good definition, or left out where there never was one.",
            _PER_SET,
            registry=registry,
        )
        self.document_bytes = Gauge("tidegate_flags_document_bytes", "Size of the document as it is served.", _PER_SET, registry=registry)
        self.deleted_sets = Gauge(
            "tidegate_flags_deleted_sets", "Flag sets that are gone while OFREP still answers from their last document.", registry=registry
        )
        self.source_synced = Gauge("tidegate_flags_source_synced", "1 while every change is seen.", registry=registry)

    def forget(self, key: FlagSetKey) -> None:
        """Drops all series of a flag set."""
        labels = {"namespace": key.namespace, "name": key.name}
        per_set = (self.connected_streams, self.pushes, self.evaluations, self.invalid_documents, self.invalid_flags, self.document_bytes)
        for metric in per_set:
            metric.remove_by_labels(labels)
