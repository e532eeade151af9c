"""The composition root: makes every part, wires them, and runs them until the Lease or the process ends."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from tidegate.act.fence import Fence
from tidegate.act.flag_sets import FlagSets
from tidegate.act.rollouts import RolloutActions
from tidegate.api.rollout_policy import RolloutPolicyStatus
from tidegate.clients.kubernetes import JsonObject, Kubernetes
from tidegate.clients.prometheus import Prometheus
from tidegate.clients.resources import Resource
from tidegate.clients.watch_session import watch_session
from tidegate.domain.keys import Key, Kind
from tidegate.domain.policy_view import PolicyView
from tidegate.loop.echoes import Echoes
from tidegate.loop.health import HealthSettings, Pulse, loop_check, queue_check, serve_health
from tidegate.loop.index import Index
from tidegate.loop.lease import Leadership, LeaseSettings
from tidegate.loop.queue import Queue, QueueSettings
from tidegate.loop.queue_metrics import QueueMetrics
from tidegate.loop.reconciler import Reconciler, Verbs
from tidegate.observe.evidence import Evidence
from tidegate.observe.policies import Policies
from tidegate.observe.questions import Questions
from tidegate.observe.rollouts import Rollouts
from tidegate.report.metrics import RolloutMetrics
from tidegate.report.outbox import Outbox
from tidegate.report.policies import report_policy
from tidegate.report.rollouts import RolloutReports
from tidegate.report.runs import Runs
from tidegate.settings import OperatorSettings
from tidegate.watch import Coverage, Sinks, Watched, WatchSettings, watch

_log = logging.getLogger(__name__)
_GRACE_FOR_EVENTS = 1.0
"""Seconds that Events get beyond the looks. Less than what the kubelet adds to the grace."""


def utc_now() -> datetime:
    """The wall clock. Everything that decides is given it."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the watcher and the health server need of the reconciling half."""

    queue: Queue
    index: Index
    echoes: Echoes
    rollouts: Rollouts
    policies: Policies
    outbox: Outbox


def assemble(
    kubernetes: Kubernetes,
    prometheus: Prometheus,
    registry: CollectorRegistry,
    is_leader: Callable[[], bool],
    settings: OperatorSettings,
) -> Parts:
    """Everything between the watcher and the API server, wired."""
    fence, echoes, index, evidence = Fence(is_leader), Echoes(), Index(), Evidence()
    metrics = RolloutMetrics(registry)
    questions = Questions(prometheus)
    Gauge("tidegate_prometheus_requests", "Queries sent since the start.", registry=registry).set_function(lambda: questions.requests)
    policies = Policies(kubernetes, settings.own_namespace)
    rollouts = Rollouts(kubernetes, policies, questions, evidence, utc_now, index.note)

    def wrote(stored: JsonObject) -> None:
        echoes.wrote(stored["metadata"]["uid"], stored["metadata"]["resourceVersion"])

    def wrote_flag_set(stored: JsonObject) -> None:
        wrote(stored)
        rollouts.flag_sets.forget((stored["metadata"]["namespace"], stored["metadata"]["name"]))

    def gone(key: Key) -> None:
        index.forget(key)
        metrics.forget(key)

    async def observe_policy(name: str) -> PolicyView | None:
        return await policies.view(name, questions, utc_now().timestamp())

    async def write_policy(view: PolicyView, status: RolloutPolicyStatus) -> None:
        await report_policy(kubernetes, view, status, fence.check, wrote)

    flag_sets = FlagSets(kubernetes, fence.check, utc_now, wrote_flag_set)
    runs = Runs(kubernetes, fence.check)
    outbox = Outbox(kubernetes, fence.check, registry)
    reports = RolloutReports(kubernetes, runs, fence.check, wrote, evidence.keep, evidence.drop, metrics.recorded, outbox.put)
    verbs = Verbs(
        observe=rollouts.snapshot,
        perform=RolloutActions(kubernetes, flag_sets, fence.check, wrote).perform,
        report=reports.report,
        observe_policy=observe_policy,
        report_policy=write_policy,
        show=metrics.show,
        failed=evidence.keep,
        gone=gone,
    )
    queue = Queue(Reconciler(verbs, utc_now), QueueMetrics(registry), QueueSettings(workers=settings.workers))
    return Parts(queue, index, echoes, rollouts, policies, outbox)


def run(settings: OperatorSettings) -> int:
    """Runs one replica until SIGTERM or SIGINT (0), or until it lost the Lease or the watch broke (1: to be started anew)."""
    return asyncio.run(_run(settings))


