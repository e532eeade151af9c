import dataclasses
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

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
    while Path(f"/proc/{record.pid}/comm").read_text() != "sleep\n":
        assert record.alive()
    daemons.records.stop(record, 5)
    assert not record.alive()
    assert daemons.records.read("sleeper") is None


def test_a_recycled_pid_is_neither_alive_nor_ended(daemons: Daemons) -> None:
    bystander = subprocess.Popen(["sleep", "600"])
    try:
        own = daemons.start("sleeper", "sleep", "600")
        forged = dataclasses.replace(own, pid=bystander.pid, started=own.started + 1)
        assert not forged.alive()
        daemons.records.stop(forged, 0)
        assert bystander.poll() is None
        before_restart = dataclasses.replace(own, boot="another")
        assert not before_restart.alive()
        daemons.records.stop(before_restart, 0)
        assert own.alive()
        own_pid = dataclasses.replace(own, name="forgotten")
        daemons.records.stop(own_pid, 5)
        assert not own.alive()
    finally:
        bystander.kill()
        bystander.wait()


def test_a_daemon_that_ignores_the_request_is_ended_after_its_grace(daemons: Daemons) -> None:
    record = daemons.start("stubborn", sys.executable, "-c", STUBBORN)
    while "deaf" not in daemons.log.read_text():
        assert record.alive()
    daemons.records.stop(record, 0.2)
    assert not record.alive()


def test_the_lock_is_free_once_the_record_stands_although_the_daemon_lives(daemons: Daemons) -> None:
    record = daemons.start("sleeper", "sleep", "600")
    while Path(f"/proc/{record.pid}/comm").read_text() != "sleep\n":
        assert record.alive()
    fcntl.flock(daemons.lock, fcntl.LOCK_UN)
    other = os.open(daemons.lock_file, os.O_RDWR)
    try:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(other)


def test_a_start_time_is_read_past_a_name_with_parentheses(tmp_path: Path) -> None:
    odd = tmp_path / "a) R 1 (b"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", odd)
    child = subprocess.Popen([odd, "600"])
    try:
        while Path(f"/proc/{child.pid}/comm").read_text() != "a) R 1 (b\n":
            assert child.poll() is None
        begun = launch.start_time(child.pid)
        own = launch.start_time(os.getpid())
        assert begun is not None
        assert own is not None
        assert begun >= own
    finally:
        child.kill()
        child.wait()


def test_a_zombie_does_not_count() -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert launch.start_time(child.pid) is None
    child.wait()


def test_a_record_cut_short_is_no_record(tmp_path: Path) -> None:
    (tmp_path / "etcd.json").write_text('{"pid": 12')
    (tmp_path / "other.json").write_text('{"pid": 12}')
    assert list(Processes(tmp_path).all()) == []
