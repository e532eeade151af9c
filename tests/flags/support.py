"""A flag server in a thread of its own, fed from memory, so that the real, blocking providers can be its clients."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import requests
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext

from tidegate.flags.changes import Change, Deleted, FlagSetKey, Synced, Upserted
from tidegate.flags.flag_settings import FlagServerSettings
from tidegate.flags.server import serve

USER = EvaluationContext("user-1")

StartServer = Callable[..., "ServerThread"]
SyncClient = Callable[..., OpenFeatureClient]
OfrepClient = Callable[..., OpenFeatureClient]


class MemorySource:
    """Tells what the test puts in."""

    def __init__(self, documents: dict[str, str | None], synced: bool) -> None:
        self.queue: asyncio.Queue[Change] = asyncio.Queue()
        for selector, document in documents.items():
            self.queue.put_nowait(Upserted(FlagSetKey.parse(selector), document))
        if synced:
            self.queue.put_nowait(Synced())

    async def changes(self) -> AsyncIterator[Change]:
        while True:
            yield await self.queue.get()


class ServerThread:
    """One running server; its host is a loopback address of its own, so that the default ports are always free."""

    def __init__(self, settings: FlagServerSettings, documents: dict[str, str | None], synced: bool) -> None:
        self.settings = settings
        self._up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main(documents, synced)), name="flag-server")

    def start(self) -> None:
        self._thread.start()
        assert self._up.wait(30)

    async def _main(self, documents: dict[str, str | None], synced: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._source, self._stop = MemorySource(documents, synced), asyncio.Event()
        self._up.set()
        await serve(self.settings, self._source, self._stop)

    @property
    def sync_address(self) -> str:
        return f"{self.settings.grpc_host}:{self.settings.grpc_port}"

    @property
    def url(self) -> str:
        return f"http://{self.settings.http_host}:{self.settings.http_port}"

    def tell(self, change: Change) -> None:
        self._loop.call_soon_threadsafe(self._source.queue.put_nowait, change)

    def put(self, selector: str, document: str | None) -> None:
        self.tell(Upserted(FlagSetKey.parse(selector), document))

    def delete(self, selector: str) -> None:
        self.tell(Deleted(FlagSetKey.parse(selector)))

    def evaluate(self, path: str = "", body: object = None, **headers: str) -> requests.Response:
        """The answer by OFREP; `path` is a slash and a flag's key, or empty for all."""
        data = body if isinstance(body, str | bytes) else json.dumps(body)
        return requests.post(f"{self.url}/ofrep/v1/evaluate/flags{path}", data=data, headers=headers, timeout=5)

    def metric(self, series: str, /, **labels: str) -> float | None:
        """The value of one series of /metrics; None where there is no such series."""
        for line in requests.get(f"{self.url}/metrics", timeout=5).text.splitlines():
            found, _, value = line.rpartition(" ")
            if found.partition("{")[0] == series and all(f'{key}="{wanted}"' in found for key, wanted in labels.items()):
                return float(value)
        return None

    def ready(self) -> tuple[int, str]:
        answer = requests.get(f"{self.url}/readyz", timeout=5)
        return answer.status_code, answer.text

    def answers(self, status: int) -> bool:
        """Whether /readyz answers with this status."""
        try:
            return self.ready()[0] == status
        except requests.ConnectionError:
            return False

    def ask_to_stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)

    def stop(self, within: float = 15.0) -> None:
        if self._thread.is_alive():
            self.ask_to_stop()
        self._thread.join(within)
        assert not self._thread.is_alive(), "the server did not stop"


def eventually(condition: Callable[[], Any], within: float = 30.0) -> float:
    """Waits until the condition holds and returns the seconds that it took; fails after `within`."""
    started = time.perf_counter()
    while not condition():
        assert time.perf_counter() - started < within, "the condition did not come true"
        time.sleep(0.002)
    return time.perf_counter() - started


def flag(*, on: bool, **members: Any) -> dict[str, Any]:
    """A boolean flag that is on or off for everybody."""
    return {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on" if on else "off", **members}


def document(**flags: Any) -> str:
    """A document with these flags."""
    return json.dumps({"flags": flags})


def flag_set(name: str, text: str | None) -> dict[str, Any]:
    """A ConfigMap that is a flag set; without a text it lacks the key for it."""
    data = {} if text is None else {"flags.flagd.json": text}
    return {"metadata": {"name": name, "labels": {"tidegate.io/flag-set": "true"}}, "data": data}


def sees(client: OpenFeatureClient, on: bool) -> bool:
    """Whether the client has the flag `search` like this; its own default would be the opposite."""
    return client.get_boolean_value("search", not on, USER) is on
