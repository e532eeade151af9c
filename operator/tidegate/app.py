"""The composition root: makes every part, wires them, and runs them until the Lease or the process ends."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from tidegate.act.actions import Actions
from tidegate.act.flag_writes import FlagWrites
from tidegate.build import expose_build
from tidegate.clients.kubernetes import Kubernetes
from tidegate.clients.prometheus import Prometheus
from tidegate.clients.resources import CONFIG_MAPS, FEATURE_ROLLOUTS, ROLLOUT_POLICIES, JsonObject, Resource
from tidegate.clients.watch_session import watch_session
from tidegate.clients.writer import Echoes, Writer
from tidegate.domain.keys import Key, Kind, Ref, RefKind
from tidegate.loop.election import Leadership
from tidegate.loop.health import HealthSettings, Pulse, loop_check, queue_check, serve_health
from tidegate.loop.index import Index
from tidegate.loop.leading import elected, lead
from tidegate.loop.lease import LeaseSettings
from tidegate.loop.lost_flags import LostFlags
from tidegate.loop.policy_handler import PolicyHandler
from tidegate.loop.queue import Queue, QueueSettings
from tidegate.loop.queue_metrics import QueueMetrics
from tidegate.loop.reconciler import Handler, Reconciler
from tidegate.loop.rollout_handler import RolloutHandler
from tidegate.observe.evidence import Evidence
from tidegate.observe.flags import Flags
from tidegate.observe.policies import Policies
from tidegate.observe.questions import Questions
from tidegate.observe.snapshots import Snapshots
from tidegate.report.outbox import Outbox
from tidegate.report.policy_metrics import PolicyMetrics
from tidegate.report.policy_status import PolicyReports
from tidegate.report.rollout_metrics import RolloutMetrics
from tidegate.report.run_records import Runs
from tidegate.report.statuses import RolloutReports
from tidegate.settings import OperatorSettings
from tidegate.watch import Coverage, Sinks, Watched, WatchSettings, watch

_log = logging.getLogger(__name__)
_GRACE_FOR_EVENTS = 1.0
"""Seconds that Events get after the last reconcile. Less than what the kubelet adds to the grace."""


def utc_now() -> datetime:
    """The wall clock. It is passed to everything that decides."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the watcher and the health server need of the reconciling half."""

    queue: Queue
    reconciler: Reconciler
    index: Index
    echoes: Echoes
    flags: Flags
    policies: Policies
    outbox: Outbox
    flag_writes: FlagWrites

    def enqueue(self, key: Key, is_urgent: bool = True) -> None:
        self.queue.add(key, is_urgent=is_urgent)

    def gone(self, key: Key) -> None:
        """Whoever waits for what it had is reconciled."""
        shared = [ref for ref in self.index.refs(key) if ref.kind is RefKind.FLAG]
        for other in self.index.of(*shared):
            if other != key:
                self.queue.add(other)
        self.reconciler.gone(key)

    def changed(self, ref: Ref) -> None:
        """An external writer changed what others refer to: it is read anew, and they are reconciled."""
        self.forget(ref)
        for key in self.index.of(ref, Ref(ref.kind, "", "")):
            self.queue.add(key, is_urgent=ref.kind is not RefKind.ROLLOUT_POLICY)  # thousands may use one policy

    def retry(self) -> None:
        """The API server answers again: what failed, perhaps for its sake, doesn't wait for the end of its back-off."""
        for key in self.reconciler.failed():
            self.queue.add(key)

    def forget(self, ref: Ref) -> None:
        """Drops what was read of this: it no longer holds."""
        match ref.kind:
            case RefKind.FLAG_SET:
                self.flags.sets.forget((ref.namespace, ref.name))
            case RefKind.ROLLOUT_POLICY:
                self.policies.forget()
            case RefKind.FLAG:
                pass


def assemble(
    kubernetes: Kubernetes,
    prometheus: Prometheus,
    registry: CollectorRegistry,
    is_leader: Callable[[], bool],
    settings: OperatorSettings,
) -> Parts:
    """Everything between the watcher and the API server, wired."""
    echoes, index, evidence = Echoes(), Index(), Evidence()
    metrics, policy_metrics = RolloutMetrics(registry), PolicyMetrics(registry)
    questions = Questions(prometheus, failed=policy_metrics.failed)
    Gauge("tidegate_prometheus_requests", "Queries sent since the start.", registry=registry).set_function(lambda: questions.requests)
    policies, flags = Policies(kubernetes, settings.own_namespace), Flags(kubernetes, index.of)

    def wrote(resource: Resource, stored: JsonObject) -> None:
        if resource == CONFIG_MAPS:
            flags.sets.forget((stored["metadata"]["namespace"], stored["metadata"]["name"]))

    writer = Writer(kubernetes, is_leader, echoes, frozenset({FEATURE_ROLLOUTS, ROLLOUT_POLICIES, CONFIG_MAPS}), wrote)
    outbox, flag_writes = Outbox(writer, registry), FlagWrites(writer, utc_now, LostFlags(flags, utc_now))
    handlers: Mapping[Kind, Handler] = {
        Kind.FEATURE_ROLLOUT: RolloutHandler(
            Snapshots(kubernetes, policies, questions, evidence, flags, utc_now, index.note),
            Actions(writer, flag_writes),
            RolloutReports(writer, Runs(writer), metrics.recorded, outbox.put),
            evidence,
            metrics,
            index,
            utc_now,
            settings.run_history_limit,
        ),
        Kind.ROLLOUT_POLICY: PolicyHandler(policies, questions, PolicyReports(writer, outbox.put), policy_metrics, utc_now),
    }
    reconciler = Reconciler(handlers)
    queue = Queue(reconciler, QueueMetrics(registry), QueueSettings(workers=settings.workers))
    return Parts(queue, reconciler, index, echoes, flags, policies, outbox, flag_writes)


