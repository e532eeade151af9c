"""Processes that can be stopped, killed and started again, as a bad day or a kubelet does it."""

import signal
from collections.abc import Iterable, Mapping
from pathlib import Path

from tidegate_dev import commands
from tidegate_dev.children import Children


class Processes(Children):
    """What is kept is started again by `revive` where it has ended, as the kubelet does with a container. Logs of earlier lives stay."""

    def __init__(self, logs: Path) -> None:
        super().__init__(logs)
        self.logs = logs
        self._how: dict[str, tuple[commands.Arguments, Mapping[str, str]]] = {}
        self._lives: dict[str, int] = {}
        self._kept: set[str] = set()
        self._dead: set[str] = set()

    def start(self, name: str, argv: commands.Arguments, env: Mapping[str, str]) -> None:
        self._how[name] = (argv, env)
        life = self._lives[name] = self._lives.get(name, 0) + 1
        if life > 1:
            self._log(name).rename(self._log(f"{name}.{life - 1}"))
        super().start(name, argv, env)

    def keep(self, names: Iterable[str]) -> None:
        """They are to run whatever happens."""
        self._kept.update(names)

    def revive(self) -> None:
        """Starts again what is kept and has ended."""
        for name in self._kept - self._dead:
            if self._running[name].poll() is not None:
                self.again(name)

    def again(self, name: str) -> None:
        """Starts what has ended as it was started before."""
        self._dead.discard(name)
        self.start(name, *self._how[name])

    def freeze(self, name: str) -> None:
        """It stands still, and keeps its connections."""
        self._running[name].send_signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        self._running[name].send_signal(signal.SIGCONT)

    def kill(self, name: str, *, stays_dead: bool) -> None:
        """Returns when there is no such process any more. Unless it stays dead, `revive` starts it again."""
        if stays_dead:
            self._dead.add(name)
        self._running[name].kill()
        self._running[name].wait()

    def stop(self) -> None:
        self._kept.clear()
        for name in self._running:
            self.thaw(name)
        super().stop()
