"""Runs other programs: never through a shell, always with a bound on time, output kept for the reader of a failure."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tidegate_dev.errors import ClusterError

Arguments = Sequence[str | Path]


def output(argv: Arguments, *, text: str | None = None, timeout: float = 60, env: Mapping[str, str] | None = None) -> str:
    """Standard output of a command. Raises ClusterError with what it wrote to standard error when it fails or hangs."""
    try:
        done = subprocess.run(bound(argv), input=text, capture_output=True, text=True, timeout=timeout, env=env, check=False)
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"{_shown(argv)} did not end within {timeout:.0f} s") from error
    if done.returncode:
        raise ClusterError(f"{_shown(argv)} failed ({done.returncode}): {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def succeeds(argv: Arguments, *, timeout: float = 60, env: Mapping[str, str] | None = None) -> bool:
    """Whether the command could be run and ended with 0."""
    try:
        output(argv, timeout=timeout, env=env)
    except ClusterError:
        return False
    return True


def logged(argv: Arguments, log: Path, *, what: str, timeout: float, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
    """Runs a long command with its output in `log`. Raises ClusterError that names `what` and shows the end of the log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as stream:
        try:
            code = subprocess.run(
                bound(argv), stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=env, cwd=cwd, timeout=timeout, check=False
            ).returncode
        except subprocess.TimeoutExpired as error:
            raise ClusterError(f"{what} did not end within {timeout:.0f} s", log) from error
    if code:
        raise ClusterError(f"{what} failed ({code})", log)


def search_path() -> str:
    """PATH with the folders of administrative programs, which a plain user's or a service's PATH lacks."""
    return f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"


def bound(argv: Arguments) -> list[str | Path]:
    """The command line, with the program found and made to die with this process: a killed `up` leaves no build or helm behind."""
    program = shutil.which(argv[0], path=search_path())
    if program is None:
        raise ClusterError(f"{argv[0]} is not installed")
    setpriv = shutil.which("setpriv", path=search_path())
    return [*([setpriv, "--pdeathsig=KILL"] if setpriv else []), program, *argv[1:]]


def _shown(argv: Arguments) -> str:
    return " ".join([Path(argv[0]).name, *map(str, argv[1:])])[:200]
