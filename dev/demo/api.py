"""The cluster as the demo looks at it while it runs: plain JSON through the API server, which reaches every kind of cluster alike."""

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp

from tidegate.clients import credentials

Json = dict[str, Any]
SECONDS = 5.0
PROMETHEUS = "/api/v1/namespaces/monitoring/services/prometheus:9090/proxy/api/v1/query"


class NoAnswerError(Exception):
    """The API server, or what stands behind it, did not answer as it should; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer: its samples as (Unix seconds, value), oldest first; an instant vector has one each."""

    labels: dict[str, str]
    samples: tuple[tuple[float, float], ...]


class Api:
    """One session to one API server. Every method raises NoAnswerError."""

    def __init__(self, session: aiohttp.ClientSession, trust: ssl.SSLContext | bool, proxy: str | None) -> None:
        self._session = session
        self._trust = trust
        self._proxy = proxy

    @classmethod
    @asynccontextmanager
    async def connect(cls, kubeconfig: Path) -> AsyncIterator[Self]:
        """Logs in as kubectl does."""
        found = await credentials.connection(str(kubeconfig))
        headers = {"Authorization": found.authorization} if found.authorization else {}
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        async with aiohttp.ClientSession(found.server, headers=headers, timeout=timeout) as session:
            yield cls(session, _trust(found), found.proxy)

    async def get(self, path: str) -> Json:
        """What stands under a path."""
        return await self._ask("GET", path)

    async def post(self, path: str) -> Json:
        """The answer to an empty POST."""
        return await self._ask("POST", path)

    async def prometheus(self, query: str) -> list[Series]:
        """The series of an instant query; of a query such as `x[30s]` with all samples in the range, at their own times."""
        answer = await self.get(f"{PROMETHEUS}?{urlencode({'query': query})}")
        if answer.get("status") != "success":
            raise NoAnswerError(f"Prometheus: {answer.get('error')}")
        return [
            Series(one["metric"], tuple((float(at), float(value)) for at, value in one.get("values") or [one["value"]]))
            for one in answer["data"]["result"]
        ]

    async def _ask(self, method: str, path: str) -> Json:
        try:
            async with self._session.request(method, path, ssl=self._trust, proxy=self._proxy) as answer:
                text = await answer.text()
                if answer.status >= 300:
                    raise NoAnswerError(f"{method} {path.partition('?')[0]}: {answer.status} {text[:200]}")
                found: Json = json.loads(text)
                return found
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise NoAnswerError(f"{method} {path.partition('?')[0]}: {error or type(error).__name__}") from error


def _trust(connection: credentials.Connection) -> ssl.SSLContext | bool:
    if not connection.verify:
        return False
    context = ssl.create_default_context(cafile=connection.ca_path)
    if connection.certificate_path:
        context.load_cert_chain(connection.certificate_path, connection.private_key_path)
    return context
