"""The parts of the table of faults: what applications export, what etcd tells, what can be done to processes, which rows there are."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from faults.exporter import BAD, Measured
from faults.moments import AT_ITS_END, AT_ITS_START, BEFORE, IN_ITS_MIDDLE, NEVER, turns_bad
from faults.plant import LANES, Plant
from faults.processes import Processes
from faults.rows import ROWS
from faults.samples import Ahead, Behind
from faults.witness import Stored
from tests.e2e.support.exposure import DOCUMENT
from tidegate_dev import commands, launch, tools
from tidegate_dev.embedded import plain_environment
from tidegate_dev.errors import ClusterError
from tidegate_dev.settings import CHECKOUT, Settings

PATIENCE_SECONDS = 10.0


def test_an_application_says_what_it_measures_when_and_whether_at_all() -> None:
    measured = Measured("lane")
    assert measured.text(1000.0) == 'faults_errors{test="lane"} 0\n'
    measured.value, measured.stamped = BAD, -5.0
    assert measured.text(1000.0) == 'faults_errors{test="lane"} 1 995000\n'
    measured.is_there = False
    assert measured.text(1000.0) == ""


def told(key: str, revision: int, data: dict[str, str] | None, **more: str) -> dict[str, Any]:
    """What etcd's watch says of one write, or of a deletion."""
    value = "" if data is None else base64.b64encode(json.dumps({"data": data}).encode()).decode()
    kv = {"key": base64.b64encode(key.encode()).decode(), "mod_revision": str(revision), "value": value}
    return {"result": {"events": [{"kv": kv, **more}]}}


def test_the_witness_keeps_each_version_of_a_flag_set_and_its_deletion() -> None:
    stored = Stored(Path("etcd.sock"))
    stored.take(1.0, {"result": {"created": True}})
    stored.take(2.0, told("/registry/configmaps/shop/flags", 7, {DOCUMENT: "{}"}))
    stored.take(3.0, told("/registry/configmaps/shop/flags", 9, None, type="DELETE"))
    stored.take(4.0, told("/registry/configmaps/shop/others", 8, {"a": "b"}))
    assert stored.versions == {("shop", "flags"): [(2.0, "{}"), (3.0, None)], ("shop", "others"): [(4.0, None)]}
    assert stored.revision == 9, "from where a lost connection goes on"


@pytest.mark.parametrize(("moment", "at"), [(BEFORE, -1.0), (AT_ITS_START, 0.0), (IN_ITS_MIDDLE, 10.0), (AT_ITS_END, 19.5), (NEVER, None)])
def test_applications_turn_bad_around_a_fault(moment: str, at: float | None) -> None:
    assert turns_bad(moment, 20) == at


def test_nothing_may_rise_on_what_is_stale_or_ahead() -> None:
    assert Behind(30).blind(100.0, 120.0) == ((110.0, 120.0),), "the last honest sample is fresh for the policy's staleness"
    assert Behind(5).blind(100.0, 120.0) == ()
    assert Ahead(20, 5).blind(100.0, 125.0) == ((100.0, 125.0),)


def test_each_row_has_a_name_of_its_own_and_three_bad_rollouts_at_least_and_a_good_one() -> None:
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    for row in ROWS:
        assert row.times * sum(moment != NEVER for moment in row.moments) >= 3, row.name
        assert NEVER in row.moments, row.name
        assert len(row.moments) <= LANES, row.name


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    found = Processes(tmp_path / "logs")
    yield found
    found.stop()


def eventually(what: str, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def begin(processes: Processes, folder: Path) -> Callable[[], list[int]]:
    """One that notes its pid and waits; the pids of all its lives."""
    processes.start("one", ["sh", "-c", f"echo $$ >> {folder}/pids; exec sleep 600"], plain_environment())

    def pids() -> list[int]:
        return [int(line) for line in (folder / "pids").read_text().splitlines()] if (folder / "pids").exists() else []

    eventually("it begins", lambda: bool(pids()))
    return pids


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_process_stands_still_and_goes_on(processes: Processes, tmp_path: Path) -> None:
    (pid,) = begin(processes, tmp_path)()
    processes.freeze("one")
    eventually("it stands still", lambda: state(pid) == "T")
    processes.thaw("one")
    eventually("it goes on", lambda: state(pid) != "T")


def test_what_is_kept_is_started_again_unless_it_is_to_stay_dead(processes: Processes, tmp_path: Path) -> None:
    pids = begin(processes, tmp_path)
    processes.keep(["one"])
    processes.kill("one", stays_dead=False)
    assert launch.start_time(pids()[0]) is None
    processes.revive()
    eventually("it lives again", lambda: len(pids()) == 2)
    processes.revive()
    processes.kill("one", stays_dead=True)
    processes.revive()
    assert len(pids()) == 2
    processes.again("one")
    eventually("it was started", lambda: len(pids()) == 3)
    assert sorted(log.name for log in (tmp_path / "logs").iterdir()) == ["one.1.log", "one.2.log", "one.log"]
    processes.kill("one", stays_dead=False)
    processes.revive()
    eventually("it is kept again", lambda: len(pids()) == 4)


def test_a_frozen_process_ends_with_the_others(processes: Processes, tmp_path: Path) -> None:
    (pid,) = begin(processes, tmp_path)()
    processes.freeze("one")
    began = time.monotonic()
    processes.stop()
    assert launch.start_time(pid) is None
    assert time.monotonic() - began < PATIENCE_SECONDS, "it was not waited for until it had to be killed"


def test_where_nothing_is_built_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "ensure", lambda _: tools.Tools(tmp_path))
    monkeypatch.setattr(commands, "output", lambda *_, **__: "go1")
    with pytest.raises(ClusterError, match="not built yet: etcd, kube-apiserver, prometheus; `make demo` builds them"):
        Plant(Settings("default", tmp_path / "state", tmp_path / "run", tmp_path / "cache"), tmp_path, CHECKOUT)
