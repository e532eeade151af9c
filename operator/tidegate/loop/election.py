"""Which of several operators may write: the holder of a coordination.k8s.io Lease.

    standby ──► lease free, given up, of a process that is dead, or unchanged for its whole duration ──► write own name
       ▲                                                                                                    │
       │                     ┌── within the deadline: held ◄────────── renew every 1.5 s ◄──────────────────┤
       │            leader ──┤                                                                              │
       │                     └── past it: not held ──► read: still our own name ──► renew ──────────────────┘
       └── another process ◄── release() ◄── another's name, or none, or it can't be held: lost, for good

Two clocks matter. Another's lease is over when *we* have watched it unchanged for its duration; our own is over when the
deadline has passed since we *asked* for the last renewal that succeeded. Both are read from a clock that neither the
administrator nor a suspended machine can turn back. The lease outlives the deadline, so that the old leader stops before
the new one starts.

Who is past the deadline and finds its own name has been followed by nobody: nothing was decided meanwhile, and it goes
on. So an API server that is away costs no leader its process. Each write names the version that it replaces: of a leader
that comes back and a standby that takes over, the second one is refused.

The official client's own election is not used: docs/adr/0016-our-own-leader-election.md says why.
A lease doesn't fence: whatever must not happen twice also needs a precondition of its own.
"""

import asyncio
import logging
import random
import time
import uuid
from collections.abc import Awaitable, Callable

from tidegate.clients.errors import AlreadyExists, ClientError, Conflict, NotFound, Unavailable
from tidegate.clients.kubernetes import Kubernetes
from tidegate.clients.resources import LEASES, JsonObject
from tidegate.loop.lease import LeaseSettings, created, given_up, holder_of, renewed, spec_of

logger = logging.getLogger("tidegate.loop.election")

# Continues while a machine is suspended, unlike CLOCK_MONOTONIC; both go on while a process is stopped.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

_LOOK = 0.5
"""Seconds between two looks of who stands by, and of a leader that got no answer."""
_MOST_UNHELD = 3
"""Writes in a row that may have been stored, and gave nothing to hold. Who goes on like this keeps the Lease from everybody."""
_TRIES = 3
_NEVER = float("-inf")


def boot_clock() -> float:
    """Seconds since the machine started, suspended time included."""
    return time.clock_gettime(_CLOCK)


