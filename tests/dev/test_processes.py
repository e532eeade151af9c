import dataclasses
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.dev.support import is_held
from tidegate_dev import launch
from tidegate_dev.processes import Processes, Record

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"


class Daemons:
    """Starts daemons as dev/cluster does, and ends what a failed test leaves."""

    def __init__(self, folder: Path) -> None:
        self.records = Processes(folder / "processes")
        self.log = folder / "daemon.log"
        self.lock_file = folder / "lock"
        self.lock = os.open(self.lock_file, os.O_RDWR | os.O_CREAT)
        fcntl.flock(self.lock, fcntl.LOCK_EX)

    def start(self, name: str, *argv: str) -> Record:
        self.records.start(name, argv, log=self.log, fingerprint="f", lock=self.lock)
        record = self.records.read(name)
        assert record is not None
        return record


def becomes(pid: int, name: str) -> None:
    """Waits until a process has turned into a program."""
    while Path(f"/proc/{pid}/comm").read_text() != f"{name}\n":
        assert launch.start_time(pid) is not None


@contextmanager
def child(*argv: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that dev/cluster has nothing to do with."""
    process = subprocess.Popen(argv)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def daemons(tmp_path: Path) -> Iterator[Daemons]:
    made = Daemons(tmp_path)
    yield made
    for record in made.records.all():
        made.records.stop(record, 0)
    os.close(made.lock)


def test_the_record_names_the_very_process_that_became_the_daemon(daemons: Daemons) -> None:
    record = daemons.start("sleeper", "sleep", "600")
    assert record.alive()
    assert record.started == launch.start_time(record.pid)
    becomes(record.pid, "sleep")
    daemons.records.stop(record, 5)
    assert not record.alive()
    assert daemons.records.read("sleeper") is None


def test_a_recycled_pid_is_neither_alive_nor_ended(daemons: Daemons) -> None:
    own = daemons.start("sleeper", "sleep", "600")
    with child("sleep", "600") as bystander:
        forged = dataclasses.replace(own, pid=bystander.pid, started=own.started + 1)
        for other in (forged, dataclasses.replace(own, boot="another")):
            assert not other.alive()
            daemons.records.stop(other, 0)
        assert bystander.poll() is None
    assert own.alive()
    daemons.records.stop(dataclasses.replace(own, name="forgotten"), 5)
    assert not own.alive()


def test_a_daemon_that_ignores_the_request_is_ended_after_its_grace(daemons: Daemons) -> None:
    record = daemons.start("stubborn", sys.executable, "-c", STUBBORN)
    while "deaf" not in daemons.log.read_text():
        assert record.alive()
    daemons.records.stop(record, 0.2)
    assert not record.alive()


def test_the_lock_is_free_once_the_record_stands_although_the_daemon_lives(daemons: Daemons) -> None:
    record = daemons.start("sleeper", "sleep", "600")
    becomes(record.pid, "sleep")
    fcntl.flock(daemons.lock, fcntl.LOCK_UN)
    assert not is_held(daemons.lock_file)


def test_a_start_time_is_read_past_a_name_with_parentheses(tmp_path: Path) -> None:
    odd = tmp_path / "a) R 1 (b"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", odd)
    with child(odd, "600") as process:
        becomes(process.pid, "a) R 1 (b")
        begun, own = launch.start_time(process.pid), launch.start_time(os.getpid())
        assert begun is not None
        assert own is not None
        assert begun >= own


def test_a_zombie_does_not_count() -> None:
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert launch.start_time(process.pid) is None
    process.wait()


def test_a_record_cut_short_is_no_record(tmp_path: Path) -> None:
    (tmp_path / "etcd.json").write_text('{"pid": 12')
    (tmp_path / "other.json").write_text('{"pid": 12}')
    assert list(Processes(tmp_path).all()) == []
