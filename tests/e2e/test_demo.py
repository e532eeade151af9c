"""`make demo` without a cluster, from its first line to its last. It needs what a build gives, and no cluster."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.e2e.support.installation import ROOT, until

DEMO = [sys.executable, str(ROOT / "dev/demo/run.py"), "--stage", "embedded", "--plain", "--seconds-per-day", "15"]


def begun(folder: Path, *options: str) -> subprocess.Popen[str]:
    """Its folder for temporary files is the test's own, so that whatever stays is seen."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it, and so would its children
    environment = {**os.environ, "TMPDIR": str(folder)}
    return subprocess.Popen([*DEMO, *options], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.fixture
def folder() -> Path:
    """A short one: a unix socket's path ends at 107 bytes."""
    return Path(tempfile.mkdtemp(prefix="demo-"))


def processes(folder: Path) -> list[str]:
    """Command lines of what was started for this folder: every one names it, or is a Python process that has it as TMPDIR."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            seen = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in seen:
            found.append(seen.replace(b"\0", b" ").decode(errors="replace")[:200])
    return found


def test_one_rollout_climbs_and_one_falls_and_nothing_stays(folder: Path) -> None:
    demo = begun(folder)
    text, _ = demo.communicate(timeout=300)
    print(text)
    assert demo.returncode == 0, text
    steps = re.findall(r"^(\d)/9 ", text, re.MULTILINE)
    assert steps == [str(number) for number in range(1, 10)]
    assert re.search(r"confidence-calibration +100 %.* ENABLED", text)
    assert re.search(r"drawdown-kelly +50 %.* 0 %", text)
    assert re.search(r"first bad sample .* saw the feature on: \d+\.\d+ s", text)
    assert text.rstrip().splitlines()[-1].startswith("Nothing of the demo runs any more")
    assert list(folder.iterdir()) == []
    assert processes(folder) == []
    folder.rmdir()


def test_ctrl_c_stops_everything_in_order(folder: Path) -> None:
    demo = begun(folder)
    until("the rollouts are watched", lambda: any("demo.application" in line for line in processes(folder)))
    demo.send_signal(signal.SIGINT)
    text, _ = demo.communicate(timeout=60)
    assert demo.returncode == 130, text
    assert list(folder.iterdir()) == []
    assert processes(folder) == []
    folder.rmdir()


def test_when_it_is_killed_no_process_stays(folder: Path) -> None:
    demo = begun(folder)
    until("the API server runs", lambda: any("kube-apiserver" in line for line in processes(folder)))
    demo.kill()
    demo.communicate(timeout=60)
    until("its children are gone", lambda: processes(folder) == [])
    subprocess.run(["rm", "-r", str(folder)], check=True)