class Leadership:
    """At most one process holds it at a time. `lost` is set when another may have led since, or this process can't hold it:
    it should end then."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        settings: LeaseSettings,
        *,
        clock: Callable[[], float] = boot_clock,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.lost = asyncio.Event()
        # A restarted process is another candidate: what its predecessor had in memory is gone.
        self.identity = f"{settings.prefix}{uuid.uuid4().hex[:12]}"
        self._kubernetes = kubernetes
        self._settings = settings
        self._clock = clock
        self._jitter = jitter
        self._lease: JsonObject | None = None
        """Its present version, if that is known."""
        self._held_until = _NEVER
        self._unheld = 0
        self._may_be_named = False
        self._observed: JsonObject = {}
        self._observed_at = _NEVER
        self._in_contact_at = _NEVER
        self._trouble_at = _NEVER
        self._renewals: asyncio.Task[None] | None = None
        self._last_trouble = ""
        self._stands_by_for = ""
        self._said_late = False
        self._end = ""

    def held(self) -> bool:
        """May this process write now? Cheap enough to ask before every write."""
        return self._clock() < self._held_until

    def participating(self) -> bool:
        """Has the API server answered about the lease within its duration?"""
        return self._clock() < self._in_contact_at + self._settings.duration

    async def acquire(self, answered_again: Callable[[], None] = lambda: None) -> None:
        """Return once this process is the leader, and renew the lease from then on.

        `answered_again` is called when a renewal succeeds after one that failed, and with each renewal for a duration afterwards.
        """
        while not await self._attempt(self._take):
            self._say_standby()
            await asyncio.sleep(self._until_next_look())
        logger.info("leading as %s", self.identity)
        self._renewals = asyncio.create_task(self._renew_until_lost(answered_again), name="lease renewal")

    async def release(self) -> None:
        """Stop leading and let another start at once. To be called when nothing writes any more. Raises no ClientError."""
        self._held_until = _NEVER
        if self._renewals is not None:
            self._renewals.cancel()
            await asyncio.wait([self._renewals])
        if self._may_be_named and await self._attempt(self._give_up):
            logger.info("released the lease")
        self._may_be_named = False

    def _say_standby(self) -> None:
        """Once for each leader."""
        leader = holder_of(self._observed)
        if leader and leader != self._stands_by_for:
            self._stands_by_for = leader
            logger.info("standing by: %s leads", leader)

    async def _renew_until_lost(self, answered_again: Callable[[], None]) -> None:
        try:
            pause = self._settings.retry
            while not self._end:
                await asyncio.sleep(self._jittered(pause))
                was_held, is_renewed = self.held(), await self._attempt(self._renew)
                pause = self._settings.retry if is_renewed else self._look
                self._say_change(was_held)
                if self._unheld >= _MOST_UNHELD and not self.held():
                    self._end = self._end or f"{self._unheld} renewals in a row were not answered in time"
                if is_renewed and self._clock() < self._trouble_at + self._settings.duration:
                    answered_again()
        except asyncio.CancelledError:
            raise
        except BaseException:
            self._held_until = _NEVER
            self.lost.set()
            raise
        logger.error("lost the lease: %s", self._end)
        self.lost.set()

    def _say_change(self, was_held: bool) -> None:
        if self.held() and (self._said_late or not was_held):
            logger.info("the lease is renewed: nobody else has led meanwhile")
            self._said_late = False
        elif not self.held() and not self._said_late and not self._end:
            logger.warning("the lease was not renewed in time: nothing is written until it is")
            self._said_late = True

    async def _attempt(self, step: Callable[[], Awaitable[bool]]) -> bool:
        """One step against the API server; False if it failed. Repeated troubles are logged once."""
        try:
            done = await step()
        except ClientError as error:
            trouble = str(error)
            if trouble != self._last_trouble:
                logger.warning("the lease: %s", trouble)
            self._last_trouble = trouble
            self._trouble_at = self._clock()
            return False
        self._last_trouble = ""
        return done

    async def _take(self) -> bool:
        try:
            lease = await self._read()
        except NotFound:
            # Whoever deleted it has not told the leader.
            return self._clock() >= self._anothers_until() and await self._create()
        if spec_of(lease) != self._observed:
            self._observed, self._observed_at = spec_of(lease), self._clock()
        if holder_of(self._observed) != self.identity:
            self._unheld = 0
        until = self._anothers_until()
        if self._clock() < until or (self._last_trouble and until > _NEVER):
            # After an outage the leader gets the time of a look to come back: it has in memory what we would have to read.
            return False
        try:
            return await self._replace(lease)
        except Conflict:
            return False

    def _anothers_until(self) -> float:
        """Until when another may hold what was seen last. It was written before it was seen: how long before, nobody knows."""
        holder = holder_of(self._observed)
        if not holder or (holder == self.identity and self._unheld < _MOST_UNHELD):
            return _NEVER
        if self._settings.place and holder != self.identity and holder.startswith(self._settings.prefix):
            return _NEVER  # our predecessor's, who is dead
        return self._observed_at + float(self._observed.get("leaseDurationSeconds") or self._settings.duration)

    async def _renew(self) -> bool:
        if not self.held():
            # Another may have been faster, and a renewal that can't be held should not keep it waiting: ask first.
            self._trouble_at, self._lease = self._clock(), None
        try:
            return await self._renew_ours() or (not self._end and await self._renew_ours())
        except NotFound:
            return self._ended("it was deleted")

    async def _renew_ours(self) -> bool:
        if self._lease is None:
            self._lease = await self._read()
            holder = holder_of(spec_of(self._lease))
            if holder != self.identity:
                return self._ended(f"{holder or 'nobody'} holds it")
        try:
            return await self._replace(self._lease)
        except Conflict:
            # Another write came first: perhaps our own, in a renewal whose answer got lost.
            return False

    async def _create(self) -> bool:
        body = created(self._settings, self.identity)
        try:
            return await self._hold(self._kubernetes.create(LEASES, body, time_limit=self._settings.patience))
        except AlreadyExists:
            return False

    async def _replace(self, lease: JsonObject) -> bool:
        body = renewed(lease, self._settings, self.identity)
        return await self._hold(self._kubernetes.replace(LEASES, body, time_limit=self._settings.patience))

    async def _hold(self, write: Awaitable[JsonObject]) -> bool:
        """Held from when the write was asked for, not from when it was answered."""
        asked_at = self._clock()
        self._lease, self._may_be_named = None, True
        try:
            self._lease = await write
        except (Unavailable, Conflict):
            # Also a conflict: where a connection breaks, the client repeats a write that may have been stored.
            self._unheld += 1
            raise
        self._held_until, self._in_contact_at = asked_at + self._settings.renew_deadline, asked_at
        self._unheld = 0 if self.held() else self._unheld + 1
        return True

    async def _give_up(self) -> bool:
        for _ in range(_TRIES):
            lease = await self._read()
            if holder_of(spec_of(lease)) != self.identity:
                return False
            try:
                await self._kubernetes.replace(LEASES, given_up(lease), time_limit=self._settings.patience)
            except Conflict:
                # A renewal may be stored after it was called off.
                continue
            return True
        return False

    async def _read(self) -> JsonObject:
        lease = await self._kubernetes.get(LEASES, self._settings.namespace, self._settings.name, time_limit=self._settings.patience)
        self._in_contact_at = self._clock()
        return lease

    def _ended(self, cause: str) -> bool:
        self._held_until, self._may_be_named, self._end = _NEVER, False, cause
        return False

    @property
    def _look(self) -> float:
        return min(_LOOK, self._settings.retry)

    def _until_next_look(self) -> float:
        """No longer than another's lease lasts."""
        pause, left = self._jittered(self._look), self._anothers_until() - self._clock()
        return min(pause, left) if left > 0 else pause

    def _jittered(self, pause: float) -> float:
        return pause * (0.8 + 0.4 * self._jitter())
