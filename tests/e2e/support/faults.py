"""A reverse proxy between one operator and the real API server. It logs every request, and rules make some of them go wrong.

Towards the operator it speaks plain HTTP on loopback; the operator's own token goes through to the API server. Under /prometheus it
reaches the cluster's real Prometheus (by the API server's service proxy, which works on kind and natively) and logs the queries.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from tests.e2e.support.api import trust_of
from tests.e2e.support.exposure import DOCUMENT

PROMETHEUS_SERVICE = "/api/v1/namespaces/monitoring/services/prometheus:9090/proxy"
_PASSED = ("Authorization", "Content-Type", "Accept", "Accept-Encoding", "User-Agent")
_RETURNED = ("Content-Type", "Content-Encoding", "Retry-After")
_NO_LIMIT = aiohttp.ClientTimeout(total=None)


class AnswerError(Exception):
    """Raised by an effect: the operator gets this answer, whatever became of the request."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class CutError(Exception):
    """Raised by an effect: the connection ends without an answer."""


@dataclass
class Call:
    """One request of the operator. `kind` is like "configmaps" or "featurerollouts/status"; `status` is what the API server answered."""

    at: float
    method: str
    kind: str
    namespace: str
    name: str
    watches: bool
    body: Any
    headers: dict[str, str]
    path: str
    raw: bytes = b""
    status: int | None = None

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    @property
    def applied(self) -> bool:
        """Whether the API server took the write."""
        return self.writes and self.status is not None and self.status < 300


def is_about_a_policy(call: Call) -> bool:
    """A policy's status, or an Event about its source. Two operators that look at the same policies, of which one can't reach the source,
    tell so by turns."""
    about = (call.body or {}).get("regarding") or {} if call.kind == "events" else {}
    return call.kind == "rolloutpolicies/status" or about.get("kind") == "RolloutPolicy"


Effect = Callable[[Call], Awaitable[None]]
Matches = Callable[[Call], bool]


async def nothing(_: Call) -> None:
    """The effect of a rule that does nothing at this point."""


@dataclass
class Rule:
    """What happens to the calls that match: `before` they go to the API server, `after` its answer, and once that was `replied`.

    The first `skip` matching calls pass unharmed; after `times` calls the rule is used up.
    """

    matches: Matches
    before: Effect = nothing
    after: Effect = nothing
    replied: Effect | None = None
    skip: int = 0
    times: int | None = None
    fired: list[Call] = field(default_factory=list)

    def takes(self, call: Call) -> bool:
        if (self.times is not None and len(self.fired) >= self.times) or not self.matches(call):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.fired.append(call)
        return True


def on(method: str, kind: str, name: str = "", where: Matches = lambda _: True) -> Matches:
    """Calls of this method to this kind (and name)."""
    return lambda call: call.method == method and call.kind == kind and name in ("", call.name) and where(call)


def flag_to(percent: int, flag: str = "feature") -> Matches:
    """Writes that give the flag this percent."""

    def matches(call: Call) -> bool:
        if call.kind != "configmaps" or not call.writes:
            return False
        written = json.loads(call.body["data"][DOCUMENT])["flags"].get(flag, {})
        return bool(written.get("metadata", {}).get("percent") == percent)

    return matches


def answers(status: int) -> Effect:
    async def effect(_: Call) -> None:
        raise AnswerError(status)

    return effect


async def cut(_: Call) -> None:
    raise CutError


def held(until: asyncio.Event) -> Effect:
    async def effect(_: Call) -> None:
        await until.wait()

    return effect