async def _run(settings: OperatorSettings) -> int:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    stop = _stop_on_signals()
    async with AsyncExitStack() as stack:
        kubernetes = await stack.enter_async_context(Kubernetes.connect(settings.kubeconfig))
        prometheus = await stack.enter_async_context(Prometheus.connect())
        leadership = Leadership(kubernetes, _lease_settings(settings))
        parts = assemble(kubernetes, prometheus, registry, leadership.held, settings)
        leads = asyncio.Event()
        coverage = Coverage()
        Gauge("tidegate_watch_missing", "Kinds in namespaces that can't be listed or watched.", registry=registry).set_function(
            coverage.count
        )
        await stack.enter_async_context(_health(settings, registry, parts, leadership, leads, coverage))
        if not await _won(leadership, stop):
            return 0
        stack.push_async_callback(leadership.release)
        leads.set()
        return await _lead(settings, kubernetes, parts, leadership, stop, coverage)


async def _lead(
    settings: OperatorSettings, kubernetes: Kubernetes, parts: Parts, leadership: Leadership, stop: asyncio.Event, coverage: Coverage
) -> int:
    """Watches and reconciles until told to stop, or until it must not go on. Events that were decided on are posted before the end."""
    posting = asyncio.create_task(parts.outbox.run(), name="events")
    watching = asyncio.create_task(_watch(settings, kubernetes, parts, coverage), name="watch")
    working = asyncio.create_task(parts.queue.run(), name="queue")
    ends = {
        asyncio.create_task(stop.wait(), name="stop"): "asked to stop",
        asyncio.create_task(leadership.lost.wait(), name="lost"): "lost the Lease",
        watching: "the watch ended",
        working: "the queue ended",
    }
    done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    why = ends[next(iter(done))]
    _log.log(logging.INFO if stop.is_set() else logging.ERROR, "draining: %s", why)
    await _drain(parts, 0.0 if leadership.lost.is_set() else settings.grace)
    for task in (*ends, posting):
        task.cancel()
    for result in await asyncio.gather(*ends, posting, return_exceptions=True):
        if isinstance(result, Exception):
            _log.error("%s: %s", why, result)
    return 0 if stop.is_set() else 1


async def _drain(parts: Parts, grace: float) -> None:
    """Looks first, since they make Events. For Events nobody waits long: the next leader waits for the Lease meanwhile."""
    await parts.queue.drain(grace)
    await parts.outbox.drain(min(grace, _GRACE_FOR_EVENTS))


async def _watch(settings: OperatorSettings, kubernetes: Kubernetes, parts: Parts, coverage: Coverage) -> None:
    def enqueue(key: Key) -> None:
        parts.queue.add(key)
        if key.kind is Kind.ROLLOUT_POLICY:
            parts.policies.forget()
            for each in parts.index.all():
                parts.queue.add(each)

    def flag_set_changed(namespace: str, name: str) -> None:
        parts.rollouts.flag_sets.forget((namespace, name))
        for key in parts.index.of_flag_set(namespace, name):
            parts.queue.add(key)

    async def pages(watched: Watched, namespace: str) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        resource = Resource(watched.group, watched.version, watched.plural, watched.namespaced)
        async for page in kubernetes.pages(resource, namespace, label_selector=watched.label_selector, metadata_only=True):
            yield page.items

    sinks = Sinks(enqueue=enqueue, gone=parts.index.forget, flag_set_changed=flag_set_changed)
    await watch(
        WatchSettings(namespaces=settings.namespaces),
        sinks,
        parts.echoes,
        coverage,
        login=lambda told: watch_session(settings.kubeconfig, told),
        lister=pages,
        stop=asyncio.Event(),
    )


def _lease_settings(settings: OperatorSettings) -> LeaseSettings:
    """A leader stops writing well before another may start: 70 % of the duration, as client-go's defaults have it roughly."""
    return LeaseSettings(
        namespace=settings.own_namespace,
        candidate=settings.candidate,
        name=settings.lease_name,
        duration=settings.lease_duration,
        renew_deadline=settings.lease_duration * 0.7,
        retry=settings.lease_duration * 0.15,
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


async def _won(leadership: Leadership, stop: asyncio.Event) -> bool:
    """Waits for the Lease; False where the process was asked to stop first."""
    acquiring = asyncio.create_task(leadership.acquire(), name="election")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait([acquiring, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if acquiring.done():
        acquiring.result()
        return True
    acquiring.cancel()
    return False


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
