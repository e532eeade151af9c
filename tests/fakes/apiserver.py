"""A Kubernetes API server over HTTP for faults that a real one can't be made to show on demand.

It speaks discovery, get, paged list, watch with bookmarks, create, update, merge patch, JSON patch and the status
subresource, with resourceVersion as the real one counts it, and lists and watches of metadata alone. `faults`,
`tokens`, `kinds`, `hidden` (served, but not discovered), `forbidden` (namespaces), `compact`, `cut_watches`, `break_watches`
and `silence_watches` make it misbehave; `admission` refuses what is written over HTTP; `requests` is what it was asked.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from aiohttp import web

from .store import Change, JsonObject, Kind, RefusalError, Refuses, Store, matches

KINDS = (
    Kind("tidegate.io", "v1alpha1", "featurerollouts", "FeatureRollout", has_status=True),
    Kind("tidegate.io", "v1alpha1", "rolloutpolicies", "RolloutPolicy", namespaced=False, has_status=True),
    Kind("tidegate.io", "v1alpha1", "rolloutruns", "RolloutRun", has_status=True),
    Kind("coordination.k8s.io", "v1", "leases", "Lease"),
    Kind("events.k8s.io", "v1", "events", "Event"),
    Kind("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False),
    Kind("", "v1", "configmaps", "ConfigMap"),
    Kind("", "v1", "secrets", "Secret"),
    Kind("", "v1", "namespaces", "Namespace", namespaced=False, has_status=True),
)
BY_PLURAL = {kind.plural: kind for kind in KINDS}


@dataclass
class Fault:
    """The next `times` requests of this verb (get, list, watch, create, update, patch, or *) and plural (or *) go wrong.

    `refuse` answers `status`; `hang` never answers; `drop` closes the connection; `lose_reply` does the work, then closes it; `garble`
    answers 200 with a list that is none.
    """

    verb: str
    plural: str = "*"
    how: Literal["refuse", "hang", "drop", "lose_reply", "garble"] = "refuse"
    status: int = 500
    reason: str = "InternalError"
    message: str = "injected"
    headers: dict[str, str] | None = None
    times: int = 1

    def hits(self, verb: str, plural: str) -> bool:
        return self.times > 0 and self.verb in ("*", verb) and self.plural in ("*", plural)


@dataclass(frozen=True)
class Request:
    verb: str
    plural: str
    namespace: str
    name: str
    subresource: str
    query: dict[str, str]
    content_type: str
    authorization: str | None
    accept: str

    @property
    def metadata_only(self) -> bool:
        wanted = "PartialObjectMetadataList" if self.verb == "list" else "PartialObjectMetadata"
        return f"as={wanted};g=meta.k8s.io;v=v1" in self.accept.split(",")[0]


class ApiServer:
    def __init__(self) -> None:
        self.store = Store()
        self.kinds: tuple[Kind, ...] = KINDS
        self.hidden: set[str] = set()
        self.forbidden: set[str] = set()
        self.faults: list[Fault] = []
        self.admission: dict[str, tuple[Refuses, ...]] = {}
        self.tokens: set[str] | None = None
        self.requests: list[Request] = []
        self.url = ""
        self._stop_hanging = asyncio.Event()
        self._watch_orders: list[JsonObject | None] = []
        self._silent = False
        self._snapshots: dict[str, tuple[str, list[JsonObject]]] = {}

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator["ApiServer"]:
        server = cls()
        app = web.Application(client_max_size=4 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", server._serve)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.url = "http://{}:{}".format(*runner.addresses[0][:2])
        try:
            yield server
        finally:
            server._stop_hanging.set()
            await server.cut_watches()
            await runner.cleanup()

    def kubeconfig(self, folder: Path, token_file: Path | None = None) -> str:
        user = {"tokenFile": str(token_file)} if token_file else {}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": "me", "user": user}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "me"}}],
        }
        path = folder / "kubeconfig"
        path.write_text(yaml.safe_dump(document))
        return str(path)

    async def put(self, plural: str, namespace: str, body: JsonObject, manager: str = "somebody") -> JsonObject:
        """Somebody else creates or changes an object."""
        kind, name = BY_PLURAL[plural], body["metadata"]["name"]
        if (plural, namespace, name) in self.store.objects:
            stored = self.store.patch(kind, namespace, name, "application/merge-patch+json", body, "", manager)
        else:
            stored = self.store.create(kind, namespace, body, manager)
        await self._tell_watches()
        return stored

    async def remove(self, plural: str, namespace: str, name: str) -> None:
        self.store.delete(BY_PLURAL[plural], namespace, name)
        await self._tell_watches()

    def compact(self) -> None:
        """Forget the history, as etcd does after some minutes: watches from before now, and lists begun before now, are Gone."""
        self.store.compacted = self.store.version
        self.store.history.clear()
        self._snapshots.clear()

    async def cut_watches(self) -> None:
        await self._order_watches(None)

    async def break_watches(self, code: int) -> None:
        """Send an ERROR event into every open watch."""
        status = {"kind": "Status", "status": "Failure", "code": code, "message": "injected"}
        await self._order_watches({"type": "ERROR", "object": status})

    async def silence_watches(self, silent: bool) -> None:
        """Watches stay open and say nothing, whatever happens."""
        self._silent = silent
        await self._tell_watches()

    def asked(self, verb: str, plural: str = "*") -> list[Request]:
        return [request for request in self.requests if request.verb == verb and plural in ("*", request.plural)]

    async def _order_watches(self, order: JsonObject | None) -> None:
        self._watch_orders.append(order)
        await self._tell_watches()

    async def _tell_watches(self) -> None:
        async with self.store.changed:
            self.store.changed.notify_all()

    async def _serve(self, http: web.Request) -> web.StreamResponse:
        try:
            self._authenticate(http)
            parts = http.path.strip("/").split("/")
            discovered = self._discovery(parts)
            return web.json_response(discovered) if discovered is not None else await self._object(http, parts)
        except RefusalError as error:
            return _status(error)

    def _authenticate(self, http: web.Request) -> None:
        scheme, _, token = http.headers.get("Authorization", "").partition(" ")
        if self.tokens is not None and (scheme.lower() != "bearer" or token not in self.tokens):
            raise RefusalError(401, "Unauthorized", "Unauthorized")

    def _discovery(self, parts: list[str]) -> JsonObject | None:
        shown = [kind for kind in self.kinds if kind.plural not in self.hidden]
        groups = sorted({(kind.group, kind.version) for kind in self.kinds if kind.group})
        match parts:
            case ["api"]:
                return {"versions": ["v1"]}
            case ["apis"]:
                versions = [{"groupVersion": f"{group}/{version}", "version": version} for group, version in groups]
                names = [group for group, _ in groups]
                return {"groups": [{"name": name, "versions": [v], "preferredVersion": v} for name, v in zip(names, versions, strict=True)]}
            case ["api", "v1"]:
                return {"resources": [_described(kind) for kind in shown if not kind.group]}
            case ["apis", group, version] if (group, version) in groups:
                return {"resources": [_described(kind) for kind in shown if kind.group == group]}
        return None

    async def _object(self, http: web.Request, parts: list[str]) -> web.StreamResponse:
        parts = parts[2:] if parts[0] == "api" else parts[3:]
        namespace = ""
        if len(parts) > 2 and parts[0] == "namespaces":
            namespace, parts = parts[1], parts[2:]
        plural, name, subresource = [*parts, "", "", ""][:3]
        kind = next((kind for kind in self.kinds if kind.plural == plural), None)
        verb = _verb(http, name)
        request = Request(
            verb,
            plural,
            namespace,
            name,
            subresource,
            dict(http.query),
            http.content_type,
            http.headers.get("Authorization"),
            http.headers.get("Accept", ""),
        )
        self.requests.append(request)
        if kind is None:
            return web.Response(text="404 page not found\n", status=404)
        if namespace in self.forbidden:
            raise RefusalError(403, "Forbidden", f'{plural} is forbidden: User "me" cannot {verb} {plural} in the namespace "{namespace}"')
        fault = next((fault for fault in self.faults if fault.hits(verb, plural)), None)
        if fault is not None:
            fault.times -= 1
            if fault.how == "refuse":
                return _status(RefusalError(fault.status, fault.reason, fault.message), fault.headers)
            if fault.how == "garble":
                return web.json_response({"metadata": {"resourceVersion": "1"}, "items": 5})
            if fault.how == "hang":
                await self._stop_hanging.wait()
        if verb == "watch":
            return await self._watch(http, kind, request)
        answer = None if fault and fault.how in ("drop", "hang") else await self._work(http, kind, request)
        if fault is not None and http.transport is not None:
            http.transport.close()
        return web.json_response(answer, status=201 if verb == "create" else 200, dumps=_compact)

    async def _work(self, http: web.Request, kind: Kind, request: Request) -> JsonObject:
        if request.verb == "list":
            return self._page(kind, request)
        if request.verb == "get":
            return self.store.shown(self.store.get(kind, request.namespace, request.name))
        body = json.loads(await http.read() or b"{}")
        manager = request.query.get("fieldManager", "unknown")
        place = (kind, request.namespace)
        self.store.admission = self.admission
        try:
            match request.verb:
                case "create":
                    stored = self.store.create(*place, body, manager)
                case "delete":
                    stored = self.store.delete(*place, request.name, **(body.get("preconditions") or {}))
                case "update":
                    stored = self.store.update(*place, request.name, body, request.subresource, manager)
                case _:
                    stored = self.store.patch(*place, request.name, request.content_type, body, request.subresource, manager)
        finally:
            self.store.admission = {}
        await self._tell_watches()
        return self.store.shown(stored)

    def _page(self, kind: Kind, request: Request) -> JsonObject:
        token = request.query.get("continue", "")
        if token and token not in self._snapshots:
            raise RefusalError(410, "Expired", "The provided continue parameter is too old")
        fresh = (str(self.store.version), self._listed(kind, request))
        version, items = self._snapshots[token] if token else fresh
        limit = int(request.query.get("limit", "0")) or len(items)
        metadata = {"resourceVersion": version}
        if items[limit:]:
            metadata["continue"] = f"{version}+{len(self.requests)}/="
            self._snapshots[metadata["continue"]] = (version, items[limit:])
        if not request.metadata_only:
            return {"apiVersion": kind.api_version, "kind": f"{kind.kind}List", "metadata": metadata, "items": items[:limit]}
        # As the real one: an empty list of metadata has no items at all.
        page = [_partial(item) for item in items[:limit]] or None
        return {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList", "metadata": metadata, "items": page}

    def _listed(self, kind: Kind, request: Request) -> list[JsonObject]:
        return self.store.list(kind, request.namespace, request.query.get("labelSelector", ""), request.query.get("fieldSelector", ""))

    async def _watch(self, http: web.Request, kind: Kind, request: Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(http)
        since, orders_done = int(request.query.get("resourceVersion", "0")), len(self._watch_orders)
        if since < self.store.compacted:
            await _send(response, {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old resource version"}})
            return response
        selector = request.query.get("labelSelector", "")
        while True:
            for order in self._watch_orders[orders_done:]:
                orders_done += 1
                if order is None:
                    return response
                await _send(response, order)
            seen, changes = self.store.version, list(self.store.since(since, kind, request.namespace))
            if not self._silent:
                since = seen
                for change in changes:
                    if (event := _event(change, selector)) is not None:
                        await _send(response, event | {"object": _partial(event["object"])} if request.metadata_only else event)
            async with self.store.changed:
                if orders_done == len(self._watch_orders) and (self._silent or since == self.store.version):
                    await self.store.changed.wait()


def _verb(http: web.Request, name: str) -> str:
    if http.method == "GET":
        return "get" if name else ("watch" if http.query.get("watch") == "true" else "list")
    return {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}[http.method]


def _event(change: Change, selector: str) -> JsonObject | None:
    was = change.before is not None and matches(change.before, selector)
    matching = matches(change.after, selector) and change.type != "DELETED"
    if not was and not matching:
        return None
    return {"type": ("MODIFIED" if was else "ADDED") if matching else "DELETED", "object": change.after}


def _described(kind: Kind) -> JsonObject:
    verbs = ["create", "get", "list", "patch", "update", "watch"]
    return {"name": kind.plural, "singularName": "", "kind": kind.kind, "namespaced": kind.namespaced, "verbs": verbs}


def _status(error: RefusalError, headers: dict[str, str] | None = None) -> web.Response:
    body = {"kind": "Status", "status": "Failure", "code": error.code, "reason": error.reason, "message": str(error)}
    return web.json_response(body, status=error.code, headers=headers)


def _partial(found: JsonObject) -> JsonObject:
    return {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": found["metadata"]}


def _compact(answer: Any) -> str:
    """As the real one writes it."""
    return json.dumps(answer, separators=(",", ":"))


async def _send(response: web.StreamResponse, event: Any) -> None:
    await response.write(json.dumps(event).encode() + b"\n")
