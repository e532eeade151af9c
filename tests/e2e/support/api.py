"""The API server as a test sees it: plain JSON over one session, with watches and the service proxy (which works on kind and natively)."""

import asyncio
import base64
import inspect
import json
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import yaml

Json = dict[str, Any]
KINDS = {
    "configmaps": ("v1", "ConfigMap"),
    "namespaces": ("v1", "Namespace"),
    "secrets": ("v1", "Secret"),
    "serviceaccounts": ("v1", "ServiceAccount"),
    "resourcequotas": ("v1", "ResourceQuota"),
    "services": ("v1", "Service"),
    "featurerollouts": ("tidegate.io/v1alpha1", "FeatureRollout"),
    "rolloutpolicies": ("tidegate.io/v1alpha1", "RolloutPolicy"),
    "rolloutruns": ("tidegate.io/v1alpha1", "RolloutRun"),
    "deployments": ("apps/v1", "Deployment"),
    "leases": ("coordination.k8s.io/v1", "Lease"),
    "events": ("events.k8s.io/v1", "Event"),
    "roles": ("rbac.authorization.k8s.io/v1", "Role"),
    "rolebindings": ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    "validatingadmissionpolicies": ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"),
    "validatingadmissionpolicybindings": ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding"),
}


class RefusedError(Exception):
    """The API server's answer to a request that it did not accept."""

    def __init__(self, status: int, body: Json) -> None:
        super().__init__(f"{status}: {body.get('message')}")
        self.status = status
        self.message = str(body.get("message"))


class Api:
    """One session to one API server."""

    def __init__(self, session: aiohttp.ClientSession, server: str) -> None:
        self._session = session
        self.server = server

    @classmethod
    @asynccontextmanager
    async def connect(cls, kubeconfig: Path, token: str | None = None) -> AsyncIterator["Api"]:
        """As the administrator, or as whoever `token` belongs to."""
        config = yaml.safe_load(kubeconfig.read_text())  # noqa: ASYNC240 - once, at the start
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        headers = {"Authorization": f"Bearer {token or user['token']}"} if token or "token" in user else {}
        trust = trust_of(cluster, {} if token else user)  # a client certificate would outrank the token
        async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(ssl=trust, limit=64)) as session:
            yield cls(session, cluster["server"].rstrip("/"))

    async def request(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Json:
        data = None if body is None else json.dumps(body)
        async with self._session.request(method, f"{self.server}/{path}", data=data, headers={"Content-Type": content_type}) as response:
            text = await response.text()
            answer: Json = json.loads(text) if text.startswith("{") else {"message": text}
            if response.status >= 300:
                raise RefusedError(response.status, answer)
            return answer

    async def get(self, kind: str, namespace: str, name: str) -> Json:
        return await self.request("GET", _path(kind, namespace, name))

    async def find(self, kind: str, namespace: str, name: str) -> Json | None:
        try:
            return await self.get(kind, namespace, name)
        except RefusedError as error:
            if error.status == 404:
                return None
            raise

    async def list(self, kind: str, namespace: str = "", selector: str = "") -> list[Json]:
        query = f"?labelSelector={selector}" if selector else ""
        items: list[Json] = (await self.request("GET", _path(kind, namespace, "") + query))["items"]
        return items

    async def create(self, kind: str, body: Json, *, dry_run: bool = False) -> Json:
        """`body` needs neither apiVersion nor kind."""
        namespace = body["metadata"].get("namespace", "")
        query = "?fieldValidation=Strict" + ("&dryRun=All" if dry_run else "")
        return await self.request("POST", _path(kind, namespace, "") + query, typed(kind, body))

    async def patch(self, kind: str, namespace: str, name: str, patch: Json, **query: str) -> Json:
        """A merge patch; `kind` may name a subresource, as in featurerollouts/status."""
        kind, _, subresource = kind.partition("/")
        path = _path(kind, namespace, name) + (f"/{subresource}" if subresource else "")
        parameters = "".join(f"&{key}={value}" for key, value in query.items())
        return await self.request("PATCH", f"{path}?fieldValidation=Strict{parameters}", patch, "application/merge-patch+json")

    async def delete(self, kind: str, namespace: str, name: str) -> None:
        try:
            await self.request("DELETE", _path(kind, namespace, name))
        except RefusedError as error:
            if error.status != 404:
                raise

    async def proxy(self, method: str, namespace: str, service: str, path: str, body: str | None = None) -> str:
        """A request to a Service by way of the API server."""
        url = f"{self.server}/api/v1/namespaces/{namespace}/services/{service}/proxy/{path.lstrip('/')}"
        async with self._session.request(method, url, data=body, headers={"Content-Type": "text/plain"}) as response:
            text = await response.text()
            if response.status >= 300:
                raise RefusedError(response.status, {"message": text})
            return text

    async def prometheus(self, query: str) -> Any:
        """The result of a query to the cluster's Prometheus."""
        answer = await self.proxy("GET", "monitoring", "prometheus:9090", f"api/v1/query?query={quote(query)}")
        return json.loads(answer)["data"]["result"]

    async def watch(
        self, kind: str, namespace: str, name: str, opened: Callable[[], None] = lambda: None
    ) -> AsyncIterator[tuple[float, Json]]:
        """(time of arrival, object) for each version of one object from now on, which is when `opened` is called.
        Ends when the stream does."""
        url = f"{self.server}/{_path(kind, namespace, '')}?watch=1&fieldSelector=metadata.name={name}"
        async with self._session.get(url, timeout=aiohttp.ClientTimeout(total=None), read_bufsize=2**22) as response:
            opened()
            async for line in response.content:
                yield time.time(), json.loads(line)["object"]


def typed(kind: str, body: Json) -> Json:
    """The object with apiVersion and kind."""
    version, name = KINDS[kind]
    return {"apiVersion": version, "kind": name} | body


def _path(kind: str, namespace: str, name: str) -> str:
    version, _ = KINDS.get(kind, ("v1", ""))
    parts = [f"apis/{version}" if "/" in version else f"api/{version}"]
    if namespace:
        parts += ["namespaces", namespace]
    return "/".join([*parts, kind, *([name] if name else [])])


def trust_of(cluster: Json, user: Json) -> ssl.SSLContext:
    """TLS as a kubeconfig's cluster and user want it; files and embedded data alike."""
    context = ssl.create_default_context()
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    elif "certificate-authority" in cluster:
        context.load_verify_locations(cluster["certificate-authority"])
    elif "certificate-authority-data" in cluster:
        context.load_verify_locations(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    if "client-certificate" in user:
        context.load_cert_chain(user["client-certificate"], user["client-key"])
    elif "client-certificate-data" in user:
        with tempfile.NamedTemporaryFile() as pair:  # ssl takes files only
            pair.write(base64.b64decode(user["client-certificate-data"]) + b"\n" + base64.b64decode(user["client-key-data"]))
            pair.flush()
            context.load_cert_chain(pair.name)
    return context


async def eventually(what: str, check: Callable[[], Any], seconds: float = 60.0, every: float = 0.1) -> Any:
    """The first truthy result of `check`, which may be async. AssertionError with the last result where none comes in time."""
    deadline, last = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        last = check()
        if inspect.isawaitable(last):
            last = await last
        if last:
            return last
        await asyncio.sleep(every)
    raise AssertionError(f"after {seconds:g} s: {what}; last seen: {last!r}")
