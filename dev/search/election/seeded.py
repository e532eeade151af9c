"""Plays scenes with the operator's package as it is on the path of this process, or with a bug in it, in a process of its own."""

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from search.bugs import Bug
from search.election.play import play
from search.election.scenes import FAMILIES, Scene
from search.seeded import seeded

_ROOT = Path(__file__).resolve().parents[3]
_CHILD = "import sys; from search.election.seeded import report; report(sys.argv[1], int(sys.argv[2]))"
LIMIT = 20_000
"""Scenes within which each bug is found."""


@dataclass(frozen=True)
class Found:
    """Which claim caught a bug, and in which scene; None where none did."""

    claim: str | None
    story: str
    scenes: int


def spread(family: str, limit: int) -> Iterator[Scene]:
    """At most so many scenes of a family, from all over it."""
    every = -(-sum(1 for _ in FAMILIES[family]()) // limit)
    return (scene for number, scene in enumerate(FAMILIES[family]()) if number % every == 0)


def report(family: str, limit: int) -> None:
    """Prints, as JSON, the first scene in which something breaks."""
    logging.disable(logging.CRITICAL)
    number = 0
    for number, scene in enumerate(spread(family, limit), start=1):
        for claim, sentence in play(scene).faults.items():
            print(json.dumps({"claim": claim, "story": f"{scene}: {sentence}", "scenes": number}))
            return
    print(json.dumps({"claim": None, "story": "", "scenes": number}))


def find(bug: Bug, limit: int = LIMIT) -> Found:
    """Plays scenes with the bug."""
    with tempfile.TemporaryDirectory() as folder:
        seeded(bug, Path(folder))
        paths = [folder, str(_ROOT / "dev"), str(_ROOT)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}
        argv = [sys.executable, "-c", _CHILD, bug.scope, str(limit)]
        done = subprocess.run(argv, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{bug.name}: the search broke off:\n{done.stderr[-2000:]}")
    return Found(**json.loads(done.stdout))
