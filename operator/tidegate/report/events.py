"""Kubernetes Events: one for each record and one for each change of a condition. Their names follow from what they say, so that what is
announced twice makes one Event."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from tidegate.api.base import API_VERSION
from tidegate.api.records import Record, Transition
from tidegate.api.types import format_time
from tidegate.clients.resources import JsonObject
from tidegate.domain.snapshot import Rollout
from tidegate.report.changes import ConditionChange

WARNINGS = frozenset(
    {
        Transition.ROLLED_BACK,
        Transition.SPEC_INVALID,
        Transition.POLICY_UNUSABLE,
        Transition.LOWERED_ELSEWHERE,
        Transition.DRIFTED,
        Transition.STEP_DEADLINE_EXCEEDED,
        Transition.NO_DATA_DEADLINE,
        Transition.GUARD_BREACHED,
        Transition.LEASE_EXPIRED,
    }
)
OF_THE_CLUSTER = "default"
"""Where the API server takes Events about objects that have no namespace."""
_NOTE_BYTES = 1024
"""The longest note that the API server takes."""


@dataclass(frozen=True, slots=True)
class About:
    """The object that an Event is about; `namespace` is "" for one that has none."""

    kind: str
    namespace: str
    name: str
    uid: str

    @classmethod
    def rollout(cls, rollout: Rollout) -> "About":
        return cls("FeatureRollout", rollout.namespace, rollout.name, rollout.uid)


def announcements(rollout: Rollout, attempt: int, records: Iterable[Record]) -> list[JsonObject]:
    """The Events of records that are in the RolloutRun already. `attempt` is that of records which don't name theirs."""
    about = About.rollout(rollout)
    return [
        _event(
            about,
            f"{record.attempt or attempt}.{record.seq}",
            record.time,
            reason=record.transition.value,
            is_warning=record.transition in WARNINGS,
            note=record.message if record.count is None else f"{record.message} ({record.count} times)",
        )
        for record in records
    ]


def change_events(about: About, changed: Iterable[ConditionChange], now: datetime) -> list[JsonObject]:
    """The Events of changed conditions: of each at most one a minute, however often it comes and goes."""
    return [
        _event(
            about,
            f"{one.condition}.{one.reason}.{'bad' if one.is_bad else 'over'}.{now:%Y%m%d%H%M}".lower(),
            now,
            reason=one.reason,
            is_warning=one.is_bad,
            note=one.message,
        )
        for one in changed
    ]


def _event(about: About, what: str, at: datetime, *, reason: str, is_warning: bool, note: str) -> JsonObject:
    place = {"namespace": about.namespace} if about.namespace else {}
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": _name(about, what), "namespace": about.namespace or OF_THE_CLUSTER},
        "eventTime": format_time(at).replace("Z", "000Z"),
        "reportingController": "tidegate.io/operator",
        "reportingInstance": "tidegate",
        "action": "Reconcile",
        "reason": reason,
        "type": "Warning" if is_warning else "Normal",
        "note": note.encode()[:_NOTE_BYTES].decode(errors="ignore") or reason,
        "regarding": {"apiVersion": API_VERSION, "kind": about.kind, **place, "name": about.name, "uid": about.uid},
    }


def _name(about: About, what: str) -> str:
    """A policy's name may have 253 characters, as the Event's."""
    tail = f".{about.uid[:8]}.{what}"
    return about.name[: 253 - len(tail)].rstrip("-.") + tail
