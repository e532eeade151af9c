"""Runs the lines of the guide that wait for the end of an attempt."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

_GUIDE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


def run_snippet(environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """With `kubectl` as the environment's PATH has it."""
    lines = _GUIDE.read_text().split("<!-- wait -->\n```sh\n")[1].split("```")[0]
    return subprocess.run(["sh", "-c", lines], env=dict(environment), capture_output=True, text=True, timeout=120, check=False)
