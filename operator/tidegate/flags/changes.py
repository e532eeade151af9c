"""What a source of flag sets reports to the flag server."""

import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol, Self

_SELECTOR = re.compile(r"(?P<namespace>[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)/(?P<name>[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?)")


@dataclass(frozen=True, slots=True)
class FlagSetKey:
    """A flag set's place: the ConfigMap's namespace and name."""

    namespace: str
    name: str

    @classmethod
    def parse(cls, selector: str) -> Self:
        """Reads `<namespace>/<configmap>`; raises ValueError where it isn't that."""
        match = _SELECTOR.fullmatch(selector)
        if match is None:
            raise ValueError(f"selector {selector[:330]!r} does not have the form <namespace>/<configmap>")
        return cls(match["namespace"], match["name"])

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Upserted:
    """A flag set exists with this document (None: the ConfigMap lacks the key that should hold it)."""

    key: FlagSetKey
    document: str | None
    observed_at: float = field(default_factory=time.monotonic)
    """Monotonic time at which the source saw it, in seconds; push latency counts from here."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """A flag set is gone, or carries the label no more."""

    key: FlagSetKey


@dataclass(frozen=True, slots=True)
class Synced:
    """All flag sets that exist have been reported, and the source sees every change from here on."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The source can't list or watch, for this reason, and keeps trying. `Synced` follows when it can."""

    reason: str


Change = Upserted | Deleted | Synced | Interrupted


class FlagSetSource(Protocol):
    """Reports all flag sets that exist, then `Synced`, then every change, for ever."""

    def changes(self) -> AsyncIterator[Change]: ...
