"""make and CI on a machine with little on it."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.dev.support import program
from tidegate_dev.settings import CHECKOUT

# Debian's python3 without the package python3-venv; it has it once `installed` is there.
PYTHON = '#!/bin/sh\n[ -e {folder}/installed ] && exit 0\ncase "$2" in *ensurepip*) exit 1 ;; esac\n'
TOOLS = ("bash", "sh", "make", "grep", "sed", "expand", "dirname", "cat", "touch", "echo")


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A checkout, and a PATH with next to nothing."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(CHECKOUT / "Makefile", tmp_path)
    shutil.copy(CHECKOUT / ".ci" / "run", tmp_path / ".ci")
    for name in TOOLS:
        found = shutil.which(name)
        assert found is not None
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).symlink_to(found)
    program(tmp_path / "bin" / "python3", PYTHON.format(folder=tmp_path))
    program(tmp_path / "bin" / "apt-get", f'#!/bin/sh\necho "$@" >> {tmp_path}/apt\ntouch {tmp_path}/installed\n')
    return tmp_path


def ran(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    # The tests may have been started by make: the make that is tested is nobody's child.
    inherited = {name: value for name, value in os.environ.items() if name not in ("MAKELEVEL", "MAKEFLAGS", "MFLAGS")}
    environment = {**inherited, "PATH": str(folder / "bin")}
    return subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_every_command_is_told(bare: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):(?!=)", (bare / "Makefile").read_text(), re.MULTILINE))
    assert {line.split()[0] for line in ran(bare, "make", "help").stdout.splitlines()} == targets
    assert "e2e" in targets


def test_make_says_what_python_lacks(bare: Path) -> None:
    done = ran(bare, "make", "check")
    assert done.returncode == 2
    assert "install python3-venv (Debian, Ubuntu), or put uv on PATH" in done.stderr
    assert not (bare / ".uv").exists()


@pytest.mark.parametrize("installed", [False, True])
def test_ci_installs_what_is_missing_and_nothing_that_is_there(bare: Path, installed: bool) -> None:
    if installed:
        (bare / "installed").touch()
    (bare / "bin" / "make").unlink()
    program(bare / "bin" / "make", "#!/bin/sh\nexit 0\n")
    assert ran(bare, "bash", ".ci/run").returncode == 0
    calls = [line.split() for line in (bare / "apt").read_text().splitlines()] if (bare / "apt").exists() else []
    assert [(words[0], words[-1]) for words in calls] == ([] if installed else [("update", "-qq"), ("install", "python3-venv")])
