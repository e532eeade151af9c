"""Events and lists come in, keys go out; what was seen already and what we wrote ourselves stays quiet."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from tidegate.domain.keys import Key
from tidegate.loop.echoes import Echoes
from tidegate.watch.settings import WatchSettings
from tidegate.watch.watched import POLICIES, Body, Part, Watched


@dataclass(frozen=True, slots=True)
class Sinks:
    """Where the news goes; all are called in the program's own event loop and must not block.

    `enqueue` looks at an object, `gone` gets the key of one that was deleted. `flag_set_changed` gets namespace and name of a
    flag set that somebody else created, changed, or deleted.
    """

    enqueue: Callable[[Key], None]
    gone: Callable[[Key], None]
    flag_set_changed: Callable[[str, str], None]


class Ref(NamedTuple):
    """One watched object."""

    watched: Watched
    namespace: str
    name: str


class Version(NamedTuple):
    """One state of one object."""

    uid: str
    resource_version: str


class Asked(NamedTuple):
    """What people want of a policy; the default one is told by an annotation."""

    uid: str
    generation: int
    annotations: tuple[tuple[str, str], ...]


class Hearing:
    """Knows the last version of every watched object, some 200 bytes each."""

    def __init__(self, settings: WatchSettings, sinks: Sinks, echoes: Echoes) -> None:
        self._settings = settings
        self._sinks = sinks
        self._echoes = echoes
        self._known: dict[Ref, Version] = {}
        self._asked: dict[Ref, Asked] = {}

    def event(self, watched: Watched, event_type: str | None, body: Body) -> None:
        """A watch event; of type None when it comes from a list that the watcher made to start, or to start over."""
        ref, version = identify(watched, body)
        if not self._settings.covers(ref.namespace):
            return
        if event_type == "DELETED":
            # A successor of the same name may have been heard of first.
            if self._known.get(ref, version).uid == version.uid:
                self._vanished(ref)
            return
        if not self._is_new(ref, version):
            return
        self._known[ref] = version
        if not self._asks_anew(ref, body):
            return
        # After a gap, a list shows our own write where somebody else's came before it: only an event is an echo.
        if event_type is None or not self._echoes.heard(*version):
            self._tell(ref)
            self.look_at(ref)

    def listed(self, watched: Watched, body: Body) -> Ref | None:
        """An object of a list of ours. Returns what to look at, or None if it isn't ours."""
        ref, version = identify(watched, body)
        if not self._settings.covers(ref.namespace):
            return None
        if self._is_new(ref, version):
            self._known[ref] = version
            self._asks_anew(ref, body)
            self._tell(ref)
        return ref

    def known(self, part: Part) -> dict[Ref, Version]:
        """The objects of a part, as they are known now."""
        return {
            ref: version for ref, version in self._known.items() if ref.watched == part.watched and part.namespace in ("", ref.namespace)
        }

    def forget_missing(self, before: dict[Ref, Version], listed: Iterable[Ref]) -> None:
        """Objects known `before` a complete list began, not in it, and not heard of since, were deleted unseen."""
        for ref in before.keys() - set(listed):
            if self._known.get(ref) == before[ref]:
                self._vanished(ref)

    def look_at(self, ref: Ref) -> None:
        """Enqueue an object that has a key."""
        if ref.watched.kind is not None:
            self._sinks.enqueue(Key(ref.watched.kind, ref.namespace, ref.name))

    def _is_new(self, ref: Ref, version: Version) -> bool:
        before = self._known.get(ref)
        if before is None or before.uid != version.uid:
            return True
        older, newer = before.resource_version, version.resource_version
        # The API promises order for versions that are numbers, and only those.
        return int(newer) > int(older) if older.isdecimal() and newer.isdecimal() else newer != older

    def _asks_anew(self, ref: Ref, body: Body) -> bool:
        """Whether people changed a policy. Its status is written by every Tidegate of the cluster, and each may see another Prometheus:
        would they listen to each other's word, they would never rest, nor would all rollouts that each change of a policy wakes up."""
        if ref.watched != POLICIES:
            return True
        metadata = body["metadata"]
        asked = Asked(metadata["uid"], metadata.get("generation", 0), tuple(sorted((metadata.get("annotations") or {}).items())))
        before, self._asked[ref] = self._asked.get(ref), asked
        return asked != before

    def _tell(self, ref: Ref) -> None:
        if ref.watched.kind is None:
            self._sinks.flag_set_changed(ref.namespace, ref.name)

    def _vanished(self, ref: Ref) -> None:
        self._known.pop(ref, None)
        self._asked.pop(ref, None)
        self._tell(ref)
        if ref.watched.kind is None:
            return
        self._sinks.gone(Key(ref.watched.kind, ref.namespace, ref.name))
        self.look_at(ref)


def identify(watched: Watched, body: Body) -> tuple[Ref, Version]:
    """Which object a body is of, and in which state."""
    metadata = body["metadata"]
    ref = Ref(watched, metadata.get("namespace") or "", metadata["name"])
    return ref, Version(metadata["uid"], metadata["resourceVersion"])