def expose_process(registry: CollectorRegistry, leads: Callable[[], bool], missing: Callable[[], int]) -> None:
    """The metrics of the process itself, which a standby has as well."""
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    expose_build(registry)
    Gauge("tidegate_leader", "1 for the replica that holds the Lease, 0 for one that stands by.", registry=registry).set_function(leads)
    Gauge("tidegate_watch_missing", "Kinds in namespaces that can't be listed or watched.", registry=registry).set_function(missing)


def run(settings: OperatorSettings) -> int:
    """Runs one replica until SIGTERM or SIGINT (0), or until it lost the Lease or the watch broke (1: to be started anew)."""
    return asyncio.run(_run(settings))


async def _run(settings: OperatorSettings) -> int:
    _log.info("tidegate %s: %s", version("tidegate"), settings.in_words())
    registry = CollectorRegistry()
    stop = _stop_on_signals()
    async with AsyncExitStack() as stack:
        kubernetes = await stack.enter_async_context(Kubernetes.connect(settings.kubeconfig))
        prometheus = await stack.enter_async_context(Prometheus.connect())
        # Connections of its own: requests that hang, of reconciles, must not keep a renewal waiting for a free one.
        elections = await stack.enter_async_context(Kubernetes.connect(settings.kubeconfig, connections=2))
        where = LeaseSettings.lasting(
            settings.lease_duration, settings.own_namespace, settings.candidate, settings.lease_name, place=settings.place
        )
        leadership = Leadership(elections, where)
        parts = assemble(kubernetes, prometheus, registry, leadership.held, settings)
        leads = asyncio.Event()
        coverage = Coverage()
        expose_process(registry, leadership.held, coverage.count)
        # Before the election, and until the Lease is given up: whoever listens there knows that no other process of its pod does.
        await stack.enter_async_context(_health(settings, registry, parts, leadership, leads, coverage))
        if not await elected(leadership, stop, parts.retry):
            return 0
        leads.set()
        return await _lead(settings, kubernetes, parts, leadership, stop, coverage)


async def _lead(
    settings: OperatorSettings, kubernetes: Kubernetes, parts: Parts, leadership: Leadership, stop: asyncio.Event, coverage: Coverage
) -> int:
    posting = asyncio.create_task(parts.outbox.run(), name="events")
    works = {
        asyncio.create_task(_watch(settings, kubernetes, parts, coverage), name="watch"): "the watch ended",
        asyncio.create_task(parts.queue.run(), name="queue"): "the queue ended",
    }

    async def drain(grace: float) -> None:
        # Reconciles first, since they make Events. Events don't get long: the next leader waits for the Lease meanwhile.
        await parts.queue.drain(grace)
        await parts.flag_writes.stop()
        await parts.outbox.drain(min(grace, _GRACE_FOR_EVENTS))
        posting.cancel()
        (ended,) = await asyncio.gather(posting, return_exceptions=True)
        if isinstance(ended, Exception):
            _log.error("posting Events ended: %s", ended)

    return await lead(leadership, stop, works, drain, settings.grace)


async def _watch(settings: OperatorSettings, kubernetes: Kubernetes, parts: Parts, coverage: Coverage) -> None:
    async def pages(watched: Watched, namespace: str, fields: str) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        resource = Resource(watched.group, watched.version, watched.plural, watched.namespaced)
        how = {"label_selector": watched.label_selector, "field_selector": fields}
        async for page in kubernetes.pages(resource, namespace, **how, metadata_only=True):
            yield page.items

    sinks = Sinks(enqueue=parts.enqueue, gone=parts.gone, changed=parts.changed)
    await watch(
        WatchSettings(namespaces=settings.namespaces),
        sinks,
        parts.echoes,
        coverage,
        login=lambda answered: watch_session(settings.kubeconfig, answered),
        lister=pages,
        stop=asyncio.Event(),
    )


def _health(
    settings: OperatorSettings,
    registry: CollectorRegistry,
    parts: Parts,
    leadership: Leadership,
    leads: asyncio.Event,
    coverage: Coverage,
) -> AbstractAsyncContextManager[int]:
    health, pulse = HealthSettings(host=settings.host, port=settings.port), Pulse(registry)

    def ready() -> str | None:
        if not leadership.participating():
            return "the API server has not answered about the Lease lately"
        return coverage.problem() if leads.is_set() else None

    @asynccontextmanager
    async def serve() -> AsyncIterator[int]:
        beating = asyncio.create_task(pulse.beat(), name="pulse")
        alive = [loop_check(pulse, health), queue_check(parts.queue.stalled_for, health)]
        try:
            async with serve_health(health, registry, alive=alive, ready=[ready]) as port:
                yield port
        finally:
            beating.cancel()

    return serve()


def _stop_on_signals() -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT; a second one ends the process at once."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def asked() -> None:
        stop.set()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked)
    return stop
