"""The daemons of a cluster: started with a record, found again by it, and ended only if they are still the same process."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tidegate_dev import launch
from tidegate_dev.commands import Arguments


@dataclass(frozen=True)
class Record:
    """One started process. `started` is in clock ticks since boot; `fingerprint` tells with which settings it runs."""

    name: str
    pid: int
    started: int
    boot: str
    fingerprint: str

    def alive(self) -> bool:
        """Whether that very process still runs; a recycled pid does not count."""
        return self.boot == launch.boot_id() and launch.start_time(self.pid) == self.started


class Processes:
    """The records of one cluster, a file each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> Record | None:
        """The record of that name; None where there is none, or one that was cut short by a crash of the machine."""
        try:
            content = json.loads((self._folder / f"{name}.json").read_text())
            return Record(name=name, **content)
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def all(self) -> Iterator[Record]:
        for path in sorted(self._folder.glob("*.json")):
            if record := self.read(path.stem):
                yield record

    def start(self, name: str, argv: Arguments, *, log: Path, fingerprint: str, lock: int, env: Mapping[str, str] | None = None) -> None:
        """Starts a daemon in a session of its own; `lock` is the descriptor of the cluster's lock, held until the record stands."""
        self._folder.mkdir(parents=True, exist_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        record = self._folder / f"{name}.json"
        record.unlink(missing_ok=True)
        with log.open("ab") as stream:
            child = subprocess.Popen(
                [sys.executable, "-I", "-S", launch.__file__, record, str(lock), fingerprint, *argv],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env=env,
                cwd="/",
                pass_fds=(lock,),
                start_new_session=True,
            )
        while not record.exists() and child.poll() is None:
            time.sleep(0.005)
        # The daemon outlives this process on purpose: without this, Popen would warn that it still runs.
        child.returncode = 0

    def stop(self, record: Record, grace: float) -> None:
        """Asks the process to end, ends it after `grace` seconds, and forgets it."""
        if record.alive():
            end(record.pid, record.started, grace)
        (self._folder / f"{record.name}.json").unlink(missing_ok=True)


def end(pid: int, started: int, grace: float) -> None:
    """SIGTERM, then SIGKILL after `grace` seconds, to the process that began at `started`, and to no other.

    The descriptor pins the process before its start time is read, so that the pid can't change hands in between.
    """
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            if launch.start_time(pid) != started:
                return
            for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
                signal.pidfd_send_signal(descriptor, number)
                if select.select([descriptor], [], [], seconds)[0]:
                    return
        finally:
            os.close(descriptor)
