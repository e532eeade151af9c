"""The Lease: its times, and what stands in it. The times in it are for people; nobody decides by them."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from tidegate.clients.resources import JsonObject

_LEAST_PATIENCE, _MOST_PATIENCE = 1.0, 5.0
"""Seconds. A renewal that is given less may be stored without its sender hearing of it; with more, one that is lost goes unnoticed."""


@dataclass(frozen=True, slots=True)
class LeaseSettings:
    """Where the Lease is, and its times in seconds. `candidate` names this process, e.g. its pod.

    `place` is where only one process can be at a time, e.g. a pod and a port of it: who stood there before is dead.
    """

    namespace: str
    candidate: str
    name: str
    duration: float
    renew_deadline: float
    retry: float
    place: str = ""

    @classmethod
    def lasting(cls, duration: float, namespace: str, candidate: str, name: str = "tidegate", place: str = "") -> Self:
        """A leader stops writing well before another may start: after 70 % of the duration, as client-go's defaults have it roughly."""
        return cls(namespace, candidate, name, duration, renew_deadline=0.7 * duration, retry=0.15 * duration, place=place)

    def __post_init__(self) -> None:
        if not self.duration > self.renew_deadline > 2 * self.retry > 0:
            raise ValueError(
                f"lease: duration ({self.duration:g} s) must be longer than renewDeadline ({self.renew_deadline:g} s), "
                f"and that longer than twice retry ({self.retry:g} s)"
            )

    @property
    def patience(self) -> float:
        """How long an answer is waited for. A renewal that gets none leaves time for another one before the deadline."""
        return min(max(_LEAST_PATIENCE, self.renew_deadline / 3), _MOST_PATIENCE)

    @property
    def prefix(self) -> str:
        """How the name of each process of this candidate begins, at this place if there is one."""
        return f"{self.candidate}_{self.place}_" if self.place else f"{self.candidate}_"


def spec_of(lease: JsonObject) -> JsonObject:
    """What two looks are compared by. Labels are nobody's renewal."""
    return lease.get("spec") or {}


def holder_of(spec: JsonObject) -> str:
    """Whose name stands there, or ""."""
    return str(spec.get("holderIdentity") or "")


def created(settings: LeaseSettings, identity: str) -> JsonObject:
    """A Lease for the first one who needs it."""
    metadata = {"namespace": settings.namespace, "name": settings.name}
    lease: JsonObject = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}
    return lease | {"spec": _held(settings, identity) | {"acquireTime": _now(), "leaseTransitions": 0}}


def renewed(lease: JsonObject, settings: LeaseSettings, identity: str) -> JsonObject:
    """The same Lease with our name, taken from another or kept."""
    before = spec_of(lease)
    is_ours, transitions = holder_of(before) == identity, int(before.get("leaseTransitions") or 0)
    since = before.get("acquireTime") if is_ours else _now()
    return lease | {
        "spec": _held(settings, identity) | {"acquireTime": since, "leaseTransitions": transitions if is_ours else transitions + 1}
    }


def given_up(lease: JsonObject) -> JsonObject:
    """The same Lease with nobody's name. Zero seconds would be refused."""
    return lease | {"spec": spec_of(lease) | {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()}}


def _held(settings: LeaseSettings, identity: str) -> JsonObject:
    return {"holderIdentity": identity, "leaseDurationSeconds": math.ceil(settings.duration), "renewTime": _now()}


def _now() -> str:
    # Go refuses a time with fewer than six digits.
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
