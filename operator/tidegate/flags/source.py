"""Flag sets from Kubernetes: ConfigMaps with the label, listed and then watched."""

import asyncio
from collections.abc import AsyncIterator

from tidegate.flags.changes import Change, Interrupted, Synced
from tidegate.flags.scope_watch import ScopeWatch, WatchTimes

_QUEUE_LENGTH = 256
_TIMES = WatchTimes()


class KubernetesFlagSetSource:
    """Lists and watches flag sets in the given namespaces, or in all of them where none is given; never gives up.

    Credentials are read as `tidegate.clients.credentials.load` reads them, and read again when they are refused.
    """

    def __init__(self, kubeconfig: str | None, namespaces: tuple[str, ...] = (), times: WatchTimes = _TIMES) -> None:
        self._kubeconfig = kubeconfig
        self._scopes: tuple[str | None, ...] = namespaces or (None,)
        self._times = times

    async def changes(self) -> AsyncIterator[Change]:
        """Every change; `Synced` once all namespaces are listed, and again whenever the last interrupted one is back."""
        queue: asyncio.Queue[Change] = asyncio.Queue(_QUEUE_LENGTH)
        apart: set[str | None] = set(self._scopes)

        async def report(scope: str | None, change: Change) -> None:
            match change:
                case Synced():
                    apart.discard(scope)
                    if apart:
                        return
                case Interrupted():
                    apart.add(scope)
            await queue.put(change)

        watches = [ScopeWatch(scope, self._kubeconfig, report, self._times) for scope in self._scopes]
        tasks = [asyncio.create_task(watch.run(), name=f"watch-flag-sets-{watch.scope or 'all'}") for watch in watches]
        try:
            while True:
                yield await queue.get()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
