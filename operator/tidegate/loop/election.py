"""Which of several operators may write: the holder of a coordination.k8s.io Lease.

    standby ──► lease free, released, or unchanged for its whole duration ──► write own name (if nobody was faster)
       ▲                                                                              │
       └── another process ◄── release() ◄── leader ──► renew every 1.5 s ◄───────────┘
                                               │
                                               └── no renewal for the deadline, or another's name: lost, for good

Two clocks matter. Another's lease is over when *we* have watched it unchanged for its duration; our own is over when the
deadline has passed since we *asked* for the last renewal that succeeded. Both are read from a clock that neither the
administrator nor a suspended machine can turn back; the times inside the Lease are only for people. The lease outlives
the deadline, so that the old leader stops before the new one starts.

The official client's own election is not used: it measures both spans with the wall clock, writes local time marked as
UTC, may hang in a renewal for the client's whole timeout without noticing its deadline, dies of a network error, counts
no transitions, can't release, and offers no test of leadership that is cheap enough to stand before every write.
A lease doesn't fence: whatever must not happen twice also needs a precondition of its own.
"""

import asyncio
import logging
import math
import random
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from tidegate.clients.errors import AlreadyExists, ClientError, Conflict, NotFound
from tidegate.clients.kubernetes import Kubernetes
from tidegate.clients.resources import LEASES, JsonObject

logger = logging.getLogger("tidegate.loop.election")

# Continues while a machine is suspended, unlike CLOCK_MONOTONIC; both go on while a process is stopped.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_clock() -> float:
    """Seconds since the machine started, suspended time included."""
    return time.clock_gettime(_CLOCK)


@dataclass(frozen=True, slots=True)
class LeaseSettings:
    """Where the Lease is, and its times in seconds. `candidate` names this process, e.g. its pod."""

    namespace: str
    candidate: str
    name: str = "tidegate"
    duration: float = 10.0
    renew_deadline: float = 7.0
    retry: float = 1.5

    def __post_init__(self) -> None:
        if not self.duration > self.renew_deadline > 2 * self.retry > 0:
            raise ValueError(
                f"lease: duration ({self.duration:g} s) must be longer than renewDeadline ({self.renew_deadline:g} s), "
                f"and that longer than twice retry ({self.retry:g} s)"
            )


