"""The one way to write: only while this replica leads. Each write is remembered, so that the event which it causes needs no reconcile."""

from collections import OrderedDict
from collections.abc import Callable, Sequence

from tidegate.clients.kubernetes import Kubernetes
from tidegate.clients.resources import JsonObject, Resource


class NotLeaderError(RuntimeError):
    """This replica lost the Lease: it must not write."""


class Echoes:
    """The last `capacity` versions that we wrote. Forgetting one costs a superfluous reconcile, nothing else."""

    def __init__(self, capacity: int = 20_000) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, not {capacity}")
        self._capacity = capacity
        self._written: OrderedDict[tuple[str, str], None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._written)

    def wrote(self, uid: str, resource_version: str) -> None:
        """Note the version that the API server gave to what we wrote."""
        written = (uid, resource_version)
        self._written[written] = None
        self._written.move_to_end(written)
        if len(self._written) > self._capacity:
            self._written.popitem(last=False)

    def heard(self, uid: str, resource_version: str) -> bool:
        """True if this version is our own write. It stays known: after a reconnect the event may come again."""
        return (uid, resource_version) in self._written


class Writer:
    """Reads and writes objects. Right before each write it asks `is_leader`: a process that was stopped for a while gets NotLeaderError.
    ApiErrors as they come. `wrote` receives each stored object of a `watched` kind."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        is_leader: Callable[[], bool],
        echoes: Echoes,
        watched: frozenset[Resource],
        wrote: Callable[[Resource, JsonObject], None] = lambda *_: None,
    ) -> None:
        self._kubernetes = kubernetes
        self._is_leader = is_leader
        self._echoes = echoes
        self._watched = watched
        self._wrote = wrote

    async def get(self, resource: Resource, namespace: str, name: str) -> JsonObject:
        return await self._kubernetes.get(resource, namespace, name)

    async def create(self, resource: Resource, body: JsonObject) -> JsonObject:
        self._fence()
        return self._noted(resource, await self._kubernetes.create(resource, body))

    async def merge_patch(self, resource: Resource, namespace: str, name: str, patch: JsonObject, *, resource_version: str) -> JsonObject:
        self._fence()
        return self._noted(
            resource, await self._kubernetes.merge_patch(resource, namespace, name, patch, resource_version=resource_version)
        )

    async def write_status(self, resource: Resource, namespace: str, name: str, status: JsonObject, *, resource_version: str) -> JsonObject:
        """Replaces status as a whole: merging would leave removed keys behind."""
        self._fence()
        operations: Sequence[JsonObject] = [{"op": "add", "path": "/status", "value": status}]
        stored = await self._kubernetes.json_patch(
            resource, namespace, name, operations, subresource="status", resource_version=resource_version
        )
        return self._noted(resource, stored)

    async def delete(self, resource: Resource, namespace: str, name: str, *, resource_version: str) -> None:
        self._fence()
        await self._kubernetes.delete(resource, namespace, name, resource_version=resource_version)

    def _fence(self) -> None:
        if not self._is_leader():
            raise NotLeaderError("this replica no longer holds the Lease: the write was not made")

    def _noted(self, resource: Resource, stored: JsonObject) -> JsonObject:
        if resource in self._watched:
            self._echoes.wrote(stored["metadata"]["uid"], stored["metadata"]["resourceVersion"])
            self._wrote(resource, stored)
        return stored
