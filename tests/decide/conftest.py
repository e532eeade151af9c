"""Tests of the core run over every lever: those marked `levers` over the flag and over the dial, all others over the flag alone. So do
those marked `flag`, which are about a flag's definition or about times to the second: the dial settles late."""

import pytest

from tests.decide.world import World


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marks = {mark.name for mark in metafunc.definition.iter_markers()}
    if "levers" in marks and "flag" not in marks:
        metafunc.parametrize("lever_kind", ["flag", "dial"], indirect=True)


@pytest.fixture(autouse=True)
def lever_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which lever the worlds of a test move."""
    kind = str(getattr(request, "param", "flag"))
    monkeypatch.setattr(World, "lever_kind", kind)
    return kind
