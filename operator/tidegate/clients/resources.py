"""The kinds of the Kubernetes API that Tidegate reads or writes, by the names that URLs use."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

JsonObject = dict[str, Any]
"""An object as the API server sends it."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind as the API serves it. `group` is "" for the core API."""

    group: str
    version: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str = "", name: str = "", subresource: str | None = None) -> str:
        """The URL path of an object, or of the collection when `name` is ""; no namespace means all of them."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name:
            parts.append(name)
        if subresource:
            parts.append(subresource)
        return "/" + "/".join(quote(part, safe="") for part in parts)


FEATURE_ROLLOUTS = Resource("tidegate.io", "v1alpha1", "featurerollouts")
ROLLOUT_POLICIES = Resource("tidegate.io", "v1alpha1", "rolloutpolicies", namespaced=False)
ROLLOUT_RUNS = Resource("tidegate.io", "v1alpha1", "rolloutruns")
CONFIG_MAPS = Resource("", "v1", "configmaps")
SECRETS = Resource("", "v1", "secrets")
NAMESPACES = Resource("", "v1", "namespaces", namespaced=False)
EVENTS = Resource("events.k8s.io", "v1", "events")
LEASES = Resource("coordination.k8s.io", "v1", "leases")
