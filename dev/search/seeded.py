"""Seeds bugs into copies of the operator's package, one at a time, and lets the search find each of them.

A bug that isn't found means that a claim is missing, or that a scope is too small.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

_ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_ROOT / "dev"), str(_ROOT / "operator"), str(_ROOT)]

from search.bugs import BUGS, Bug  # noqa: E402 - the checkout is no package: its folders have to be named first

APP = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
LIMIT = 40_000
"""Transitions within which each bug is found."""
_CHILD = "import sys; from search.broken import report; report(sys.argv[1], int(sys.argv[2]))"


@dataclass(frozen=True)
class Found:
    """How a bug showed. `claim` is None where it didn't; `steps`: transitions of the shortest way there."""

    claim: str | None
    steps: int
    transitions: int
    story: str


def seeded(bug: Bug, folder: Path) -> None:
    """A copy of the operator's package with the bug, in that folder."""
    shutil.copytree(_ROOT / "operator" / "tidegate", folder / "tidegate", ignore=shutil.ignore_patterns("__pycache__"))
    for file, old, new in bug.changes:
        path = folder / "tidegate" / file
        text = path.read_text()
        if text.count(old) != 1:
            raise ValueError(f"{bug.name}: {file} has {text.count(old)} places like {old!r}: bring search/bugs.py up to date")
        path.write_text(text.replace(old, new))


def find(bug: Bug, limit: int = LIMIT) -> Found:
    """Searches with the bug, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        seeded(bug, Path(folder))
        paths = [folder, str(_ROOT / "dev"), str(_ROOT)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, bug.scope, str(limit)], env=environment, cwd=folder, capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise RuntimeError(f"{bug.name}: the search broke off:\n{done.stderr[-2000:]}")
    return Found(**json.loads(done.stdout))


@APP.command()
def main(
    only: Annotated[str, typer.Option(help="Only bugs whose name contains this.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Transitions for each bug.")] = LIMIT,
    stories: Annotated[bool, typer.Option(help="Also tell the way to each.")] = False,
) -> None:
    """Prints a table in Markdown; exit status 1 where a bug isn't found."""
    print("| seeded bug | scope | caught by | after |\n|---|---|---|---|")
    missed = 0
    for bug in BUGS:
        if only not in bug.name:
            continue
        found = find(bug, limit)
        missed += found.claim is None
        caught = f"`{found.claim}` | {found.steps} transitions" if found.claim else f"NOT FOUND | in {found.transitions} transitions"
        print(f"| {bug.name} | {bug.scope} | {caught} |", flush=True)
        if stories:
            print(found.story, flush=True)
    raise typer.Exit(1 if missed else 0)


if __name__ == "__main__":
    APP()
