"""What is watched, and what the watcher needs of the rest of the program to do so."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from tidegate.domain.keys import Kind, RefKind

Body = Mapping[str, Any]
"""An object, or only its metadata: nothing else of it is used."""


@dataclass(frozen=True, slots=True)
class Watched:
    """One kind as the API serves it. `kind`: of its own reconcile key, or None. `referred`: as what others refer to it, or None; a change
    wakes those. `first`: a field selector of those that can't wait behind thousands of others."""

    group: str
    version: str
    plural: str
    kind: Kind | None
    referred: RefKind | None
    namespaced: bool = True
    label_selector: str = ""
    first: str = ""


IN_MOTION = "status.phase!=Succeeded,status.phase!=Disabled,status.phase!=RolledBack"
"""Rollouts of which something may be rolled back, or that nobody has looked at yet. One that waits for its first step may just have made
it: its status says so a moment later."""
FLAG_SETS = Watched("", "v1", "configmaps", None, RefKind.FLAG_SET, label_selector="tidegate.io/flag-set=true")
ROLLOUTS = Watched("tidegate.io", "v1alpha1", "featurerollouts", Kind.FEATURE_ROLLOUT, None, first=IN_MOTION)
POLICIES = Watched("tidegate.io", "v1alpha1", "rolloutpolicies", Kind.ROLLOUT_POLICY, RefKind.ROLLOUT_POLICY, namespaced=False)
WATCHED = (POLICIES, FLAG_SETS, ROLLOUTS)


class Part(NamedTuple):
    """One kind in one namespace ("" for all, or for none): what is listed and watched by itself."""

    watched: Watched
    namespace: str

    def __str__(self) -> str:
        return f"{self.watched.plural} in namespace {self.namespace}" if self.namespace else self.watched.plural


Lister = Callable[[Watched, str, str], AsyncIterator[Sequence[Body]]]
"""A fresh list of one kind in a namespace ("" for all), narrowed by a field selector ("" for all), page by page; raises what goes wrong."""


class Session(Protocol):
    """The way to the API server: its URL, and an HTTP session that carries the credentials and shapes what is asked."""

    @property
    def server(self) -> str: ...
    @property
    def session(self) -> Any: ...


Answered = Callable[[str, str, str | None], None]
"""Gets plural and namespace ("" for all) of each list and watch that was answered, and why it was refused, or None."""

Login = Callable[[Answered], Awaitable[Session]]
"""Reads the credentials afresh. Called in another event loop than the program's own, and so is its argument."""
