"""The command line of the two programs."""

import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tidegate.__main__ import app

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("program", [[], ["operator"], ["flags"]])
def test_each_program_says_its_version(program: list[str]) -> None:
    said = CliRunner().invoke(app, [*program, "--version"])
    assert (said.exit_code, said.output) == (0, f"tidegate {PROJECT['version']}\n")