class FaultProxy:
    """`url` is the operator's API server. `calls` holds all requests but those to /prometheus, which are in `queries`: (time, PromQL)."""

    def __init__(self, upstream: str, plain: aiohttp.ClientSession, admin: aiohttp.ClientSession) -> None:
        self.url = ""
        self.calls: list[Call] = []
        self.queries: list[tuple[float, str]] = []
        self._upstream, self._plain, self._admin = upstream, plain, admin
        self._rules: list[Rule] = []
        self._streams: set[asyncio.Transport] = set()
        self._under_way: set[asyncio.Task[web.StreamResponse]] = set()

    @classmethod
    @asynccontextmanager
    async def running(cls, kubeconfig: Path) -> AsyncIterator["FaultProxy"]:
        config = yaml.safe_load(kubeconfig.read_text())  # noqa: ASYNC240 - once, at the start
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        as_nobody = aiohttp.TCPConnector(ssl=trust_of(cluster, {}), limit=0)
        as_admin = aiohttp.TCPConnector(ssl=trust_of(cluster, user))
        async with (
            aiohttp.ClientSession(connector=as_nobody, auto_decompress=False, timeout=_NO_LIMIT) as plain,
            aiohttp.ClientSession(connector=as_admin, headers=headers) as admin,
        ):
            proxy = cls(cluster["server"].rstrip("/"), plain, admin)
            # Watches end with their client. Everything else is shielded: a request outlives a client that gave it up.
            runner = web.ServerRunner(web.Server(proxy._handle, handler_cancellation=True), shutdown_timeout=0.1)
            await runner.setup()
            try:
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
                yield proxy
            finally:
                proxy.cut_streams()
                await runner.cleanup()

    @contextmanager
    def rule(self, matches: Matches, **how: Any) -> Iterator[Rule]:
        """A rule for as long as the block lasts; its fields as in `Rule`. The newest rule that takes a call decides."""
        rule = Rule(matches, **how)
        self._rules.insert(0, rule)
        try:
            yield rule
        finally:
            self._rules.remove(rule)

    def writes(self, since: float = 0.0, leases: bool = False) -> list[Call]:
        """The writes that were begun after `since`, in order."""
        return [call for call in self.calls if call.writes and call.at > since and (leases or call.kind != "leases")]

    def cut_streams(self) -> None:
        """Ends all watches, as a lost connection does."""
        for transport in self._streams:
            transport.abort()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        raw = await request.read()
        if request.path.startswith("/prometheus/"):
            return await self._ask_prometheus(request, raw)
        call = _call(request, raw)
        self.calls.append(call)
        rule = next((rule for rule in self._rules if rule.takes(call)), Rule(lambda _: False))
        work = asyncio.create_task(self._served(request, call, rule))
        if call.watches:
            return await work
        self._under_way.add(work)
        work.add_done_callback(self._under_way.discard)
        return await asyncio.shield(work)

    async def _served(self, request: web.BaseRequest, call: Call, rule: Rule) -> web.StreamResponse:
        try:
            await rule.before(call)
            return await (self._watch(request, call) if call.watches else self._pass_on(request, call, rule))
        except AnswerError as answer:
            return web.json_response(_status_object(answer.status), status=answer.status)
        except CutError:
            return _aborted(request)
        except aiohttp.ClientError as error:
            return web.json_response(_status_object(502) | {"message": str(error)}, status=502)

    async def _pass_on(self, request: web.BaseRequest, call: Call, rule: Rule) -> web.StreamResponse:
        async with self._ask(call) as upstream:
            call.status, body = upstream.status, await upstream.read()
        await rule.after(call)
        response = web.Response(status=upstream.status, body=body, headers=_kept(upstream.headers, _RETURNED))
        if rule.replied is not None:
            await response.prepare(request)
            await response.write_eof()
            await rule.replied(call)
        return response

    def _ask(self, call: Call) -> Any:
        url, data = self._upstream + call.path, call.raw or None
        return self._plain.request(call.method, url, data=data, headers=call.headers, skip_auto_headers=["Content-Type"])

    async def _watch(self, request: web.BaseRequest, call: Call) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        self._streams.add(transport)
        try:
            async with self._ask(call) as upstream:
                response = web.StreamResponse(status=upstream.status, headers=_kept(upstream.headers, _RETURNED))
                await response.prepare(request)
                async for chunk in upstream.content.iter_any():
                    await response.write(chunk)
                return response
        except (OSError, aiohttp.ClientError):
            return _aborted(request)
        finally:
            self._streams.discard(transport)

    async def _ask_prometheus(self, request: web.BaseRequest, raw: bytes) -> web.StreamResponse:
        form = await request.post()
        self.queries.append((time.time(), str(form.get("query"))))
        url = self._upstream + PROMETHEUS_SERVICE + request.path.removeprefix("/prometheus")
        try:
            async with self._admin.post(url, data=raw, headers={"Content-Type": request.headers["Content-Type"]}) as upstream:
                return web.Response(status=upstream.status, body=await upstream.read(), headers=_kept(upstream.headers, ("Content-Type",)))
        except aiohttp.ClientError as error:
            return web.Response(status=502, text=str(error))


def _call(request: web.BaseRequest, raw: bytes) -> Call:
    parts = request.path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    resource, name, subresource = (*rest, "", "", "")[:3]
    body = json.loads(raw) if raw else None
    if request.method == "POST" and not name:
        name = ((body or {}).get("metadata") or {}).get("name", "")
    return Call(
        at=time.time(),
        method=request.method,
        kind=f"{resource}/{subresource}" if subresource else resource,
        namespace=namespace,
        name=name,
        watches=request.query.get("watch") in ("true", "1"),
        body=body,
        headers=_kept(request.headers, _PASSED),
        path=request.raw_path,
        raw=raw,
    )


def _kept(headers: Any, names: tuple[str, ...]) -> dict[str, str]:
    return {name: headers[name] for name in names if name in headers}


def _aborted(request: web.BaseRequest) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _status_object(status: int) -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "made to fail by a test", "code": status}
