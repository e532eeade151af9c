"""One look at the cluster: the rollouts' statuses, the operator's live readings, and the Events."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from demo.api import Api, Series
from demo.plan import NAMESPACE
from tidegate.api.conditions import ConditionType
from tidegate.api.rollout_run import RolloutRunStatus
from tidegate.api.rollout_status import FeatureRolloutStatus, GateSource, Verdict
from tidegate.api.types import parse_time

_API = f"/apis/tidegate.io/v1alpha1/namespaces/{NAMESPACE}"
_EVENTS = f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events"
# In one question, so that value and verdict are of one scrape.
_READINGS = (
    "max by (__name__, name, source, gate, verdict) "
    f'({{__name__=~"tidegate_gate_value|tidegate_gate_verdict",exported_namespace="{NAMESPACE}"}})'
)
_OPERATOR = "tidegate.io/operator"
ReadingId = tuple[str, GateSource, str]


@dataclass(frozen=True, slots=True)
class Reading:
    """A gate's newest value, None where there is none, and what the operator made of it."""

    value: float | None
    verdict: Verdict


@dataclass(frozen=True, slots=True, order=True)
class Announcement:
    """An Event about a rollout, ordered by time and then by its number within the attempt."""

    at: datetime
    number: int
    rollout: str
    reason: str
    note: str
    is_warning: bool


@dataclass(frozen=True, slots=True)
class Observation:
    """What one look saw. `readings`: of each gate by (rollout, source, gate), as the operator exports them; status has only those at which
    a verdict changed."""

    at: datetime
    statuses: Mapping[str, FeatureRolloutStatus] = field(default_factory=dict)
    readings: Mapping[ReadingId, Reading] = field(default_factory=dict)
    announcements: tuple[Announcement, ...] = ()

    def stalled(self, rollout: str) -> str | None:
        """What a person has to mend before a rollout can go on."""
        conditions = self.statuses[rollout].conditions if rollout in self.statuses else ()
        return next((one.message for one in conditions if one.type is ConditionType.STALLED and one.status == "True"), None)


async def observe(api: Api) -> Observation:
    """Looks once. Raises NoAnswerError."""
    rollouts, events, readings = await asyncio.gather(api.get(f"{_API}/featurerollouts"), api.get(_EVENTS), api.prometheus(_READINGS))
    return Observation(
        at=datetime.now(UTC),
        statuses={one["metadata"]["name"]: FeatureRolloutStatus.model_validate(one.get("status") or {}) for one in rollouts["items"]},
        readings=read(readings),
        announcements=tuple(sorted(_announcement(one) for one in events["items"] if one.get("reportingController") == _OPERATOR)),
    )


def read(exported: Iterable[Series]) -> dict[ReadingId, Reading]:
    """Each gate's value beside its verdict."""
    values: dict[ReadingId, float] = {}
    verdicts: dict[ReadingId, Verdict] = {}
    for one in exported:
        gate = (one.labels["name"], GateSource(one.labels["source"]), one.labels["gate"])
        if "verdict" in one.labels:
            verdicts[gate] = Verdict(one.labels["verdict"])
        else:
            values[gate] = one.samples[-1][1]
    return {gate: Reading(values.get(gate), verdict) for gate, verdict in verdicts.items()}


async def read_run(api: Api, status: FeatureRolloutStatus) -> RolloutRunStatus:
    """The record of an attempt. Raises NoAnswerError."""
    found = await api.get(f"{_API}/rolloutruns/{status.run}")
    return RolloutRunStatus.model_validate(found.get("status") or {})


def _announcement(event: dict[str, Any]) -> Announcement:
    return Announcement(
        at=parse_time(event["eventTime"]),
        number=int(event["metadata"]["name"].rpartition(".")[2]),
        rollout=event["regarding"]["name"],
        reason=event["reason"],
        note=event.get("note", ""),
        is_warning=event["type"] == "Warning",
    )
