"""What is watched, and what the watcher needs of the rest of the program to do so."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tidegate.domain.keys import Kind

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Watched:
    """One kind as the API serves it. `kind` is None where a change wakes up other objects: a flag set has no key of its own."""

    group: str
    version: str
    plural: str
    kind: Kind | None
    namespaced: bool = True
    label_selector: str = ""


FLAG_SETS = Watched("", "v1", "configmaps", None, label_selector="tidegate.io/flag-set=true")
ROLLOUTS = Watched("tidegate.io", "v1alpha1", "featurerollouts", Kind.FEATURE_ROLLOUT)
POLICIES = Watched("tidegate.io", "v1alpha1", "rolloutpolicies", Kind.ROLLOUT_POLICY, namespaced=False)
WATCHED = (POLICIES, FLAG_SETS, ROLLOUTS)

Lister = Callable[[Watched, str], AsyncIterator[Sequence[Body]]]
"""A fresh list of one kind in a namespace ("" for all), page by page; raises what goes wrong."""


class Connection(Protocol):
    """The way to the API server. `authorization` is the whole header, or None with client certificates; paths are of PEM files."""

    @property
    def server(self) -> str: ...
    @property
    def ca_path(self) -> str | None: ...
    @property
    def verify(self) -> bool: ...
    @property
    def certificate_path(self) -> str | None: ...
    @property
    def private_key_path(self) -> str | None: ...
    @property
    def proxy(self) -> str | None: ...
    @property
    def authorization(self) -> str | None: ...


Login = Callable[[], Awaitable[Connection]]
"""Reads the credentials afresh. Called in another event loop than the program's own."""
