"""The walk through the code names functions that exist."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "architecture.md").read_text()
WALK = GUIDE.partition("<!-- walk -->")[2].partition("<!-- end of walk -->")[0]
NAMES = [name for name in re.findall(r"`([a-z_.]+(?:\.[A-Za-z_]+)+)`", WALK) if "." in name]


def test_the_walk_is_there() -> None:
    assert len(NAMES) > 25


@pytest.mark.parametrize("name", dict.fromkeys(NAMES))
def test_each_function_of_the_walk_exists(name: str) -> None:
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(["tidegate", *parts[:length]]))
        except ImportError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        assert callable(found)
        return
    raise AssertionError(f"{name} is in no module")
