"""Events and lists come in, keys go out. Versions that were seen already, and echoes of our own writes, cause nothing."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from tidegate.api.rollout_policy import DEFAULT_POLICY_ANNOTATION
from tidegate.clients.writer import Echoes
from tidegate.domain.keys import Key, Ref
from tidegate.watch.kopf_settings import WatchSettings
from tidegate.watch.watched import POLICIES, ROLLOUTS, Body, Part, Watched


@dataclass(frozen=True, slots=True)
class Sinks:
    """What gets the changes. All are called in the program's own event loop and must not block.

    `enqueue` gets the key of an object to reconcile, and whether it goes before others; `gone` that of one that was deleted. `changed` gets
    what others refer to, where an external writer created, changed or deleted it.
    """

    enqueue: Callable[[Key, bool], None]
    gone: Callable[[Key], None]
    changed: Callable[[Ref], None]


class Seen(NamedTuple):
    """One watched object."""

    watched: Watched
    namespace: str
    name: str


class Version(NamedTuple):
    """One state of one object."""

    uid: str
    resource_version: str


class Hearing:
    """Knows the last version of every watched object, some 300 bytes each."""

    def __init__(self, settings: WatchSettings, sinks: Sinks, echoes: Echoes) -> None:
        self._settings = settings
        self._sinks = sinks
        self._echoes = echoes
        self._known: dict[Seen, Version] = {}
        self._looked_at: dict[Seen, int] = {}

    def event(self, watched: Watched, event_type: str | None, body: Body) -> None:
        """A watch event; of type None when it comes from a list that the watcher made to start, or to start over."""
        ref, version = identify(watched, body)
        if not self._settings.covers(ref.namespace):
            return
        if event_type == "DELETED":
            # A successor of the same name may have been seen first.
            if self._known.get(ref, version).uid == version.uid:
                self._vanished(ref)
            return
        if not self._is_new(ref, version):
            return
        self._known[ref] = version
        if not self._is_other(ref, body):
            return
        # After a gap, a list shows our own write where an external writer's came before it: only an event is an echo.
        if event_type is None or not self._echoes.heard(*version):
            self._announce(ref)
            self.enqueue(ref)

    def listed(self, watched: Watched, body: Body) -> Seen | None:
        """An object of a list of ours. Returns which one it is, or None if it isn't ours."""
        ref, version = identify(watched, body)
        if not self._settings.covers(ref.namespace):
            return None
        if self._is_new(ref, version):
            self._known[ref] = version
            self._is_other(ref, body)
            self._announce(ref)
        return ref

    def known(self, part: Part) -> dict[Seen, Version]:
        """The objects of a part, as they are known now."""
        return {
            ref: version for ref, version in self._known.items() if ref.watched == part.watched and part.namespace in ("", ref.namespace)
        }

    def forget_missing(self, before: dict[Seen, Version], listed: Iterable[Seen]) -> None:
        """Objects that were known `before` a complete list began, are not in it and were not seen since, have been deleted unseen."""
        for ref in before.keys() - set(listed):
            if self._known.get(ref) == before[ref]:
                self._vanished(ref)

    def enqueue(self, ref: Seen, *, is_urgent: bool = True) -> None:
        """Enqueue an object that has a key."""
        if ref.watched.kind is not None:
            self._sinks.enqueue(Key(ref.watched.kind, ref.namespace, ref.name), is_urgent)

    def _is_new(self, ref: Seen, version: Version) -> bool:
        before = self._known.get(ref)
        if before is None or before.uid != version.uid:
            return True
        older, newer = before.resource_version, version.resource_version
        # The API promises order for versions that are numbers, and only those.
        return int(newer) > int(older) if older.isdecimal() and newer.isdecimal() else newer != older

    def _is_other(self, ref: Seen, body: Body) -> bool:
        """Whether anything changed that a reconcile looks at, as far as metadata tells. Other programs keep notes in annotations, some of
        them many times a second."""
        if ref.watched not in _LOOKED_AT:
            return True
        metadata = body["metadata"]
        looked_at = hash((metadata["uid"], metadata.get("generation"), _LOOKED_AT[ref.watched](metadata)))
        before, self._looked_at[ref] = self._looked_at.get(ref), looked_at
        return looked_at != before

    def _announce(self, ref: Seen) -> None:
        if ref.watched.referred is not None:
            self._sinks.changed(Ref(ref.watched.referred, ref.namespace, ref.name))

    def _vanished(self, ref: Seen) -> None:
        self._known.pop(ref, None)
        self._looked_at.pop(ref, None)
        self._announce(ref)
        if ref.watched.kind is None:
            return
        self._sinks.gone(Key(ref.watched.kind, ref.namespace, ref.name))
        self.enqueue(ref)


def _of_policy(metadata: Mapping[str, Any]) -> object:
    """An annotation marks the default one. Every Tidegate of the cluster writes its status, and each may see another Prometheus. If they
    reacted to each other's status, they would never stop, nor would the rollouts that each change of a policy wakes up."""
    return (metadata.get("annotations") or {}).get(DEFAULT_POLICY_ANNOTATION)


def _of_rollout(metadata: Mapping[str, Any]) -> object:
    """Who wrote status, and when: it is ours, and what an external writer wrote there is looked at."""
    of_status = (one for one in metadata.get("managedFields") or () if one.get("subresource") == "status")
    writers = tuple((one.get("manager"), one.get("operation"), one.get("time")) for one in of_status)
    return metadata.get("deletionTimestamp"), tuple(metadata.get("finalizers") or ()), writers


_LOOKED_AT: dict[Watched, Callable[[Mapping[str, Any]], object]] = {POLICIES: _of_policy, ROLLOUTS: _of_rollout}
"""What of an object's metadata a reconcile looks at, besides uid and generation. Of a flag set nothing tells whether its data changed."""


def identify(watched: Watched, body: Body) -> tuple[Seen, Version]:
    """Which object a body is of, and in which state."""
    metadata = body["metadata"]
    ref = Seen(watched, metadata.get("namespace") or "", metadata["name"])
    return ref, Version(metadata["uid"], metadata["resourceVersion"])
