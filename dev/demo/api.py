"""The cluster as the demo looks at it while it runs: plain JSON through the API server, which reaches every kind of cluster alike."""

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp

from tidegate.clients import credentials

Json = dict[str, Any]
SECONDS = 5.0
IN_CLUSTER = "/api/v1/namespaces/monitoring/services/prometheus:9090/proxy"


@dataclass(frozen=True, slots=True)
class Ends:
    """How things are reached: a path leads through the API server, a whole URL past it. `applications`: None where they are pods."""

    kubeconfig: Path
    prometheus: str = IN_CLUSTER
    applications: tuple[str, ...] | None = None


class NoAnswerError(Exception):
    """The API server, or what stands behind it, did not answer as it should; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer: its samples as (Unix seconds, value), oldest first; an instant vector has one each."""

    labels: dict[str, str]
    samples: tuple[tuple[float, float], ...]


class Api:
    """One session to one API server, and to what stands beside it. Every method raises NoAnswerError."""

    def __init__(self, session: aiohttp.ClientSession, connection: credentials.Connection, ends: Ends) -> None:
        self._session = session
        self._proxy = connection.proxy
        self._trust = _trust(connection)
        self._headers = {"Authorization": connection.authorization} if connection.authorization else {}
        self.ends = ends

    @classmethod
    @asynccontextmanager
    async def connect(cls, ends: Ends) -> AsyncIterator[Self]:
        """Logs in as kubectl does."""
        found = await credentials.connection(str(ends.kubeconfig))
        async with aiohttp.ClientSession(found.server, timeout=aiohttp.ClientTimeout(total=SECONDS)) as session:
            yield cls(session, found, ends)

    async def get(self, path: str) -> Json:
        """What stands under a path, or at a URL."""
        return await self._ask("GET", path)

    async def post(self, path: str) -> Json:
        """The answer to an empty POST."""
        return await self._ask("POST", path)

    async def prometheus(self, query: str) -> list[Series]:
        """The series of an instant query; of a query such as `x[30s]` with all samples in the range, at their own times."""
        answer = await self.get(f"{self.ends.prometheus}/api/v1/query?{urlencode({'query': query})}")
        if answer.get("status") != "success":
            raise NoAnswerError(f"Prometheus: {answer.get('error')}")
        return [
            Series(one["metric"], tuple((float(at), float(value)) for at, value in one.get("values") or [one["value"]]))
            for one in answer["data"]["result"]
        ]

    async def _ask(self, method: str, path: str) -> Json:
        try:
            async with self._request(method, path) as answer:
                text = await answer.text()
                if answer.status >= 300:
                    raise NoAnswerError(f"{method} {path.partition('?')[0]}: {answer.status} {text[:200]}")
                found: Json = json.loads(text)
                return found
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise NoAnswerError(f"{method} {path.partition('?')[0]}: {error or type(error).__name__}") from error

    def _request(self, method: str, path: str) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Who we are is the API server's business alone."""
        if path.startswith("/"):
            return self._session.request(method, path, headers=self._headers, ssl=self._trust, proxy=self._proxy)
        return self._session.request(method, path)


def _trust(connection: credentials.Connection) -> ssl.SSLContext | bool:
    if not connection.verify:
        return False
    context = ssl.create_default_context(cafile=connection.ca_path)
    if connection.certificate_path:
        context.load_cert_chain(connection.certificate_path, connection.private_key_path)
    return context
