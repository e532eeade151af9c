"""How the watcher behaves, in our words and in kopf's."""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

import kopf

from tidegate.watch.no_memory import NoDiffs, NoProgress
from tidegate.watch.watched import FLAG_SETS

_NAME_OR_GLOB = re.compile(r"[a-z0-9*?]([-a-z0-9*?]{0,61}[a-z0-9*?])?")


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """`namespaces`: names, or globs with * and ?; empty for all. Times are in seconds.

    Plain names are watched one by one, for which namespaced RBAC is enough. One glob among them makes the watch
    cluster-wide, and what doesn't match is ignored. `resync` is the shortest and the longest time between two lists.
    """

    namespaces: tuple[str, ...] = ()
    resync: tuple[float, float] = (600.0, 3600.0)

    def __post_init__(self) -> None:
        for pattern in self.namespaces:
            if not _NAME_OR_GLOB.fullmatch(pattern):
                raise ValueError(f"namespace {pattern!r} is neither a name nor a glob with * and ?; give several one by one")
        if not 0 < self.resync[0] <= self.resync[1]:
            raise ValueError(f"resync must be a shortest and a longest time, not {self.resync}")

    @property
    def exact_namespaces(self) -> tuple[str, ...]:
        """The namespaces to ask for one by one; empty when the whole cluster is asked."""
        has_globs = any("*" in pattern or "?" in pattern for pattern in self.namespaces)
        return () if has_globs else tuple(dict.fromkeys(self.namespaces))

    def covers(self, namespace: str) -> bool:
        """Is an object of this namespace ("" if cluster-scoped) ours to watch?"""
        return not namespace or not self.namespaces or any(fnmatchcase(namespace, pattern) for pattern in self.namespaces)


def kopf_settings() -> kopf.OperatorSettings:
    """kopf as nothing but a watcher: it posts, patches, scans and coordinates nothing, and gives up on nothing without an error."""
    settings = kopf.OperatorSettings()
    settings.peering.standalone = True
    settings.posting.enabled = False
    # No list and watch of CRDs and namespaces; the kinds exist before kopf starts, and globs are matched here.
    settings.scanning.disabled = True
    # An idle worker keeps its place in the limit for this long: with kopf's 5 s, a hundred of them would pass 20 objects a second.
    settings.queueing.worker_limit = 100
    settings.queueing.idle_timeout = 0.05
    settings.queueing.exit_timeout = 1.0
    settings.queueing.error_delays = (0.2, 0.5, 1.0, 2.0, 5.0)
    settings.watching.chunk_size = 500
    settings.watching.connect_timeout = 5.0
    # Bookmarks come every minute: a stream that is silent for longer is dead.
    settings.watching.inactivity_timeout = 70.0
    settings.watching.label_selectors[FLAG_SETS.group, FLAG_SETS.version, FLAG_SETS.plural] = FLAG_SETS.label_selector
    settings.networking.request_timeout = 15.0
    settings.networking.connect_timeout = 5.0
    settings.networking.error_backoffs = (0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 5.0, 5.0)
    settings.persistence.diffbase_storage = NoDiffs()
    settings.persistence.progress_storage = NoProgress()
    settings.execution.default_backoff = 1.0
    # Otherwise kopf kills the whole process some time after its own end.
    settings.process.ultimate_exiting_timeout = None
    return settings
