"""What `/metrics` shows of each flag set that there is. A set that was deleted has no series, though OFREP may still answer from it."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tidegate.flags.store import FlagSet

_PER_SET = ("namespace", "name")


class FlagSetMetrics(Collector):
    """Renders the sets at each scrape. Label values only ever come from sets that exist, so clients can't add series."""

    def __init__(self, registry: CollectorRegistry, live: Callable[[], Iterable[FlagSet]]) -> None:
        self._live = live
        registry.register(self)

    def describe(self) -> Iterator[Metric]:
        """The names, for scrapes that ask for some of them."""
        yield from _Families().all()

    def collect(self) -> Iterator[Metric]:
        families = _Families()
        for flag_set in self._live():
            families.add([flag_set.key.namespace, flag_set.key.name], flag_set)
        yield from families.all()


class _Families:
    """One scrape's families, to be filled set by set."""

    def __init__(self) -> None:
        self._streams = GaugeMetricFamily("tidegate_flags_connected_streams", "Clients that hold a sync stream.", labels=_PER_SET)
        self._pushes = CounterMetricFamily(
            "tidegate_flags_pushes", "Documents written to sync streams, the first one of a stream included.", labels=_PER_SET
        )
        self._evaluations = CounterMetricFamily(
            "tidegate_flags_evaluations", "Flags evaluated for OFREP requests.", labels=(*_PER_SET, "reason")
        )
        self._invalid_documents = GaugeMetricFamily(
            "tidegate_flags_invalid_documents",
            "1 while the newest document is refused and the last good one is served instead.",
            labels=_PER_SET,
        )
        self._invalid_flags = GaugeMetricFamily(
            "tidegate_flags_invalid_flags",
            "Broken flags of the document: each is served by its last good definition, or left out where there never was one.",
            labels=_PER_SET,
        )
        self._bytes = GaugeMetricFamily("tidegate_flags_document_bytes", "Size of the document as it is served.", labels=_PER_SET)
        self._hash = GaugeMetricFamily(
            "tidegate_flags_document_hash",
            "Hash of the document as it is served: the same in all replicas.",
            labels=_PER_SET,
        )

    def all(self) -> Iterator[Metric]:
        yield from vars(self).values()

    def add(self, where: list[str], flag_set: FlagSet) -> None:
        document = flag_set.document
        self._streams.add_metric(where, flag_set.streams)
        self._pushes.add_metric(where, flag_set.pushes)
        for reason, number in flag_set.evaluations.items():
            self._evaluations.add_metric([*where, reason], number)
        left_out = document is not None and bool(document.left_out)
        self._invalid_documents.add_metric(where, flag_set.fault is not None or left_out)
        if document is not None:
            self._invalid_flags.add_metric(where, len(document.faults))
            self._bytes.add_metric(where, len(document.message))
            self._hash.add_metric(where, document.hash)
