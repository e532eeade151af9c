"""Processes that live no longer than this one: started in order, ended in the reverse one."""

import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tidegate_dev import commands
from tidegate_dev.errors import ClusterError

GRACE_SECONDS = 10.0


class Children:
    """Each has a log and a process group of its own: Ctrl-C reaches this process alone, which then ends them.

    Where this process is killed, the kernel kills them. Start them from the main thread: the kernel goes by the thread's end.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, argv: commands.Arguments, env: Mapping[str, str]) -> None:
        """Raises ClusterError where the program is not installed."""
        self._logs.mkdir(parents=True, exist_ok=True)
        with self._log(name).open("wb") as log:
            self._running[name] = subprocess.Popen(
                commands.bound(argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, cwd="/", process_group=0
            )

    def check(self) -> None:
        """Raises ClusterError with the log of one that has ended by itself."""
        for name, process in self._running.items():
            if (code := process.poll()) is not None:
                raise ClusterError(f"{name} has ended ({code})", self._log(name))

    def stop(self) -> None:
        """SIGTERM, and SIGKILL after ten seconds; returns when all are gone."""
        while self._running:
            _, process = self._running.popitem()
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_SECONDS)
            process.kill()
            process.wait()

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"