class Leadership:
    """At most one process holds it at a time; one that lost it never gets it back and should exit.

    `lost` is set when leadership ended without `release`.
    """

    def __init__(
        self,
        kubernetes: Kubernetes,
        settings: LeaseSettings,
        *,
        clock: Callable[[], float] = boot_clock,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.lost = asyncio.Event()
        # A restarted process is another candidate: it must not take its predecessor's lease for its own.
        self.identity = f"{settings.candidate}_{uuid.uuid4().hex[:12]}"
        self._kubernetes = kubernetes
        self._settings = settings
        self._clock = clock
        self._jitter = jitter
        self._lease: JsonObject | None = None
        self._renewed_at: float | None = None
        self._observed: JsonObject = {}
        self._observed_at = clock()
        self._in_contact_at: float | None = None
        self._renewals: asyncio.Task[None] | None = None
        self._last_trouble = ""
        self._stands_by_for = ""
        self._end = ""

    def held(self) -> bool:
        """May this process write now? Cheap enough to ask before every write."""
        if self._renewed_at is None or self.lost.is_set():
            return False
        return self._clock() < self._renewed_at + self._settings.renew_deadline

    def participating(self) -> bool:
        """Has the API server answered about the lease within its duration?"""
        return self._in_contact_at is not None and self._clock() < self._in_contact_at + self._settings.duration

    async def acquire(self) -> None:
        """Return once this process is the leader, and renew the lease from then on."""
        while not await self._attempt(self._take):
            self._say_standby()
            await asyncio.sleep(self._pause())
        logger.info("leading as %s", self.identity)
        self._renewals = asyncio.create_task(self._renew_until_lost(), name="lease renewal")

    def _say_standby(self) -> None:
        """Once for each leader."""
        leader = str(self._observed.get("holderIdentity") or "")
        if leader and leader != self._stands_by_for:
            self._stands_by_for = leader
            logger.info("standing by: %s leads", leader)

    async def release(self) -> None:
        """Stop leading and let another start at once. To be called when nothing writes any more. Raises no ClientError."""
        self._renewed_at = None
        if self._renewals is None:
            return
        self._renewals.cancel()
        await asyncio.wait([self._renewals])
        if not self.lost.is_set() and await self._attempt(self._give_up):
            logger.info("released the lease")

    async def _renew_until_lost(self) -> None:
        try:
            while (left := self._time_left()) > 0:
                await asyncio.sleep(min(self._pause(), left))
                if self._time_left() > 0:
                    await self._attempt(self._renew)
        except asyncio.CancelledError:
            raise
        except BaseException:
            self.lost.set()
            raise
        logger.error("lost the lease: %s", self._end or self._last_trouble or "it was not renewed in time")
        self.lost.set()

    async def _attempt(self, step: Callable[[], Awaitable[bool]]) -> bool:
        """One step against the API server; False if it failed. Repeated troubles are logged once."""
        try:
            done = await step()
        except ClientError as error:
            trouble = str(error)
            if trouble != self._last_trouble:
                logger.warning("the lease: %s", trouble)
            self._last_trouble = trouble
            return False
        self._last_trouble = ""
        return done

    async def _take(self) -> bool:
        try:
            lease = await self._read()
        except NotFound:
            asked_at = self._clock()
            metadata = {"namespace": self._settings.namespace, "name": self._settings.name}
            body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": self._spec(None)}
            try:
                self._lease = await self._kubernetes.create(LEASES, body, time_limit=self._patience())
            except AlreadyExists:
                return False
            self._renewed_at = self._in_contact_at = asked_at
            return True
        spec = lease.get("spec") or {}
        if spec != self._observed:
            self._observed, self._observed_at = spec, self._clock()
        holder = spec.get("holderIdentity")
        term = spec.get("leaseDurationSeconds") or self._settings.duration
        if holder and holder != self.identity and self._clock() < self._observed_at + term:
            return False
        return await self._write(lease)

    async def _renew(self) -> bool:
        assert self._lease is not None
        try:
            # After a renewal whose answer got lost, the first try only learns the Lease's present version.
            return await self._write(self._lease) or (self._renewed_at is not None and await self._write(self._lease))
        except NotFound:
            return self._ended("it was deleted")

    async def _write(self, lease: JsonObject) -> bool:
        asked_at = self._clock()
        try:
            self._lease = await self._kubernetes.replace(LEASES, lease | {"spec": self._spec(lease)}, time_limit=self._patience())
        except Conflict:
            # Another write came first: perhaps our own, in a renewal whose answer got lost.
            self._lease = await self._read()
            holder = (self._lease.get("spec") or {}).get("holderIdentity")
            return False if holder == self.identity or self._renewed_at is None else self._ended(f"{holder or 'nobody'} holds it")
        self._renewed_at = self._in_contact_at = asked_at
        return True

    async def _give_up(self) -> bool:
        lease = await self._read()
        spec = lease.get("spec") or {}
        if spec.get("holderIdentity") != self.identity:
            return False
        released = spec | {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()}
        await self._kubernetes.replace(LEASES, lease | {"spec": released}, time_limit=self._patience())
        return True

    async def _read(self) -> JsonObject:
        lease = await self._kubernetes.get(LEASES, self._settings.namespace, self._settings.name, time_limit=self._patience())
        self._in_contact_at = self._clock()
        return lease

    def _spec(self, lease: JsonObject | None) -> JsonObject:
        before = (lease or {}).get("spec") or {}
        ours = before.get("holderIdentity") == self.identity
        transitions = int(before.get("leaseTransitions") or 0)
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": math.ceil(self._settings.duration),
            "acquireTime": before.get("acquireTime") if ours else _now(),
            "renewTime": _now(),
            "leaseTransitions": transitions if ours or not before else transitions + 1,
        }

    def _ended(self, cause: str) -> bool:
        self._renewed_at = None
        self._end = cause
        return False

    def _time_left(self) -> float:
        if self._renewed_at is None:
            return 0.0
        return self._renewed_at + self._settings.renew_deadline - self._clock()

    def _patience(self) -> float:
        # A renewal that gets no answer must leave time for another one before the deadline, and none outlasts it.
        patience = self._settings.renew_deadline / 3
        left = self._time_left()
        return min(patience, left) if left > 0 else patience

    def _pause(self) -> float:
        return self._settings.retry * (0.8 + 0.4 * self._jitter())


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
